"""The folder of a campaign, and who holds it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from moireloop.session import lock
from moireloop.session.lock import CampaignIsRunning, holder_of, locked
from moireloop_broker.folder import CampaignFolder
from moireloop_worker.lammps.restarts import remove_restart_files_of
from tests.helpers.waiting import wait_until

HOLD = """
import sys
from pathlib import Path
from moireloop.session.lock import locked
from moireloop_broker.folder import CampaignFolder
with locked(CampaignFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> CampaignFolder:
    """A campaign's folder that was created."""
    made = CampaignFolder(tmp_path / "search.campaign")
    made.create()
    return made


def test_folder_is_for_its_owner_alone(folder: CampaignFolder) -> None:
    """The folder and its parts have mode 0700, whatever the umask was or was there before."""
    folder.root.chmod(0o755)
    folder.create()
    assert {path.stat().st_mode & 0o777 for path in (folder.root, folder.logs, folder.redis)} == {0o700}


def test_creation_keeps_what_is_there(folder: CampaignFolder) -> None:
    """Creating a folder again changes nothing in it."""
    folder.log_of("broker").write_text("line")
    folder.create()
    assert folder.log_of("broker").read_text() == "line"


def test_each_session_recognizes_what_it_made(folder: CampaignFolder) -> None:
    """The names that a campaign puts into its folder are all known as its own."""
    assert {path.name for path in folder.root.iterdir()} <= folder.own_names


def test_two_cannot_hold_one_folder(folder: CampaignFolder) -> None:
    """While one holds the folder, another is refused, with the name of the holder; afterwards it is free."""
    with locked(folder):
        holder = holder_of(folder)
        assert holder is not None
        assert holder.pid == os.getpid()
        with pytest.raises(CampaignIsRunning, match=f"process {os.getpid()} "), locked(folder):
            pass
    assert holder_of(folder) is None
    with locked(folder):
        pass


def test_process_of_another_host_is_seen_by_the_files_time(folder: CampaignFolder) -> None:
    """Where locks do not reach from host to host, as on some parallel file systems."""
    folder.lock_file.write_text(json.dumps({"pid": 7, "host": "node-17"}))
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(0.2):
            os.utime(folder.lock_file)

    elsewhere = threading.Thread(target=live)
    elsewhere.start()
    try:
        with pytest.raises(CampaignIsRunning, match="process 7 on node-17"), locked(folder):
            pass
    finally:
        ended.set()
        elsewhere.join()
    assert "node-17" in folder.lock_file.read_text()


def test_process_of_another_host_that_shows_no_life_is_gone(
    folder: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed there: the folder is this process's, which shows that it lives in its turn."""
    monkeypatch.setattr(lock, "SILENT_S", 0.3)
    monkeypatch.setattr(lock, "BEAT_S", 0.05)
    folder.lock_file.write_text(json.dumps({"pid": 7, "host": "node-17"}))
    with locked(folder):
        taken = folder.lock_file.stat().st_mtime_ns
        wait_until(lambda: folder.lock_file.stat().st_mtime_ns > taken, "a sign of life")
    assert folder.lock_file.read_text() == "", "whoever comes next, from any host, need not wait"


def test_lock_of_a_killed_process_is_free(folder: CampaignFolder) -> None:
    """A process that was killed with -9 holds nothing any more."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        holder = holder_of(folder)
        assert holder is not None
        assert holder.pid == process.pid
        process.send_signal(signal.SIGKILL)
    assert holder_of(folder) is None
    with locked(folder):
        pass


def test_missing_folder_has_no_holder(tmp_path: Path) -> None:
    """Asking who holds a folder makes nothing."""
    assert holder_of(CampaignFolder(tmp_path / "none")) is None
    assert list(tmp_path.iterdir()) == []


def test_started_is_what_has_a_copy_of_its_file(folder: CampaignFolder) -> None:
    """A campaign counts as started as soon as its file was copied into the folder."""
    assert not folder.was_started
    folder.keep_campaign_file('name = "search"')
    assert folder.was_started
    assert folder.campaign_copy.read_text() == 'name = "search"'


def fill(folder: CampaignFolder) -> None:
    """Put something into each part of the folder."""
    for name in folder.own_names - {folder.lock_file.name}:
        part = folder.root / name
        (part / "inside" if part.is_dir() else part).write_text("old")


def test_clearing_removes_what_a_campaign_left(folder: CampaignFolder) -> None:
    """All of our own goes but the lock, which is held meanwhile."""
    fill(folder)
    with locked(folder):
        folder.clear()
        assert {path.name for path in folder.root.iterdir()} <= {folder.lock_file.name, folder.services_lock.name}
        assert holder_of(folder) is not None


def test_clearing_spares_what_is_not_ours(folder: CampaignFolder, tmp_path: Path) -> None:
    """A file of the user's in the folder stays, and so does what a link of ours points to."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("dear")
    (folder.root / "notes.txt").write_text("dear")
    folder.runs.rmdir()
    folder.runs.symlink_to(mine)
    folder.clear()
    assert [path.name for path in folder.root.iterdir()] == ["notes.txt"]
    assert (mine / "thesis.tex").read_text() == "dear"


def test_restart_files_of_a_finished_candidate_go(folder: CampaignFolder) -> None:
    """What a candidate with a result left to go on from is removed, of all attempts; the rest of its folders stays."""
    folder.create()
    for attempt in ("attempt-1", "attempt-2"):
        (folder.runs / "c1" / attempt).mkdir(parents=True)
        for name in ("restart.100", "restart.100.json", ".restart.7.raw", "log.lammps"):
            (folder.runs / "c1" / attempt / name).touch()
    remove_restart_files_of(folder.runs, "c1")
    remove_restart_files_of(folder.runs, "c2")
    left = sorted(path.relative_to(folder.runs).as_posix() for path in folder.runs.rglob("*") if path.is_file())
    assert left == ["c1/attempt-1/log.lammps", "c1/attempt-2/log.lammps"]
