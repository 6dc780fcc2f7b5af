"""Restart files of LAMMPS: a lost run continues from them on another worker (adapter).

A restart file counts once its sidecar exists: JSON that says what the file holds, written last, synced and renamed
into place. A file that is damaged, or belongs to another plan or another LAMMPS, is passed over for the one before
it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from moireloop_broker.files import sha256_of_file, take_over, write_synced
from moireloop_worker.lammps.writable import opens

log = logging.getLogger(__name__)

KEPT: Final = 2

PREFIX: Final = "restart."

SIDECAR: Final = ".json"

NEARLY: Final = 0.05

OTHER_PLAN: Final = "other_plan"

OTHER_LAMMPS: Final = "other_lammps"

DAMAGED: Final = "damaged"

REFUSED: Final = "refused"

LAST_BYTES: Final = b"LammpS RestartT\0"
"""LAMMPS ends each restart file with these, and says only in a warning that a disk was full."""


class Sidecar(BaseModel):
    """What stands in the JSON file beside a restart file. `key` names the plan, apart from its attempt's seeds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sha256: str
    step: int
    time_ps: float
    key: str
    lammps_version: int


@dataclass(frozen=True)
class RestartPoint:
    """A restart file that is whole and fits, and the step of the plan at which it was written."""

    path: Path
    step: int

    @property
    def origin(self) -> str:
        """The folder that holds it: for a run, the attempt that wrote it ("attempt-1")."""
        return self.path.parent.name


class RestartFiles:
    """The restart files of one run, over all its attempts, or of one preparation.

    Args:
        folder: where new ones go; made when it is needed.
        key: name of what is computed; files with another one are not used.
        lammps_version: files of another one are not used.
        every_s: wall time in seconds after which the next one is due.
        earlier: folders of earlier attempts, which are looked through as well.
        also: other names of what is computed, from earlier versions of moireloop.
        passed_over: called with one of OTHER_PLAN, OTHER_LAMMPS, DAMAGED and REFUSED when the newest file is not used.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        lammps_version: int,
        every_s: float,
        earlier: Sequence[Path] = (),
        also: Collection[str] = (),
        passed_over: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._folder = folder
        self._folders = (folder, *earlier)
        self._key = key
        self._keys = frozenset((key, *also))
        self._passed_over = passed_over
        self._lammps_version = lammps_version
        self.every_s = every_s
        self._mine: list[Path] = []
        self._written_s = time.monotonic()

    def find(self) -> RestartPoint | None:
        """The one that is furthest along and whole; None where there is none."""
        sidecars = [path for folder in self._folders for path in folder.glob(f"{PREFIX}*{SIDECAR}")]
        steps = {path: int(number) for path in sidecars if (number := _number(path)).isdecimal()}
        for place, path in enumerate(sorted(steps, key=lambda path: steps[path], reverse=True)):
            file = self._checked(path)
            if isinstance(file, RestartPoint):
                return file
            if place == 0:
                self._passed_over(file)
        return None

    def refuse(self, point: RestartPoint, error: str) -> None:
        """LAMMPS does not continue from this one: the run starts over, and none of the files is tried again."""
        log.warning("restart file not used, starting from the beginning path=%s error=%s", point.path, error)
        self._passed_over(REFUSED)
        self.remove()

    def due_s(self) -> float:
        """Seconds until the next one is due."""
        return self._written_s + self.every_s - time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for the next one, or nearly."""
        return self.due_s() <= NEARLY * self.every_s

    @property
    def root(self) -> str:
        """What LAMMPS is to write them to; it puts a dot and the step behind it."""
        return str(self._folder / f".{PREFIX}{os.getpid()}.raw")

    def raw(self, step: int | None = None) -> Path | None:
        """Where LAMMPS is to write one; None, with a warning, if it cannot: then the next one is due later.

        With a step it is `root`'s file, which `take_over` takes over; without it, a file for `keep`.
        """
        path = Path(self.root if step is None else f"{self.root}.{step}")
        if opens(path):
            return path
        self._written_s = time.monotonic()
        return None

    def take_over(self, step: int, time_ps: float, *, keep: bool) -> None:
        """LAMMPS has written the one of this step: keep it, or throw it away."""
        raw = Path(f"{self.root}.{step}")
        if keep:
            self.keep(raw, step, time_ps)
        else:
            raw.unlink(missing_ok=True)

    def keep(self, raw: Path, step: int, time_ps: float) -> None:
        """Take a file over that LAMMPS has written; only the newest two are kept, of all attempts."""
        try:
            self._keep(raw, step, time_ps)
        except OSError as error:
            log.warning("restart file is lost step=%d error=%s", step, error)
            raw.unlink(missing_ok=True)
        self._written_s = time.monotonic()

    def remove(self) -> None:
        """Remove all of them: the run came to its end, or failed by an error that must not be repeated."""
        for folder in self._folders:
            remove_restart_files(folder)

    def _keep(self, raw: Path, step: int, time_ps: float) -> None:
        digest = sha256_of_file(raw)
        if not _whole(raw):
            raise OSError(f"expected LAMMPS to write {raw} to its end, got {raw.stat().st_size} bytes: disk full?")
        path = take_over(raw, self._folder / f"{PREFIX}{step}")
        sidecar = Sidecar(sha256=digest, step=step, time_ps=time_ps, key=self._key, lammps_version=self._lammps_version)
        write_synced(_sidecar(path), sidecar.model_dump_json())
        self._forget_older(path)

    def _forget_older(self, newest: Path) -> None:
        self._mine = [*(path for path in self._mine if path != newest), newest][-KEPT:]
        if len(self._mine) == KEPT:
            for path in list(self._all()):
                if path not in self._mine:
                    _sidecar(path).unlink(missing_ok=True)
                    path.unlink(missing_ok=True)

    def _all(self) -> Iterator[Path]:
        for folder in self._folders:
            yield from (path for path in folder.glob(f"{PREFIX}*") if path.suffix != SIDECAR)

    def _checked(self, sidecar_file: Path) -> RestartPoint | str:
        """The restart file beside a sidecar, if it is ours and whole; else why not."""
        path = sidecar_file.with_suffix("")
        try:
            sidecar = Sidecar.model_validate_json(sidecar_file.read_bytes())
            if sidecar.lammps_version != self._lammps_version or sidecar.key not in self._keys:
                log.warning("restart file belongs to another plan or LAMMPS version, not used path=%s", path)
                return OTHER_PLAN if sidecar.lammps_version == self._lammps_version else OTHER_LAMMPS
            digest = sha256_of_file(path)
        except (OSError, ValidationError) as error:
            log.warning("restart file cannot be used path=%s error=%s", path, error)
            return DAMAGED
        if digest != sidecar.sha256:
            log.warning("restart file is damaged, not used path=%s", path)
            return DAMAGED
        return RestartPoint(path, sidecar.step)


def remove_restart_files(folder: Path) -> None:
    """Remove the restart files in the folder of one attempt. What cannot be removed stays, with a warning."""
    for path in (*folder.glob(f"{PREFIX}*"), *folder.glob(f".{PREFIX}*")):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("restart file cannot be removed path=%s error=%s", path, error)


def remove_restart_files_of(runs: Path, candidate_id: str) -> None:
    """Remove the restart files of all attempts of a candidate below the folder `runs`."""
    for attempt in (runs / candidate_id).glob("attempt-*"):
        remove_restart_files(attempt)


def _number(sidecar_file: Path) -> str:
    return sidecar_file.name.removeprefix(PREFIX).removesuffix(SIDECAR)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR)


def _whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(LAST_BYTES)))
        return file.read() == LAST_BYTES
