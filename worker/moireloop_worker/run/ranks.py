"""What rank 0 does for all ranks, so that an error on rank 0 is an error of all ranks (adapter)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from mpi4py import MPI

T = TypeVar("T")


class CannotWrite(RuntimeError):
    """A file or folder of a run cannot be used, be it that the disk is full; the text names it and says why.

    `errno` is the number of the system's error, 0 where it is not known.
    """

    def __init__(self, text: str, number: int = 0) -> None:
        super().__init__(text, number)
        self.errno = number

    def __str__(self) -> str:
        return str(self.args[0])


def on_first_rank(communicator: MPI.Intracomm, act: Callable[[], T]) -> T:
    """What `act` returns on rank 0, on all ranks; only rank 0 calls it.

    Raises:
        CannotWrite: on all ranks, when `act` raised an OSError on rank 0, or CannotWrite itself.
    """
    answer: T | CannotWrite | None = None
    if communicator.rank == 0:
        try:
            answer = act()
        except CannotWrite as error:
            answer = error
        except OSError as error:
            text = f"cannot write {error.filename or 'a file'}: {error.strerror or error}"
            answer = CannotWrite(text, error.errno or 0)
    agreed: T | CannotWrite = quiet_broadcast(communicator, answer)
    if isinstance(agreed, CannotWrite):
        raise agreed
    return agreed


POLL_S: Final = 0.002


def quiet_broadcast(communicator: MPI.Intracomm, value: Any) -> Any:
    """Returns rank 0's value on all ranks; `value` is read only on rank 0."""
    if communicator.size == 1:
        return value
    if communicator.rank == 0:
        requests = [communicator.isend(value, dest=rank) for rank in range(1, communicator.size)]
        MPI.Request.waitall(requests)
        return value
    while not communicator.iprobe(source=0):
        time.sleep(POLL_S)
    return communicator.recv(source=0)
