"""The older part of the log moves to files: nothing is lost or doubled, whatever dies, and no reader notices."""

from __future__ import annotations

import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from moireloop_broker.archive import reading, writing
from moireloop_broker.archive.parts import ArchiveLost, Part, following, order, preceding
from moireloop_broker.archiving import archiver as moving
from moireloop_broker.archiving.archiver import Archiver, is_due, part_events
from moireloop_broker.archiving.watch import SERVICE, ArchiveWatch
from moireloop_broker.contract.codec import unpack_reply
from moireloop_broker.contract.control import Replay, ReplayRequest
from moireloop_broker.contract.events import ServiceChanged
from moireloop_broker.contract.message import START
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.service.replays import Replays
from moireloop_broker.service.state_watch import StateWatch
from moireloop_broker.state import event_log
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import Entry, EventLog, LogRolledBack
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.campaign import CampaignScripts
from tests.helpers.connections import connection_of
from tests.helpers.waiting import wait_until

KEPT = 200

KILLED = """
import os, signal, sys
from pathlib import Path
from moireloop_broker.archive import writing
from moireloop_broker.archiving.archiver import Archiver
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import open_reader

url, campaign, folder, kept, moment, number = sys.argv[1:]
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if moment == "begun":
    writing._check = kill
archiver = Archiver(open_reader(url), Keys(campaign), Path(folder), kept=int(kept), rewrites=True)
done = 0
for step in archiver.steps():
    done += step == moment
    if done == int(number):
        kill()
"""


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks a file, and several pages a replay."""
    monkeypatch.setattr(writing, "ROWS_AT_ONCE", 30)
    monkeypatch.setattr(moving, "ROWS_AT_ONCE", 60)
    monkeypatch.setattr(event_log, "AT_ONCE", 70)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the archive."""
    return tmp_path / "archive"


def grown(
    client: redis.Redis, keys: Keys, count: int, folder: Path | None = None, *, published: bool = True
) -> list[Entry]:
    """So many further events in the log, which the relay has published; returns the whole log."""
    log = EventLog(client, keys, folder)
    for n in range(count):
        log.append(ServiceChanged(service=f"s{n}", state="crashed", reason="r" * (n % 50 + 1), at_s=float(n)))
    if published:
        client.hset(keys.relay, keys.log, log.last_id())
    return list(log.replay_packed())


def archived(client: redis.Redis, keys: Keys, folder: Path, kept: int = KEPT) -> list[str]:
    """Archive what is due; returns the steps."""
    return list(Archiver(client, keys, folder, kept=kept, rewrites=False).steps())


def whole(client: redis.Redis, keys: Keys, folder: Path) -> list[Entry]:
    """The log as a new reader sees it."""
    return list(EventLog(client, keys, folder).replay_packed())


def test_log_reads_the_same_from_everywhere(client: redis.Redis, keys: Keys, folder: Path) -> None:
    """From each id on, with pages that end within a block, a file, and the log."""
    entries = grown(client, keys, 700)
    archived(client, keys, folder)
    log = EventLog(client, keys, folder)
    assert len(log.parts()) == 5
    assert client.xlen(keys.log) == len(entries) - 500
    assert sum(part.events for part in log.parts()) == 500
    assert list(log.replay_packed()) == entries
    for number in range(0, len(entries), 19):
        since = entries[number][0]
        for limit in (1, 29, 100, 250):
            assert log.after(since, limit) == entries[number + 1 : number + 1 + limit]
        assert log.has(since)
        assert number == 0 or isinstance(log.event(since, ServiceChanged), ServiceChanged)
        assert [one for one, _ in log.read(since, 40)] == [one for one, _ in entries[number + 1 : number + 41]]
    assert [one for one, _ in log.replay(entries[90][0])] == [one for one, _ in entries[91:]]


def test_older_versions_are_refused_before_the_first_event_leaves(
    client: redis.Redis, keys: Keys, folder: Path
) -> None:
    """The folder's copy of the campaign file gets a section that they do not know; if that fails, the events stay."""
    copy = folder.parent / "campaign.toml"
    copy.write_text('name = "a"\n# copied from "../a.toml"\n')
    entries = grown(client, keys, 310)
    copy.rename(folder.parent / "hidden")
    copy.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        archived(client, keys, folder)
    assert client.xlen(keys.log) == len(entries)
    copy.rmdir()
    (folder.parent / "hidden").rename(copy)
    archived(client, keys, folder)
    assert client.xlen(keys.log) < len(entries)
    assert tomllib.loads(copy.read_text()) == {"name": "a", "archive": {}}
    assert copy.read_text().endswith('# copied from "../a.toml"\n')


def test_ids_between_events(client: redis.Redis, keys: Keys, folder: Path) -> None:
    """A client may name any id, and gets what comes after it; a reader whose id is gone gets an error."""
    entries = grown(client, keys, 400)
    archived(client, keys, folder)
    log = EventLog(client, keys, folder)
    first_ms = order(entries[0][0])[0]
    for since in ("0-1", "1-9999999999999999999", f"{first_ms - 1}-18446744073709551615"):
        assert log.after(since, 3) == entries[:3]
        assert not log.has(since)
    gone = f"{order(entries[5][0])[0]}-9999999"
    with pytest.raises(LogRolledBack):
        log.read(gone)
    with pytest.raises(LogRolledBack):
        list(log.replay(following(entries[-1][0])))
    assert preceding("7-0") == "6-18446744073709551615"


@pytest.mark.parametrize(("moment", "number"), [("begun", 1), ("written", 2), ("noted", 1), ("rewritten", 1)])
def test_kill_loses_and_doubles_nothing(
    client: redis.Redis, keys: Keys, folder: Path, redis_server: RedisServer, moment: str, number: int
) -> None:
    """At every step; the next archiver does the rest, and leaves no file that nobody knows of."""
    entries = grown(client, keys, 450)
    campaign = keys.prefix.split(":")[1]
    arguments = [redis_server.url, campaign, str(folder), str(KEPT), moment, str(number)]
    code = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False).returncode
    assert code == -9
    assert whole(client, keys, folder) == entries
    grown(client, keys, 50, folder)
    archived(client, keys, folder)
    now = whole(client, keys, folder)
    assert now[: len(entries)] == entries
    assert len(now) == len(entries) + 50
    parts = EventLog(client, keys, folder).parts()
    assert {path.name for path in folder.iterdir()} == {part.name for part in parts} | {moving.LOCK_NAME}
    assert not is_due(client.xlen(keys.log), KEPT)


def test_reader_under_way_notices_nothing(client: redis.Redis, keys: Keys, folder: Path) -> None:
    """Events move to the archive behind, before and under a reader."""
    entries = grown(client, keys, 450)
    for stop in (0, 10, 300, 440):
        replay = EventLog(client, keys, folder).replay_packed()
        found = [next(replay) for _ in range(stop)]
        archived(client, keys, folder, kept=KEPT if stop else 300)
        assert found + list(replay) == entries


def test_one_writes_one_archives_one_reads(
    client: redis.Redis, keys: Keys, folder: Path, redis_server: RedisServer
) -> None:
    """All at the same time: the reader gets each event once, in order."""
    from moireloop_broker.state.redis_client import open_reader

    done = threading.Event()

    def write() -> None:
        other = open_reader(redis_server.url)
        for _ in range(8):
            grown_only(other, keys, 100)
        done.set()
        other.close()

    def archive() -> None:
        other = open_reader(redis_server.url)
        while not done.is_set():
            archived(other, keys, folder, kept=100)
        other.close()

    threads = [threading.Thread(target=work) for work in (write, archive)]
    for thread in threads:
        thread.start()
    log, since, found = EventLog(client, keys, folder), START, list[str]()
    while not done.is_set() or log.after(since, 1):
        for entry_id, _ in log.read(since, 37):
            found.append(entry_id)
            since = entry_id
    for thread in threads:
        thread.join()
    archived(client, keys, folder, kept=100)
    assert found == [entry_id for entry_id, _ in whole(client, keys, folder)]
    assert len(found) == 801
    assert len(log.parts()) >= 7


def grown_only(client: redis.Redis, keys: Keys, count: int) -> None:
    """So many further events, published."""
    log = EventLog(client, keys)
    for n in range(count):
        client.hset(keys.relay, keys.log, log.append(ServiceChanged(service=f"s{n}", state="started", at_s=float(n))))


def test_what_is_not_published_stays(client: redis.Redis, keys: Keys, folder: Path) -> None:
    """The relay reads the log alone: what it has not published is not moved."""
    entries = grown(client, keys, 700, published=False)
    assert archived(client, keys, folder) == []
    client.hset(keys.relay, keys.log, entries[149][0])
    assert archived(client, keys, folder) == ["written", "noted", "written", "noted"]
    assert [part.last for part in EventLog(client, keys, folder).parts()] == [entries[99][0], entries[149][0]]
    assert whole(client, keys, folder) == entries


def test_script_moves_only_the_oldest_and_published(client: redis.Redis, keys: Keys) -> None:
    """Whatever an archiver that is late, or wrong, asks for."""
    entries = grown(client, keys, 10, published=False)
    scripts = CampaignScripts(client, keys)
    part = Part(entries[0][0], entries[3][0], 4, 1)
    assert scripts.archive(part, None) == "unpublished"
    client.hset(keys.relay, keys.log, entries[-1][0])
    assert scripts.archive(part, part) == "other"
    assert scripts.archive(Part(entries[1][0], entries[3][0], 3, 1), None) == "gone"
    assert scripts.archive(Part(entries[0][0], f"{order(entries[3][0])[0]}-999999", 3, 1), None) == "gone"
    assert scripts.archive(Part(entries[0][0], entries[-1][0], 11, 1), None) == "newest"
    assert client.xlen(keys.log) == 11
    assert [scripts.archive(part, None) for _ in range(2)] == ["archived", "archived"]
    assert client.xlen(keys.log) == 7
    assert client.llen(keys.archived) == 1


@pytest.mark.parametrize("fault", ["gone", "cut", "garbage", "foreign", "no folder"])
def test_missing_file_is_reported(client: redis.Redis, keys: Keys, folder: Path, fault: str) -> None:
    """By its name, to a reader of the log and to a client that replays; newer events are still there."""
    entries = grown(client, keys, 450)
    archived(client, keys, folder)
    first, second = EventLog(client, keys, folder).parts()[:2]
    path = folder / first.name
    if fault == "gone":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif fault == "garbage":
        path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    elif fault == "foreign":
        writing.write_part(folder / "x", [entries[:50]])
        (folder / "x" / first.name).replace(path)
    known = None if fault == "no folder" else folder
    with pytest.raises(ArchiveLost, match="folder" if known is None else first.name):
        whole(client, keys, known)  # type: ignore[arg-type]
    assert list(EventLog(client, keys, known).replay_packed(entries[300][0])) == entries[301:]
    if known is not None:
        assert EventLog(client, keys, known).after(second.first, 1) == [entries[101]]


def test_replay_over_the_wire(client: redis.Redis, keys: Keys, folder: Path) -> None:
    """Pages of the broker begin in the archive and end in the log, and are kept as others are."""
    entries = grown(client, keys, 450)
    archived(client, keys, folder)
    pages, found, since, complete = Replays(client, keys, folder), list[str](), START, False
    while not complete:
        for _ in range(2):
            *_, packed = pages.page(ReplayRequest(since=since, limit=130))
        assert packed is not None
        page = unpack_reply(packed)
        assert isinstance(page, Replay)
        found += [entry.id for entry in page.entries]
        since, complete = page.last_id, page.complete
    assert found == [entry_id for entry_id, _ in entries]


def test_archiving_is_not_a_fault_of_the_state(client: redis.Redis, keys: Keys, folder: Path) -> None:
    """The log loses its first events to the archive; what else they go to is a fault."""
    entries = grown(client, keys, 450)
    watch = StateWatch(client, keys, "", "session")
    watch._first_id = entries[0][0]
    assert not watch._is_archived(entries[0][0], entries[1][0])
    archived(client, keys, folder)
    assert watch._is_archived(entries[0][0], entries[300][0])
    assert watch._first_id == entries[300][0]
    assert not watch._is_archived(entries[300][0], entries[201][0])
    assert not watch._is_archived(entries[300][0], "")


@pytest.fixture
def watched(client: redis.Redis, keys: Keys, tmp_path: Path, redis_server: RedisServer) -> Iterator[ArchiveWatch]:
    """The broker's watch over the archive."""
    campaign = keys.prefix.split(":")[1]
    connection = connection_of(campaign, tmp_path, redis_server.url)
    watch = ArchiveWatch(client, connection, CampaignState(client, keys, campaign), KEPT)
    yield watch
    watch.close()


def service_changes(client: redis.Redis, keys: Keys, folder: Path) -> list[tuple[str, str]]:
    """What the log says of the archive: states and reasons."""
    events = [event for _, event in EventLog(client, keys, folder).replay() if isinstance(event, ServiceChanged)]
    return [(event.state, event.reason or "") for event in events if event.service == SERVICE]


def test_folder_that_takes_no_files(client: redis.Redis, keys: Keys, folder: Path, watched: ArchiveWatch) -> None:
    """It is reported once and tried again; nothing is lost; when files can be written again the rest is moved."""
    entries = grown(client, keys, 450)
    folder.write_text("in the way")

    def tried() -> int:
        watched.look()
        return watched.tries

    wait_until(lambda: tried() >= 2, "archiving was tried twice")
    ((state, reason),) = service_changes(client, keys, folder)
    assert state == "crashed"
    assert "older events stay in Redis and will be moved later" in reason
    assert str(folder) in reason
    assert client.xlen(keys.log) == len(entries) + 1
    folder.unlink()

    def moved() -> bool:
        watched.look()
        return len(service_changes(client, keys, folder)) == 2

    wait_until(moved, "the archive is said to be well again")
    assert [state for state, _ in service_changes(client, keys, folder)] == ["crashed", "started"]
    assert whole(client, keys, folder)[: len(entries)] == entries
    assert client.xlen(keys.log) < KEPT + part_events(KEPT)


def test_full_disk(client: redis.Redis, keys: Keys, folder: Path, redis_server: RedisServer) -> None:
    """A file that cannot be written whole is not left behind, and the log keeps its events."""
    entries = grown(client, keys, 450)
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (450, 450))\n" + KILLED
    arguments = [redis_server.url, keys.prefix.split(":")[1], str(folder), str(KEPT), "never", "1"]
    done = subprocess.run([sys.executable, "-c", limited, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "OSError" in done.stderr
    assert [path.name for path in folder.iterdir()] == [moving.LOCK_NAME]
    assert whole(client, keys, folder) == entries
    assert client.llen(keys.archived) == 0


def test_disk_that_keeps_something_else(
    client: redis.Redis, keys: Keys, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is read again before the log lets go of it."""
    entries = grown(client, keys, 400)
    block = reading.PartFile.blocks

    def altered(file: reading.PartFile) -> Iterator[list[Entry]]:
        for rows in block(file):
            yield [(entry_id, body[:-1] + b"x") for entry_id, body in rows]

    monkeypatch.setattr(reading.PartFile, "blocks", altered)
    with pytest.raises(ArchiveLost, match="does not keep what is written"):
        archived(client, keys, folder)
    assert client.xlen(keys.log) == len(entries)
