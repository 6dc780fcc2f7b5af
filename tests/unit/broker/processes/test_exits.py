"""How processes ended, and signals that reach nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from moireloop_broker.processes.exits import end_of_group, signal_group
from tests.helpers.waiting import wait_until

pytestmark = pytest.mark.processes

LEAVES_ONE = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); sys.stdin.read()"

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python program that leads its own process group."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(program: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen(command, start_new_session=True, **pipes))  # type: ignore[call-overload]
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        with process:  # closes its pipes, and waits
            pass


def test_end_of_a_leader_takes_its_group_along(start: Start) -> None:
    """The group gets its signal while the dead leader still has its number, which nobody else can have then."""
    leader = start(LEAVES_ONE)
    assert leader.stdout is not None
    assert leader.stdin is not None
    left = int(leader.stdout.readline())
    assert end_of_group(leader) is None
    leader.stdin.close()
    assert wait_until(lambda: end_of_group(leader) is not None, "the leader has ended")
    assert end_of_group(leader) == 0

    def is_gone() -> bool:
        try:
            with open(f"/proc/{left}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(is_gone, "what it left is dead")


def test_number_that_was_let_go_gets_no_signal(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a process was waited for, the kernel may give its number to any other."""
    leader = start("")
    leader.wait()
    sent: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda pid, _: sent.append(pid))
    signal_group(leader, signal.SIGKILL)
    assert end_of_group(leader) == 0
    assert sent == []
