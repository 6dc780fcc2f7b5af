"""A command on a lifeline dies with its parent, however that one ends; real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from tests.helpers.waiting import wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = """
import signal, subprocess, sys
from moireloop_broker.processes.lifeline import lifeline_command
child = subprocess.Popen(lifeline_command(sys.argv[2:], signal.Signals(int(sys.argv[1]))))
print(child.pid, flush=True)
child.wait()
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def runs(pid: int, word: str) -> bool:
    """Whether the process has become the command itself, past the small program in between."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "lifeline.py" not in command and word in command


def parent_of(command: list[str], death_signal: signal.Signals) -> tuple[subprocess.Popen[str], int]:
    """A parent process, and the pid of the child that it holds on a lifeline."""
    arguments = [sys.executable, "-c", PARENT, str(int(death_signal)), *command]
    parent = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_child_dies_when_its_parent_is_killed(end: signal.Signals) -> None:
    """A parent that ends by a signal, -9 too, takes its child with it."""
    parent, child = parent_of(SLEEP, signal.SIGKILL)
    wait_until(lambda: runs(child, "sleep"), "the command runs")
    parent.send_signal(end)
    parent.communicate(timeout=20)
    wait_until(lambda: not is_alive(child), "the child is dead")


def test_child_gets_the_signal_that_was_asked_for(tmp_path: Path) -> None:
    """With SIGTERM the child may tidy up before it goes."""
    mark = tmp_path / "mark"
    tidy = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n    pathlib.Path(sys.argv[1]).write_text('tidied'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path(sys.argv[1]).write_text('ready'); time.sleep(60)\n"
    )
    parent, child = parent_of([sys.executable, "-c", tidy, str(mark)], signal.SIGTERM)
    wait_until(lambda: mark.exists() and mark.read_text() == "ready", "the command is ready")
    parent.kill()
    parent.communicate(timeout=20)
    wait_until(lambda: not is_alive(child), "the child is dead")
    assert mark.read_text() == "tidied"


def test_child_lives_while_its_parent_does() -> None:
    """The lifeline itself ends nothing: the command runs to its own end, with its own exit code."""
    command = lifeline_command([sys.executable, "-c", "raise SystemExit(7)"], signal.SIGKILL)
    assert subprocess.run(command, check=False, timeout=60).returncode == 7


def test_parent_that_is_gone_already_is_refused(tmp_path: Path) -> None:
    """When the parent died before the lifeline was tied, the command is not started at all."""
    mark = tmp_path / "mark"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = lifeline_command(["touch", str(mark)], signal.SIGKILL, parent=gone.pid)
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert f"expected parent process {gone.pid}, got {os.getpid()}" in refused.stderr
    assert not mark.exists()


def test_any_parent_means_the_starting_process() -> None:
    """A rank that mpiexec's own process starts is tied to that process."""
    inner = lifeline_command(SLEEP, signal.SIGKILL, parent=ANY_PARENT)
    program = "import subprocess, sys; c = subprocess.Popen(sys.argv[1:]); print(c.pid, flush=True); c.wait()"
    parent = subprocess.Popen([sys.executable, "-c", program, *inner], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_until(lambda: runs(child, "sleep"), "the command runs")
    parent.kill()
    parent.communicate(timeout=20)
    wait_until(lambda: not is_alive(child), "the child is dead")
