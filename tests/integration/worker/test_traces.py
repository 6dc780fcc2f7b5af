"""What workers leave on the machine, and what they open on it: nothing, however they end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop_worker.launchers.launcher import CannotLaunch, Launch
from moireloop_worker.launchers.local import LocalLauncher, LocalWorker
from moireloop_worker.launchers.shared_memory import (
    PLACE,
    remove_segment,
    segment_of_group,
    segment_of_process,
    shortage,
)
from tests.helpers.campaign_files import campaign_text
from tests.helpers.sockets import listening
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import LONG_BEAD, Campaign, alive, family, ranks_of

Make = Callable[..., Campaign]
Start = Callable[..., LocalWorker]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers; at the end all their processes are gone."""
    started: list[LocalWorker] = []

    def launch(campaign: Campaign, ranks: int) -> LocalWorker:
        launcher = LocalLauncher(Launch(tuple(campaign.worker_command), ranks, campaign.folder / "logs"))
        started.append(launcher.start("worker-0"))
        return started[-1]

    yield launch
    for worker in started:
        worker.kill()
        wait_until(worker.poll, "the worker ended")


def noted_segment(campaign: Campaign) -> Path:
    """The shared memory of the worker, by the launcher's note."""
    return PLACE / (campaign.folder / "logs" / ".worker-0.segment").read_text(encoding="ascii")


def mapped_segments(pid: int) -> set[str]:
    """The names of MPICH's shared memory that a process has, also of what has no name any more."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    return set(re.findall(rf"{PLACE}/(mpich_shm_\w+)", maps))


@pytest.mark.parametrize("ranks", [1, 2])
def test_running_worker_has_no_name_in_shared_memory(make_campaign: Make, start: Start, ranks: int) -> None:
    """The name that the launcher predicted is the name of the ranks' memory, and is gone once they have it: kill -9 of
    everything leaves nothing."""
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    worker = start(campaign, ranks)
    wait_until(lambda: any(w.came_up for w in campaign.state.status().workers), "the worker is up")
    segment = noted_segment(campaign)
    for rank in ranks_of(worker.pid):
        assert mapped_segments(rank) == {segment.name}
    assert not segment.exists()


@pytest.mark.parametrize("ranks", [1, 2])
def test_worker_killed_while_mpi_starts_leaves_no_shared_memory(make_campaign: Make, start: Start, ranks: int) -> None:
    """Killed between the making of its memory and the removal of the name, it leaves a file, which poll removes."""
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    worker = start(campaign, ranks)
    segment = noted_segment(campaign)
    if ranks == 2:  # the name may be gone before it is seen: stand in for the moment
        segment.write_bytes(b"left")
    os.killpg(worker.pid, signal.SIGKILL)
    wait_until(worker.poll, "the worker ended")
    assert not segment.exists()


def test_next_start_removes_what_a_killed_launcher_left(make_campaign: Make, start: Start) -> None:
    """A note in the log folder names it."""
    campaign = make_campaign(LONG_BEAD)
    left = PLACE / segment_of_group(f"left by {campaign.folder}")
    left.write_bytes(b"left")
    (campaign.folder / "logs").mkdir(exist_ok=True)
    (campaign.folder / "logs" / ".worker-0.segment").write_text(left.name, encoding="ascii")
    start(campaign, 1)
    assert not left.exists()


def test_memory_that_a_process_still_has_is_left_alone(tmp_path: Path) -> None:
    """Only what nobody has mapped any more is removed, and nothing of another user's."""
    path = tmp_path / "segment"
    path.write_bytes(b"x" * 4096)
    lines = ("import mmap, sys, time", "f = open(sys.argv[1])", "m = mmap.mmap(f.fileno(), 0, prot=1)")
    program = "\n".join((*lines, "print(1, flush=True)", "time.sleep(60)"))
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert not remove_segment(path.name, tmp_path)
        holder.kill()
    assert remove_segment(path.name, tmp_path)
    assert not remove_segment(path.name, tmp_path)


def test_names_of_shared_memory_are_those_of_mpich() -> None:
    """FNV-1a of the name of the group (a published test value), and the number of a lone process."""
    assert segment_of_group("foobar") == "mpich_shm_bf9cf968_0"
    assert segment_of_process(255) == "mpich_shm_ff_0"


def test_want_of_shared_memory_is_named(tmp_path: Path) -> None:
    """A missing folder and one without room are distinguished, with the numbers."""
    assert "expected the folder" in (shortage(1, tmp_path / "none") or "")
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        missing = shortage(1, tmp_path) or ""
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert re.search(r"is full: a worker of 1 rank needs 1\.1 MB there, 0\.6 MB are free", missing)
    assert shortage(2) is None


def test_worker_is_not_started_where_shared_memory_is_full(
    make_campaign: Make, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher says what is missing instead of starting a rank that SIGBUS would kill."""
    campaign = make_campaign(LONG_BEAD)
    with pytest.raises(CannotLaunch, match="is full: a worker of 1000000 ranks"):
        start(campaign, 1_000_000)
    assert not (campaign.folder / "logs" / "worker-0.log").exists()


def test_campaign_is_refused_before_it_starts_where_shared_memory_is_full(tmp_path: Path) -> None:
    """`moireloop validate` names /dev/shm and the numbers."""
    file = tmp_path / "c.toml"
    file.write_text(campaign_text("c", {"workers": {"count": 1}}, results=3), encoding="utf-8")
    program = 'mount -t tmpfs -o size=600k tmpfs "$1" || exit 77; "$2" -m moireloop validate "$3"'
    command = ["unshare", "-m", "bash", "-c", program, "bash", str(PLACE), sys.executable, str(file)]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    said = " ".join((done.stdout + done.stderr).split())
    if done.returncode == 77 or "unshare" in said:
        pytest.skip(f"a small {PLACE} cannot be mounted here: {said}")
    assert f"workers: {PLACE} is full: a worker of 1 rank needs 1.1 MB there, 0.6 MB are free" in said


@pytest.mark.parametrize("ranks", [1, 2])
def test_worker_listens_on_no_port(
    make_campaign: Make, start: Start, monkeypatch: pytest.MonkeyPatch, ranks: int
) -> None:
    """Neither its ranks nor what starts them, also where this program is itself a rank of somebody's mpiexec."""
    for name, value in {"PMI_RANK": "1", "PMI_SIZE": "3", "PMI_FD": "99", "PMIX_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    campaign.propose("c0")
    worker = start(campaign, ranks)
    wait_until(lambda: any(w.step > 1000 for w in campaign.state.status().workers), "the run is under way")
    pids = alive(family(worker.pid))
    assert len(pids) == (1 if ranks == 1 else 1 + ranks)
    assert listening(pids) == set()
