"""Helpers that do whatever they like: each ends in time, with all that it has started, and is reported."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from moireloop_broker.processes.guarded import OUTPUT_BYTES
from moireloop_broker.processes.helper import Helper, HelperLost
from moireloop_broker.processes.trial import TrialOverdue, try_out
from tests.helpers.waiting import wait_until

PROGRAM = '''
import os, signal, socket, subprocess, sys, time
from multiprocessing.connection import Connection
from pathlib import Path

fd, what, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
pipe = Connection(fd)


def left(pid):
    """Say who is left behind."""
    (folder / f"pid-{pid}").touch()


def sleeper():
    """A child that sleeps; it has the pipe too."""
    if (pid := os.fork()) == 0:
        time.sleep(600)
    left(pid)


def daemon(deaf=False):
    """A double fork into a separate session."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if deaf:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)
            left(os.getpid())
            time.sleep(600)
        os._exit(0)
    os.wait()


def program():
    """Another program, in its own session and without our environment."""
    left(subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, env={}).pid)


def noise(stream):
    while True:
        os.write(stream, b"x" * 65536)


pipe.send_bytes(b"ready")
question = pipe.recv_bytes()
if what == "answers":
    pipe.send_bytes(question[::-1])
if what == "leaves":
    sleeper(), daemon(), daemon(deaf=True), program()
    pipe.send_bytes(b"left")
if what == "exits":
    sleeper(), daemon()
    os._exit(7)
if what == "killed":
    sleeper()
    os.kill(os.getpid(), signal.SIGSEGV)
if what == "closes":
    os.close(fd)
if what == "leaves its pipe open":
    sleeper()
    os._exit(0)
if what == "half":
    os.write(fd, b"\\x00\\x00\\x10\\x00half of it")
if what == "huge":
    os.write(fd, b"\\x7f\\xff\\xff\\xff" + b"x" * 1000)
if what == "rubbish":
    os.write(fd, b"\\xff\\xff\\xff\\xffrubbish")
if what == "stops":
    sleeper()
    os.kill(os.getpid(), signal.SIGSTOP)
if what == "stops its guard":
    daemon()
    os.kill(os.getppid(), signal.SIGSTOP)
if what == "kills its guard":
    daemon(), sleeper()
    os.kill(os.getppid(), signal.SIGKILL)
if what == "group":
    daemon()
    os.killpg(0, signal.SIGKILL)
if what == "noise":
    noise(1)
if what == "few words":
    print("a word", flush=True)
    pipe.send_bytes(b"said")
if what == "memory":
    try:
        kept = [bytearray(1 << 24) for _ in range(1 << 20)]
    except MemoryError:
        pipe.send_bytes(b"MemoryError")
if what == "recursion":
    deeper = lambda n: deeper(n + 1)
    try:
        deeper(0)
    except RecursionError:
        pipe.send_bytes(b"RecursionError")
time.sleep(600)
'''


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Helper]]:
    (tmp_path / "wild_program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "left").mkdir()
    started: list[Helper] = []

    def begun(what: str) -> Helper:
        helper = Helper(
            "wild_program", [what, str(tmp_path / "left")], f"wild {what}", memory_bytes=1 << 29, largest_bytes=1 << 20
        )
        started.append(helper)
        assert wait_until(lambda: helper.receive(0.1), "it is ready") == b"ready"
        return helper

    yield begun
    for helper in started:
        helper.end()
    assert alive(tmp_path) == []


def alive(folder: Path) -> list[int]:
    """Those that were left behind and have not ended."""
    pids = [int(path.name.removeprefix("pid-")) for path in (folder / "left").iterdir()]
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def lost(helper: Helper, limit_s: float = 1.0) -> str:
    """What is reported of a helper that gets a request."""
    helper.send(b"question")
    helper.allow(limit_s)
    begun_s = time.monotonic()
    with pytest.raises(HelperLost) as raised:
        wait_until(lambda: helper.receive(0.05), "it is lost", limit_s + 30)
    assert time.monotonic() - begun_s < limit_s + 10
    return str(raised.value)


def test_it_is_asked_and_replies(start: Callable[[str], Helper]) -> None:
    """Also where a message is larger than a pipe holds; nothing is waited for when it is sent."""
    helper = start("answers")
    question = os.urandom(1 << 20)
    helper.send(question)
    helper.allow(30)
    assert wait_until(lambda: helper.receive(0.0), "it answers") == question[::-1]
    helper.allow(None)
    assert helper.receive(0.0) is None
    assert psutil.Process(helper.pid).cmdline()[2] == "wild_program"


def test_all_that_it_started_ends_with_it(start: Callable[[str], Helper], tmp_path: Path) -> None:
    """A fork, a daemon, one that takes no signal, and a program in its own session and environment."""
    helper = start("leaves")
    helper.send(b"question")
    assert wait_until(lambda: helper.receive(0.1), "it answers") == b"left"
    wait_until(lambda: len(alive(tmp_path)) == 4, "all are there")
    helper.end()
    assert alive(tmp_path) == []


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("exits", "took down its process, which ended with exit code 7"),
        ("killed", "took down its process, which was killed by SIGSEGV"),
        ("group", "took down its process, which was killed by SIGKILL"),
        ("kills its guard", "took down its process, which was killed by SIGKILL"),
        ("closes", "closed its pipe"),
        ("leaves its pipe open", "took down its process, which ended with exit code 0"),
        ("half", "did not finish within 1 s"),
        ("stops", "did not finish within 1 s"),
        ("stops its guard", "did not finish within 1 s"),
        ("noise", "did not finish within 1 s"),
        ("huge", "sent an invalid message: expected a message of at most 1048576 bytes, got 2147483647"),
        ("rubbish", "sent an invalid message: expected a message of at most 1048576 bytes, got -1"),
    ],
)
def test_whatever_it_does_is_reported_in_time(
    start: Callable[[str], Helper], tmp_path: Path, what: str, message: str
) -> None:
    """And nothing of it is left."""
    assert lost(start(what)) == message
    assert alive(tmp_path) == []


def test_one_that_reads_nothing_is_not_waited_for(start: Callable[[str], Helper]) -> None:
    """A message that does not fit into the pipe goes as far as it can; the limit ends the rest."""
    helper = start("answers")
    os.kill(helper.pid, signal.SIGSTOP)
    begun_s = time.monotonic()
    helper.send(bytes(64 << 20))
    assert time.monotonic() - begun_s < 5
    assert lost(helper) == "did not finish within 1 s"


@pytest.mark.parametrize(("what", "message"), [("memory", b"MemoryError"), ("recursion", b"RecursionError")])
def test_memory_and_stack_have_limits(start: Callable[[str], Helper], what: str, message: bytes) -> None:
    """Of half a gigabyte here, beyond which Python itself raises an error."""
    helper = start(what)
    helper.send(b"question")
    helper.allow(30)
    assert wait_until(lambda: helper.receive(0.1), "it meets its limit") == message


def test_output_is_cut_and_counted(start: Callable[[str], Helper], capfd: pytest.CaptureFixture[str]) -> None:
    """What is let through is bounded; how much was not stands at the end."""
    lost(start("noise"))
    captured = capfd.readouterr()
    line = captured.err.splitlines()[-1]
    assert line.startswith("output cut name=wild noise bytes=")
    assert int(line.rpartition("=")[2]) > OUTPUT_BYTES
    assert OUTPUT_BYTES / 2 < len(captured.out) + len(captured.err) < 2 * OUTPUT_BYTES


def test_few_words_pass(start: Callable[[str], Helper], capfd: pytest.CaptureFixture[str]) -> None:
    """What says little is let through as it is."""
    helper = start("few words")
    helper.send(b"question")
    assert wait_until(lambda: helper.receive(0.1), "it answers") == b"said"
    helper.end()
    assert capfd.readouterr().out == "a word\n"


SERVICE = """
import sys, time
from moireloop_broker.processes.helper import Helper
helper = Helper("wild_program", ["leaves", sys.argv[1]], "wild")
helper.send(b"question")
while helper.receive(1.0) != b"left":
    pass
print("left", flush=True)
time.sleep(600)
"""


def test_nothing_is_left_where_the_service_is_killed(start: Callable[[str], Helper], tmp_path: Path) -> None:
    """With SIGKILL, which lets it do nothing about its helper."""
    command = [sys.executable, "-c", SERVICE, str(tmp_path / "left")]
    with subprocess.Popen(command) as service:
        try:
            wait_until(lambda: len(alive(tmp_path)) == 4, "all are there")
        finally:
            service.kill()
    wait_until(lambda: alive(tmp_path) == [], "all have ended")


TRIAL = """
import os, sys, time
print("begins", flush=True)
if sys.argv[1] == "leaves":
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
if sys.argv[1] == "hangs":
    time.sleep(600)
print(sys.stdin.read())
print("words", file=sys.stderr)
raise SystemExit(3)
"""


@pytest.mark.parametrize("what", ["ends", "leaves"])
def test_trial_says_how_it_ended(what: str) -> None:
    """Its exit code, what it said and its last words; it is not waited for what it left behind."""
    trial = try_out([sys.executable, "-c", TRIAL, what], "a trial", start_s=30, limit_s=30, stdin=b"words")
    assert (trial.code, trial.said, trial.words) == (3, b"begins\nwords\n", b"words\n")


@pytest.mark.parametrize(("start_s", "limit_s"), [(0.5, None), (30.0, 0.5)])
def test_trial_that_hangs_is_ended(start_s: float, limit_s: float | None) -> None:
    """From its beginning on, or from the moment at which it says that it begins."""
    with pytest.raises(TrialOverdue, match=r"it did not finish within 0\.5 s"):
        try_out([sys.executable, "-c", TRIAL, "hangs"], "a trial", start_s=start_s, limit_s=limit_s)
