"""Whose fault a failure is: the candidate's, or the machine's (disk, memory, network, installation) (pure).

A failure that is not the candidate's fault uses up neither its attempts nor the budget. The worker takes no candidate
until the fault is fixed, and then continues.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from moireloop_broker.processes.backoff import Backoff

NUMBERS: Final = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOENT),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EREMOTEIO, errno.ESTALE, errno.ENOLCK),
        *(errno.ENODEV, errno.ENXIO, errno.EBUSY, errno.ETXTBSY, errno.ENOTCONN, errno.ETIMEDOUT),
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
    )
)
"""Errors of the system that no candidate brings about: none of them chooses where a file goes or how large it is."""

IN_WORDS: Final = frozenset(NUMBERS - {errno.ENOENT, errno.ENOMEM, errno.EFBIG})
"""Those that are believed where LAMMPS quotes the system: a script may name a file that is missing, or be too large."""

SAID: Final = re.compile("|".join(re.escape(os.strerror(number)) for number in sorted(IN_WORDS)), re.IGNORECASE)


class InfrastructureFault(RuntimeError):
    """Something that every candidate needs does not work here; the text says what."""


def is_infrastructure(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, is none of the candidate's."""
    while error is not None:
        number = getattr(error, "errno", None)
        if isinstance(error, InfrastructureFault | ImportError) or number in NUMBERS:
            return True
        error = error.__cause__
    return False


def lammps_blames_the_system(message: str) -> bool:
    """Whether an error of LAMMPS quotes the system: no space, no permission, too many files, and the like."""
    return SAID.search(message) is not None


class Hold:
    """When a worker that met with faults of the infrastructure tries again: after 0.5, 1, 2 ... 30 s.

    Times are seconds of any monotonic clock.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._until_s = 0.0
        self._backoff = Backoff()

    def fault(self, reason: str, now_s: float) -> float:
        """Something failed that is no candidate's fault; returns for how many seconds no candidate is taken."""
        wait_s = self._backoff.next_s()
        self.reason, self._until_s = reason, now_s + wait_s
        return wait_s

    def waits(self, now_s: float) -> bool:
        """Whether it is too early to try again."""
        return self.reason is not None and now_s < self._until_s

    def fixed(self) -> None:
        """What failed works; whether a run succeeds is still to be seen."""
        self.reason = None

    def succeeded(self) -> None:
        """A run ended by itself."""
        self.reason = None
        self._backoff.reset()
