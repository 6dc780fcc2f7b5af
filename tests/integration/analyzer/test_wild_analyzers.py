"""Analyzers gone wild: each ends within its time with all that it started, is named, and the campaign goes on."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
import pytest

from moireloop_analyzer.plugins import host
from moireloop_analyzer.plugins.host import Analyst
from moireloop_analyzer.service.analyzer import AnalyzerService
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.connection import Connection
from moireloop_broker.contract.events import AnalysisOutcome
from moireloop_broker.state.settings_store import write_settings
from tests.helpers.installed import install
from tests.helpers.waiting import wait_until
from tests.integration.analyzer.test_analyzer_service import bilayer, finished, frame, stepped_until

MODULE = """
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

from moireloop_analyzer import Analysis

LEFT = Path(os.environ["LEFT"])


def left(pid):
    (LEFT / f"pid-{pid}").touch()


def pipes():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                found.append(int(name))
        except OSError:
            pass
    return found


def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            left(os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()


def wild(what):
    def analyzer(snapshot):
        if snapshot.step > 0 or what.startswith("first"):
            DEEDS[what.removeprefix("first_")]()
        return Analysis(numbers={"well": 1.0})
    return analyzer


def forks():
    if (pid := os.fork()) == 0:
        time.sleep(600)
    left(pid)


def forks_and_returns():
    os.fork()


def half():
    for fd in pipes():
        os.write(fd, b"\\x00\\x00\\x10\\x00half of it")
    time.sleep(600)


def half_and_on():
    for fd in pipes():
        os.write(fd, b"\\x00\\x00\\x10\\x00half of it")


def rubbish():
    for fd in pipes():
        os.write(fd, b"\\x00\\x00\\x00\\x04abcd")


def leaves():
    sys.exit("enough")


def words():
    while True:
        for fd in pipes():
            os.write(fd, bytes(4))


def huge():
    for fd in pipes():
        os.write(fd, b"\\x7f\\xff\\xff\\xff")
    time.sleep(600)


def closes():
    for fd in pipes():
        os.close(fd)
    time.sleep(600)


def stops():
    daemon()
    os.kill(os.getpid(), signal.SIGSTOP)


def noise():
    while True:
        os.write(2, b"x" * 65536)


def much():
    for _ in range(100):
        os.write(1, b"x" * 65536)


def exits():
    os._exit(7)


def memory():
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


def recursion():
    recursion()


DEEDS = {name: deed for name, deed in globals().items() if callable(deed)}
for name in list(DEEDS):
    globals()["wild_" + name] = wild(name)
first_stops = wild("first_stops")
first_words = wild("first_words")


def count(snapshot):
    return Analysis(numbers={"atoms_count": len(snapshot.types)})
"""
NAMES = (
    "forks", "daemon", "forks_and_returns", "half", "half_and_on", "words", "huge", "closes", "stops", "noise", "much",
    "exits", "leaves", "rubbish", "memory", "recursion",
)  # fmt: skip
ENTRIES = {
    **{f"wild_{name}": f"wilds:wild_{name}" for name in NAMES},
    **{name: f"wilds:{name}" for name in ("first_stops", "first_words", "count")},
}
LATE = "did not finish within 1 s"


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where they say whom they have left behind."""
    folder = tmp_path / "left"
    folder.mkdir()
    monkeypatch.setenv("LEFT", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(install(tmp_path / "packages", "wilds", MODULE, ENTRIES)))
    return folder


def alive(left: Path) -> list[int]:
    found = []
    for path in left.iterdir():
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(path.name.removeprefix("pid-")))
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def outcomes(names: tuple[str, ...], frames: int = 1, analysis_s: float = 1.0) -> list[dict[str, AnalysisOutcome]]:
    """What comes of some frames, one after the other; nothing is left at the end."""
    analyst = Analyst(AnalyzerSettings(analyses=names, analysis_s=analysis_s), memory_bytes=1 << 30)
    for number in range(frames):
        analyst.add(frame(f"c{number}", *bilayer(8.2)[:2]), may_drop=False)
    found: list[dict[str, AnalysisOutcome]] = []

    def all_found() -> bool:
        begun_s = time.monotonic()
        found.extend(done.analyses for done in analyst.finished(0.02))
        assert time.monotonic() - begun_s < 8
        return len(found) == frames

    try:
        wait_until(all_found, "the frames are done", 90)
    finally:
        analyst.close()
    return found


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("half", LATE),
        ("stops", LATE),
        ("noise", LATE),
        ("closes", "closed its pipe"),
        ("exits", "took down its process, which ended with exit code 7"),
        ("huge", "sent an invalid message: expected a message of at most 67108864 bytes, got 2147483647"),
        ("words", "sent an invalid outcome: "),
        ("half_and_on", LATE),
        ("rubbish", "sent an invalid outcome: "),
    ],
)
def test_wild_one_is_named_and_the_others_go_on(left: Path, deed: str, reason: str) -> None:
    """Its frame has the reason instead of its numbers; the other analyzers' numbers are there."""
    (found,) = outcomes(("count", f"wild_{deed}"))
    assert found["count"].numbers == {"atoms_count": 392.0}
    reported = found[f"wild_{deed}"].reason or ""
    assert reported.startswith(f"analyzer 'wild_{deed}' {reason}")
    assert alive(left) == []


@pytest.mark.parametrize("deed", ["forks", "daemon", "forks_and_returns", "much"])
def test_what_is_only_left_behind_goes_at_the_end(left: Path, deed: str) -> None:
    """The outcomes stand, each once; forks and daemons end with the session."""
    found = outcomes((f"wild_{deed}", "count"), frames=2)
    assert [one[f"wild_{deed}"].numbers for one in found] == [{"well": 1.0}] * 2
    assert [one["count"].numbers for one in found] == [{"atoms_count": 392.0}] * 2
    assert alive(left) == []


@pytest.mark.parametrize(
    ("deed", "error"), [("memory", "MemoryError"), ("recursion", "RecursionError"), ("leaves", "SystemExit: enough")]
)
def test_limits_of_memory_and_stack_are_errors(left: Path, deed: str, error: str) -> None:
    """Told as every error of an analyzer is; its process lives on."""
    (found,) = outcomes((f"wild_{deed}",), analysis_s=60.0)
    assert (found[f"wild_{deed}"].reason or "").startswith(error)


@pytest.mark.parametrize(("name", "reason"), [("first_stops", LATE), ("first_words", "sent an invalid outcome: ")])
def test_one_that_is_wild_from_the_first_is_given_up(
    left: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    """When it first looks at a small bilayer, its time is bounded too."""
    monkeypatch.setattr(host, "FIRST_LOOK_S", 1.0)
    first, second = outcomes((name, "count"), frames=2)
    assert (first[name].reason or "").startswith(f"analyzer {name!r} {reason}")
    assert (second[name].reason or "").startswith(f"given up: analyzer {name!r} {reason}")
    assert first["count"].numbers == {"atoms_count": 392.0}
    assert alive(left) == []


def test_results_of_the_campaign_stand(connection: Connection, left: Path) -> None:
    """In the service: the run is measured, and its result says what became of the analyzer that stopped itself."""
    client = connection.open_redis()
    settings = {"analyses": ("wild_stops", "wild_daemon"), "analysis_s": 1.0}
    write_settings(client, connection.keys, {"analyzers": settings})
    client.close()
    finished(connection, "c1", frame("c1", *bilayer(8.2)[:2]))
    service = AnalyzerService(connection, "a0")
    (result,) = stepped_until(service, 1, connection)
    service.close()
    assert result.twist_deg == pytest.approx(8.2, abs=1e-3)
    assert result.analyses["wild_stops"].reason == f"analyzer 'wild_stops' {LATE}"
    assert result.analyses["wild_daemon"].numbers == {"well": 1.0}
    assert alive(left) == []
