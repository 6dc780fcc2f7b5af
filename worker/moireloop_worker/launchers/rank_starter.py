"""`python -m moireloop_worker.launchers.rank_starter RANKS NAME REPORT -- COMMAND...`: ranks of one MPI program (main).

It replaces mpiexec on one host and needs no port: each rank inherits a socket to it. When a rank dies, all ranks are
killed, and the file descriptor REPORT (if it is a number) gets a line of JSON: rank, pid, code.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from moireloop_worker.launchers.process_management import ProcessManagement
from moireloop_worker.launchers.rank_environment import rank_environment


class RankGroup:
    """The ranks of one program, until the last one has ended."""

    def __init__(self, ranks: int, name: str, command: Sequence[str]) -> None:
        self._management = ProcessManagement(ranks, name)
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._heard: list[bytes] = [b""] * ranks
        self._processes: list[subprocess.Popen[bytes]] = []
        self._wake_up()
        for rank in range(ranks):
            self._start(rank, ranks, command)

    def run(self) -> tuple[int, int, int] | None:
        """Serve the ranks until all have ended; returns rank, pid and exit code of the first that died, or None."""
        died: tuple[int, int, int] | None = None
        while any(process.poll() is None for process in self._processes):
            for key, _ in self._selector.select(1.0):
                self._hear(key.data)
            if died is None and (died := self._death()) is not None:
                self._signal(signal.SIGKILL)
        return died or self._death()

    def _death(self) -> tuple[int, int, int] | None:
        """The first rank that died. A rank that ended without MPI_Finalize counts, since the others wait for it."""
        ended = [(rank, p.pid, code) for rank, p in enumerate(self._processes) if (code := p.poll()) is not None]
        for rank, pid, code in ended:
            if code != 0:
                return rank, pid, code
            if rank in self._management.initialised and rank not in self._management.finalized:
                self._hear(rank)
                if rank not in self._management.finalized:
                    return rank, pid, 1
        return None

    def _start(self, rank: int, ranks: int, command: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            own = {"PMI_FD": str(theirs.fileno()), "PMI_RANK": str(rank), "PMI_SIZE": str(ranks)}
            self._processes.append(
                subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={**rank_environment(os.environ, ranks), **own},
                )
            )
        ours.setblocking(False)
        self._sockets.append(ours)
        self._selector.register(ours, selectors.EVENT_READ, rank)

    def _hear(self, rank: int | None) -> None:
        """Reply to a rank's requests; None means that a process has ended."""
        if rank is None:
            self._woken.recv(4096)
            return
        try:
            said = self._sockets[rank].recv(65536)
        except (BlockingIOError, ConnectionError):
            return
        if not said and self._sockets[rank] in {key.fileobj for key in self._selector.get_map().values()}:
            self._selector.unregister(self._sockets[rank])
        *lines, self._heard[rank] = (self._heard[rank] + said).split(b"\n")
        for line in lines:
            for one, reply in self._management.answer(rank, line.decode(errors="replace")):
                self._say(one, reply)

    def _say(self, rank: int, reply: str) -> None:
        try:
            self._sockets[rank].sendall(reply.encode() + b"\n")
        except OSError:  # it has died; `_death` reports that
            return

    def _wake_up(self) -> None:
        """Let SIGCHLD and SIGTERM interrupt the wait for the ranks' requests."""
        self._woken, waker = socket.socketpair()
        self._woken.setblocking(False)
        waker.setblocking(False)
        self._waker = waker
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.signal(signal.SIGTERM, self._pass_on)
        self._selector.register(self._woken, selectors.EVENT_READ, None)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._signal(signal.Signals(number))

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            process.send_signal(number)


def main(words: Sequence[str]) -> int:
    """Run the ranks to their end; returns 0 if all ended with 0, else the code of the first that died."""
    ranks, name, report = int(words[0]), words[1], int(words[2]) if words[2].isdecimal() else None
    if report is not None:
        os.set_inheritable(report, False)
    died = RankGroup(ranks, name, words[words.index("--") + 1 :]).run()
    if died is None:
        return 0
    rank, pid, code = died
    if report is not None:
        os.write(report, json.dumps({"rank": rank, "pid": pid, "code": code}).encode() + b"\n")
    return code if code > 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
