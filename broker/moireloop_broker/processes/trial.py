"""Trials of a user's code, in a process that it may crash, hang, or leave child processes behind in (adapter)."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final

from moireloop_broker.processes.guarded import Guarded, share_of_memory

PERIOD_S: Final = 0.01

ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Set to 1 before numpy is imported, these leave the other cores to the workers."""

SAID_BYTES: Final = 1024 * 1024


class TrialOverdue(RuntimeError):
    """The trial was ended with all that it had started; `limit_s` is how long it was allowed to take."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"it did not finish within {limit_s:g} s")
        self.limit_s = limit_s


@dataclass(frozen=True)
class Trial:
    """How a trial ended: its exit code as in subprocess, and what it wrote on stdout and on stderr."""

    code: int
    said: bytes
    words: bytes


def try_out(
    command: Sequence[str],
    name: str,
    *,
    start_s: float,
    limit_s: float | None = None,
    stdin: bytes = b"",
    memory_bytes: int | None = None,
) -> Trial:
    """Run a command to its end, which takes all that it started along.

    Args:
        command: command line of the trial. A user's code must not write on its stdout.
        name: for the log.
        start_s: seconds until it writes something on stdout, or ends.
        limit_s: seconds that it has from then on; by default `start_s`.
        stdin: what it finds on stdin.
        memory_bytes: memory that each of its processes may take; by default half of the machine's.

    Raises:
        TrialOverdue: it was not done in time.
    """
    with tempfile.TemporaryFile() as told_file, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as words:
        told_file.write(stdin)
        told_file.seek(0)
        memory = share_of_memory() if memory_bytes is None else memory_bytes
        process = Guarded(command, name, memory_bytes=memory, stdin=told_file, stdout=said, stderr=words)
        try:
            _wait(process, said, start_s, limit_s)
        finally:
            code = process.end()
        return Trial(code, _all_of(said), _all_of(words))


def _wait(process: Guarded, said: IO[bytes], start_s: float, limit_s: float | None) -> None:
    """Wait for the end of a trial. Raises TrialOverdue."""
    left_s, since_s, has_begun = start_s, time.monotonic(), False
    while not process.ends_within(PERIOD_S):
        if limit_s is not None and not has_begun and os.fstat(said.fileno()).st_size > 0:
            left_s, since_s, has_begun = limit_s, time.monotonic(), True
        if time.monotonic() - since_s > left_s:
            raise TrialOverdue(left_s)


def _all_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(SAID_BYTES)
