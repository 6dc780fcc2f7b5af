"""Prepared structures: computed once, found again, repaired."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mpi4py import MPI

from moireloop_worker.lammps.engine import Engine, Watch
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import Preparation
from moireloop_worker.models.settings import BeadSettings
from moireloop_worker.run.preparation import PreparationStopped, PreparedStructures, prepared_structure

LOCKER = """
import sys, time
from pathlib import Path
from moireloop_worker.run.preparation import PreparedStructures
with PreparedStructures(Path(sys.argv[1])).lock(sys.argv[2], lambda: False):
    print("locked", flush=True)
    time.sleep(600)
"""


class Stop(Watch):
    """Stops at once."""

    def stop(self, step: int) -> bool:
        return True


@pytest.fixture(scope="module")
def preparation(engine: Engine) -> Preparation:
    return Bead(BeadSettings(cells=(4, 4), melt_steps=20, equilibrate_steps=10)).preparation(0, engine.version)


def prepare(engine: Engine, folder: Path, preparation: Preparation, watch: Watch | None = None) -> Path:
    structures = PreparedStructures(folder)
    return Path(prepared_structure(MPI.COMM_WORLD, engine, structures, preparation, watch or Watch()))


def test_structure_is_computed_once(engine: Engine, preparation: Preparation, tmp_path: Path) -> None:
    """The second time the file is found, and LAMMPS does nothing."""
    first = prepare(engine, tmp_path / "p", preparation)
    written = first.stat().st_mtime_ns
    spent_s = engine.md_s
    assert prepare(engine, tmp_path / "p", preparation) == first
    assert (first.stat().st_mtime_ns, engine.md_s) == (written, spent_s)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_structure_is_computed_again(
    engine: Engine, preparation: Preparation, tmp_path: Path, damage: str
) -> None:
    """A file cut short, changed or emptied is replaced by a whole one of the same content."""
    path = prepare(engine, tmp_path, preparation)
    whole = path.read_bytes()
    flipped = whole[:-5] + b"9" + whole[-4:] if whole[-5:-4] != b"9" else whole[:-5] + b"8" + whole[-4:]
    path.write_bytes({"cut": whole[:-100], "flip": flipped, "empty": b""}[damage])
    assert prepare(engine, tmp_path, preparation) == path
    assert path.read_bytes() == whole
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".raw")] == []


def test_lock_of_a_dead_worker_is_free(engine: Engine, preparation: Preparation, tmp_path: Path) -> None:
    """While another process holds the lock one waits, and can be stopped; when that process is killed, it is free."""
    command = [sys.executable, "-c", LOCKER, str(tmp_path), preparation.key]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"locked\n"
            with pytest.raises(PreparationStopped):
                prepare(engine, tmp_path, preparation, Stop())
        finally:
            os.kill(holder.pid, signal.SIGKILL)
    assert prepare(engine, tmp_path, preparation).exists()


def test_stopped_preparation_leaves_no_structure(engine: Engine, preparation: Preparation, tmp_path: Path) -> None:
    """A preparation that is stopped while it computes keeps nothing, and the next one computes it whole."""
    with pytest.raises(PreparationStopped):
        prepare(engine, tmp_path, preparation, Stop())
    assert PreparedStructures(tmp_path).find(preparation.key) is None
    assert prepare(engine, tmp_path, preparation).exists()
