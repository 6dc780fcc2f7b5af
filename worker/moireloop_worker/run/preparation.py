"""Prepared structures: computed once by one worker, and cached in a folder by content key (adapter).

A file is complete or absent (written beside and renamed). Its first line holds the SHA-256 of its content, so that a
damaged file is detected and computed again. A lock file for each name keeps two workers from computing the same
structure; the kernel frees it when its holder dies.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mpi4py import MPI

from moireloop_broker.files import write_synced
from moireloop_broker.processes.file_lock import locks_within
from moireloop_worker.lammps.engine import Engine, Watch
from moireloop_worker.lammps.restarts import RestartFiles
from moireloop_worker.lammps.writable import make_room
from moireloop_worker.models.growth_model import Configuration, Molten, Preparation
from moireloop_worker.run.molten import NotMolten, refuse_crystal
from moireloop_worker.run.ranks import CannotWrite, on_first_rank, quiet_broadcast

log = logging.getLogger(__name__)

MARK: Final = b"# moireloop prepared structure, sha256 of the rest: "


class PreparationStopped(Exception):
    """The watch asked to stop while a structure was being prepared or waited for."""


class _Preparing(Watch):
    """Stops when the run's own watch does; the next run that needs the structure continues from there.

    It stops for good where the upper layer is not molten when it must be. `refusal` says so. No restart file is
    written after that step but behind this check.
    """

    def __init__(self, watch: Watch, molten: Molten | None) -> None:
        self._watch = watch
        self._molten = molten
        self.refusal: str | None = None

    def frame(self, snapshot: Configuration) -> None:
        if self._molten is not None and snapshot.step == self._molten.step:
            self.refusal = _refusal(snapshot, self._molten)

    def final(self, snapshot: Configuration) -> None:
        """The very last instant, which is no frame."""
        self.frame(snapshot)

    def stop(self, step: int) -> bool:
        return self.refusal is not None or self._watch.stop(step)

    def goes_on(self, step: int) -> bool:
        return self.refusal is None


class PreparedStructures:
    """The folder of prepared structures, as one rank sees it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> Path | None:
        """The structure of this name; None where there is none or it is damaged."""
        path = self.path(key)
        try:
            first, _, rest = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CannotWrite(f"cannot read {path}: {error.strerror or error}", error.errno or 0) from error
        if first == MARK + hashlib.sha256(rest).hexdigest().encode():
            return path
        log.warning("prepared structure is damaged, computing it again path=%s", path)
        return None

    def raw(self, key: str) -> Path:
        """Where to write a structure that `keep` then takes over; distinct for each process of each host."""
        make_room(self._folder)
        return self._folder / f".{key}.{socket.gethostname()}.{os.getpid()}.raw"

    def refused(self, key: str, molten: Molten | None) -> str | None:
        """Why this structure was refused when it was computed; None where it was not. It would come out the same."""
        try:
            asked, _, refusal = self._refusal_file(key).read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            return None
        return refusal if asked == repr(molten) else None

    def refuse(self, key: str, molten: Molten | None, refusal: str) -> None:
        """Remember that this structure is not what was asked of it, so that it is not computed again."""
        write_synced(self._refusal_file(key), f"{molten!r}\n{refusal}")

    def _refusal_file(self, key: str) -> Path:
        return self._folder / f"{key}.refused"

    def log_file(self, key: str) -> Path:
        """LAMMPS's log of the computation."""
        return self._folder / f"{key}.log"

    def input_file(self, key: str) -> Path:
        """The commands that LAMMPS was given."""
        return self._folder / f"{key}.lammps"

    def restarts(self, key: str, lammps_version: int, every_s: float) -> RestartFiles:
        """The restart files of the computation, from which the next holder of the lock continues."""
        return RestartFiles(self._folder / f"{key}.restarts", key, lammps_version, every_s)

    def keep(self, key: str, raw: Path) -> Path:
        """Take a LAMMPS data file over, its first line (a comment) replaced by our mark, in one atomic step.

        Raises:
            OSError: LAMMPS did not write it to its end, or it cannot be written again. Nothing is left of it.
        """
        rest = raw.read_bytes().partition(b"\n")[2]
        try:
            return self._keep(key, raw, rest)
        except OSError:
            raw.unlink(missing_ok=True)
            raise

    def _keep(self, key: str, raw: Path, rest: bytes) -> Path:
        if not _is_whole(rest):
            raise OSError(errno.ENOSPC, f"LAMMPS wrote only {len(rest)} bytes of it: is the disk full?", str(raw))
        write_synced(self.path(key), MARK + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
        raw.unlink(missing_ok=True)
        return self.path(key)

    @contextmanager
    def lock(self, key: str, stop: Callable[[], bool]) -> Iterator[None]:
        """Be the only one that computes this. Raises PreparationStopped if `stop` says so while others do."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f".{key}.lock").open("wb") as file:
            if not locks_within(file.fileno(), math.inf, stop):
                raise PreparationStopped
            yield

    def path(self, key: str) -> Path:
        """Where the structure of this name is kept."""
        return self._folder / f"{key}.data"


def prepared_structure(
    communicator: MPI.Intracomm,
    engine: Engine,
    structures: PreparedStructures,
    preparation: Preparation,
    watch: Watch,
    restarts: RestartFiles | None = None,
) -> str:
    """Path of a prepared structure, found or computed. All ranks call it; `watch` and the folder are used on rank 0.

    With `restarts` a computation that was stopped or lost continues where it was.

    Raises:
        LammpsError: LAMMPS failed at it.
        CannotWrite: the folder cannot be written, be it that the disk is full.
        PreparationStopped: the watch asked to stop.
        NotMolten: the layer that was to melt did not.
    """
    with ExitStack() as stack:
        choice = on_first_rank(communicator, lambda: _choose(structures, preparation, watch, stack))
        if choice.refusal is not None:
            raise NotMolten(choice.refusal)
        if choice.found is not None:
            return str(choice.found)
        if choice.raw is None:
            raise PreparationStopped
        molten = preparation.molten
        preparing = _Preparing(watch, molten)
        ended = engine.run(
            preparation.plan,
            every_steps=molten.step if molten and molten.step < preparation.plan.steps else 0,
            log_file=structures.log_file(preparation.key),
            input_file=structures.input_file(preparation.key),
            watch=preparing,
            restarts=restarts,
        )
        if ended.final is not None and not ended.stopped:
            preparing.final(ended.final)
        if refusal := quiet_broadcast(communicator, preparing.refusal):
            on_first_rank(communicator, lambda: structures.refuse(preparation.key, molten, refusal))
            if communicator.rank == 0 and restarts is not None:
                restarts.remove()
            raise NotMolten(refusal)
        if ended.stopped:
            raise PreparationStopped
        raw = choice.raw
        on_first_rank(communicator, lambda: make_room(raw.parent))
        engine.write_structure(raw)
        on_first_rank(communicator, lambda: structures.keep(preparation.key, raw))
        if communicator.rank == 0 and restarts is not None:
            restarts.remove()
        return str(structures.path(preparation.key))


@dataclass(frozen=True)
class _Choice:
    """What rank 0 decided: a structure was found or refused, or is to be computed into `raw`, or (all None) to stop."""

    found: Path | None = None
    refusal: str | None = None
    raw: Path | None = None


def _refusal(snapshot: Configuration, molten: Molten) -> str | None:
    """Why a structure cannot be used; None where it can be."""
    try:
        refuse_crystal(snapshot, molten)
    except NotMolten as error:
        return str(error)
    return None


def _choose(structures: PreparedStructures, preparation: Preparation, watch: Watch, held: ExitStack) -> _Choice:
    known = _earlier_choice(structures, preparation)
    if known is not None:
        return known
    try:
        held.enter_context(structures.lock(preparation.key, lambda: watch.stop(0)))
    except PreparationStopped:
        return _Choice()
    return _earlier_choice(structures, preparation) or _Choice(raw=structures.raw(preparation.key))


def _earlier_choice(structures: PreparedStructures, preparation: Preparation) -> _Choice | None:
    """What came of it before; None where it was never computed to its end."""
    structure = structures.find(preparation.key)
    if structure is not None:
        return _Choice(found=structure)
    refusal = structures.refused(preparation.key, preparation.molten)
    return _Choice(refusal=refusal) if refusal is not None else None


def _is_whole(data_file: bytes) -> bool:
    """Whether a LAMMPS data file goes to its end: its last section, the velocities, has a line for each atom."""
    atoms = re.search(rb"^(\d+) atoms$", data_file, re.MULTILINE)
    lines = data_file.rpartition(b"\nVelocities")[2].partition(b"\n")[2].splitlines()
    count = sum(bool(line.strip()) for line in lines)
    return atoms is not None and data_file.endswith(b"\n") and count == int(atoms.group(1))
