"""Guards a user's code: `python -I -S guard.py NAME OUTPUT_BYTES MEMORY_BYTES PID_FD -- COMMAND...` (adapter).

The guard is the parent of the command, and of everything that it starts: with PR_SET_CHILD_SUBREAPER (prctl(2)) the
kernel gives it every descendant whose parent ends, even one that left its session. When the command ends, or the guard
gets SIGTERM, all descendants are killed, and the guard ends as the command did. Their stdout and stderr pass through
the guard up to a limit; the rest is counted. The command gets SIGKILL when the guard is killed.

It imports no other module of moireloop: it runs without the environment's packages, so it starts within milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1

PR_SET_CHILD_SUBREAPER = 36

UNLIMITED = 0

REFILL_BYTES_PER_S = 64.0
"""What may be written on after the first bytes: some 5 MB a day."""

CHUNK_BYTES = 65536

NICE_WHEN_CUTTING = 10

KILL_S = 5.0

GONE_STATES = "ZX"


def descendants(root: int) -> list[int]:
    """Processes that descend from `root` and have not ended, parents before children."""
    processes = {int(entry): _state_and_parent(entry) for entry in os.listdir("/proc") if entry.isdecimal()}
    children: dict[int, list[int]] = {}
    for pid, (_, parent) in processes.items():
        children.setdefault(parent, []).append(pid)
    below = children.get(root, [])
    for pid in below:
        below += children.get(pid, [])
    return [pid for pid in below if processes[pid][0] not in GONE_STATES]


def kill_descendants(root: int, patience_s: float = KILL_S) -> None:
    """Kill all descendants of a process; they are stopped first, so that none starts another meanwhile."""
    deadline_s = time.monotonic() + patience_s
    while (alive := descendants(root)) and time.monotonic() < deadline_s:
        for death in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, death)
        if root == os.getpid():
            _reap_all()
        time.sleep(0.002)


def _state_and_parent(pid: str) -> tuple[str, int]:
    """State and parent of a process, as of proc(5)."""
    try:
        fields = Path("/proc", pid, "stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return GONE_STATES[0], 0
    return fields[0].decode(), int(fields[1])


def _reap_all() -> dict[int, int]:
    """How children ended that have ended, by process id."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while (reaped := os.waitpid(-1, os.WNOHANG))[0] != 0:
            ended[reaped[0]] = reaped[1]
    return ended


class Stream:
    """One stream of output, from all descendants to where the guard's own goes, bounded and counted."""

    def __init__(self, descriptor: int, most_bytes: int) -> None:
        self.source, self.mouth = os.pipe()
        os.set_blocking(self.source, False)
        self.cut_bytes = 0
        self._descriptor = descriptor
        self._most_bytes = self._left_bytes = float(most_bytes)
        self._since_s = time.monotonic()

    def pump(self) -> bool:
        """Pass on what is there, or count it; whether there was anything."""
        try:
            chunk = os.read(self.source, CHUNK_BYTES)
        except BlockingIOError:
            return False
        now_s = time.monotonic()
        refill = (now_s - self._since_s) * REFILL_BYTES_PER_S
        self._left_bytes, self._since_s = min(self._most_bytes, self._left_bytes + refill), now_s
        kept = chunk if len(chunk) <= self._left_bytes else b""
        self._left_bytes -= len(kept)
        self._count(len(chunk) - self._written(kept))
        return bool(chunk)

    def say(self, words: str) -> None:
        """A line of the guard's own."""
        self._written(words.encode())

    def _count(self, lost_bytes: int) -> None:
        if lost_bytes and not self.cut_bytes:
            os.nice(NICE_WHEN_CUTTING)
        self.cut_bytes += lost_bytes

    def _written(self, data: bytes) -> int:
        """How many bytes could be written; the disk may be full, or the reader gone."""
        done = 0
        with contextlib.suppress(OSError):
            while done < len(data):
                done += os.write(self._descriptor, data[done:])
        return done


class Guard:
    """One command under guard."""

    def __init__(self, name: str, most_bytes: int, memory_bytes: int, command: list[str]) -> None:
        self._name = name
        self._is_asked = False
        self._status: int | None = None
        self._wake, wake_end = os.pipe()
        for end in (self._wake, wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._streams = [Stream(1, most_bytes)]
        if not os.path.sameopenfile(1, 2):
            self._streams.append(Stream(2, most_bytes))
        self._kept = {0, 1, 2, self._wake, wake_end}
        self._kept |= {end for stream in self._streams for end in (stream.source, stream.mouth)}
        self.pid = self._start(memory_bytes, command)

    def run(self) -> int:
        """Wait for the end of the command; returns how it ended, as waitpid does."""
        waiting = select.poll()
        for source in (self._wake, *(stream.source for stream in self._streams)):
            waiting.register(source, select.POLLIN)
        while self._status is None and not self._is_asked:
            waiting.poll()
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, CHUNK_BYTES)
            for stream in self._streams:
                stream.pump()
            self._status = _reap_all().get(self.pid)
        return self._end()

    def close_others(self) -> None:
        """Close every descriptor that is meant only for the command, so that nothing else holds it."""
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in self._kept:
                with contextlib.suppress(OSError):
                    os.close(int(name))

    def _ask(self, *_: object) -> None:
        self._is_asked = True

    def _start(self, memory_bytes: int, command: list[str]) -> int:
        guard = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            _become(command, memory_bytes, guard, self._streams[0].mouth, self._streams[-1].mouth)
        finally:
            os._exit(127)

    def _end(self) -> int:
        """Kill all descendants, pass on their last words, and say how much was cut."""
        if self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            _, self._status = os.waitpid(self.pid, 0)
        kill_descendants(os.getpid())
        for stream in self._streams:
            for _ in range(1 + (1024 * 1024) // CHUNK_BYTES):
                if not stream.pump():
                    break
        cut_bytes = sum(stream.cut_bytes for stream in self._streams)
        if cut_bytes:
            self._streams[-1].say(f"\noutput cut name={self._name} bytes={cut_bytes}\n")
        return self._status


def _become(command: list[str], memory_bytes: int, guard: int, output: int, errors: int) -> None:
    """Turn this process, a new child of the guard, into the command."""
    os.setsid()
    os.dup2(output, 1)
    os.dup2(errors, 2)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if memory_bytes != UNLIMITED:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(b"1000")
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == guard:
        os.execvp(command[0], command)  # noqa: S606


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None).prctl(option, value, 0, 0, 0) != 0:
        sys.exit(f"expected prctl to accept option {option}, got an error")


def _end_likewise(status: int) -> None:
    """End as the command did: by the same signal, or with the same exit code."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def _main(arguments: list[str]) -> None:
    name, most_bytes, memory_bytes, pid_descriptor = arguments[0], *map(int, arguments[1:4])
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.set_inheritable(pid_descriptor, False)
    guard = Guard(name, most_bytes, memory_bytes, arguments[arguments.index("--") + 1 :])
    os.write(pid_descriptor, f"{guard.pid}\n".encode())
    guard.close_others()
    _end_likewise(guard.run())


if __name__ == "__main__":
    _main(sys.argv[1:])
