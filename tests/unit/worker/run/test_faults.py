"""Whose fault a failure is, and when a worker that met with one of nobody's tries again."""

from __future__ import annotations

import errno
import os
import pickle

import pytest

from moireloop_worker.lammps.engine import LammpsError
from moireloop_worker.run.faults import Hold, InfrastructureFault, is_infrastructure, lammps_blames_the_system
from moireloop_worker.run.ranks import CannotWrite

SYSTEM = ("ENOSPC", "EDQUOT", "EACCES", "EROFS", "EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE", "ENOLCK")


@pytest.mark.parametrize("name", SYSTEM)
def test_errors_of_the_system_are_not_charged(name: str) -> None:
    """As the system raises them, as a run tells them, and as the cause of another error."""
    number = getattr(errno, name)
    assert is_infrastructure(OSError(number, os.strerror(number), "runs/c0"))
    assert is_infrastructure(CannotWrite("cannot write runs/c0", number))
    outer = RuntimeError("the run came to nothing")
    outer.__cause__ = OSError(number, os.strerror(number))
    assert is_infrastructure(outer)


@pytest.mark.parametrize(
    "error",
    [ImportError("liblammps.so: cannot open shared object file"), InfrastructureFault("no Redis")],
)
def test_what_is_missing_here_is_not_charged(error: Exception) -> None:
    """A library that cannot be loaded."""
    assert is_infrastructure(error)


@pytest.mark.parametrize(
    "error",
    [
        LammpsError("ERROR: Lost atoms: original 72 current 71"),
        ValueError("expected temperature_k in [1, 20000]"),
        CannotWrite("cannot write runs/c0/attempt-1: Not a directory", errno.ENOTDIR),
        MemoryError(),
        None,
    ],
)
def test_other_errors_are_the_candidates(error: Exception | None) -> None:
    """LAMMPS's own, wrong parameters, and what lies in the way of one candidate alone."""
    assert not is_infrastructure(error)


@pytest.mark.parametrize(
    ("message", "system"),
    [
        ("ERROR: Cannot open logfile runs/c0/log.lammps: No space left on device (src/lammps.cpp:1)", True),
        ("ERROR on proc 0: Cannot open restart file a: Permission denied", True),
        ("ERROR: cannot open file x: Read-only file system", True),
        ("ERROR: Cannot open file: Too many open files", True),
        ("ERROR: error writing data: Input/output error", True),
        ("ERROR: write failed: Disk quota exceeded", True),
        ("ERROR: Cannot open potential file no.such.tersoff: No such file or directory", False),
        ("ERROR: Failed to allocate 99999999999 bytes for array: Cannot allocate memory", False),
        ("ERROR: Lost atoms: original 72 current 71", False),
        ("ERROR: Non-numeric pressure - simulation unstable", False),
    ],
)
def test_lammps_is_believed_when_it_quotes_the_system(message: str, system: bool) -> None:
    """A missing file may be one that the script names, and memory is what a candidate may ask too much of."""
    assert lammps_blames_the_system(message) is system


def test_cannot_write_keeps_its_words_and_number_on_its_way_to_other_ranks() -> None:
    """It is sent between ranks as pickled."""
    sent = pickle.loads(pickle.dumps(CannotWrite("cannot write a: full", errno.ENOSPC)))  # noqa: S301
    assert (str(sent), sent.errno) == ("cannot write a: full", errno.ENOSPC)


def test_faults_in_a_row_are_tried_later_and_later() -> None:
    """0.5, 1, 2 ... 30 s, also when what failed seemed fixed in between; a run that ends by itself resets them."""
    hold, now_s, waits = Hold(), 100.0, []
    for _ in range(8):
        waits.append(hold.fault("disk full", now_s))
        assert hold.reason == "disk full"
        assert hold.waits(now_s + waits[-1] - 0.01)
        now_s += waits[-1]
        assert not hold.waits(now_s)
        hold.fixed()
        assert hold.reason is None
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]
    hold.succeeded()
    assert hold.fault("disk full", now_s) == 0.5
