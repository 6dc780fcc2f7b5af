"""LAMMPS on two real MPI ranks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from moireloop_worker.lammps.engine import ABORT_EXIT, Engine
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.settings import BeadSettings

SCRIPT = Path(__file__).parent / "two_ranks.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a prepared structure."""
    made = tmp_path_factory.mktemp("ranks")
    engine = Engine(MPI.COMM_WORLD)
    settings = BeadSettings(cells=(8, 8), melt_steps=100, equilibrate_steps=50)
    engine.run(Bead(settings).preparation(0, engine.version).plan)
    engine.write_structure(made / "start.data")
    engine.close()
    return made


def run(case: str, folder: Path, ranks: int = 2) -> tuple[int, str, Any]:
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "mpi4py", str(SCRIPT), case, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else None
    return done.returncode, done.stdout + done.stderr, found


def test_two_ranks_compute_what_one_does(folder: Path) -> None:
    """Without noise, 60 steps on two ranks end within single precision of those on one, atom by atom."""
    (_, _, one), (code, words, two) = run("trajectory", folder, 1), run("trajectory", folder, 2)
    assert code == 0, words
    np.testing.assert_allclose(two[0], one[0], atol=1e-4)
    assert two[1] == one[1]
    assert two[2] == pytest.approx(one[2], rel=1e-6)


@pytest.mark.parametrize("ranks", [2, 3])
def test_uneven_shares_are_brought_together(ranks: int, folder: Path) -> None:
    """Ranks with different numbers of atoms, one with none: each atom arrives once, with its own place and type."""
    code, words, snapshots = run("uneven", folder, ranks)
    assert code == 0, words
    for number, (ids, places, types) in enumerate(snapshots):
        counts = [7 * rank if number == 0 else rank + 1 for rank in range(ranks)]
        expected = [100 * rank + place + 1 for rank, count in enumerate(counts) for place in range(count)]
        assert ids == expected
        np.testing.assert_allclose(places, np.outer(expected, [1.0, 2.0, 3.0]) + number)
        assert types == [1 + atom // 100 for atom in expected]


def test_error_on_all_ranks_is_survived(folder: Path) -> None:
    """All ranks get LAMMPS's message, three times over, and then run the next plan."""
    code, words, answer = run("error_everywhere", folder)
    assert code == 0, words
    messages, steps = answer
    assert [len(own) for own in messages] == [3, 3]
    assert all("Unrecognized fix style 'nonsense'" in text for own in messages for text in own)
    assert steps == 60


def test_error_on_one_rank_ends_the_worker(folder: Path) -> None:
    """Only rank 0 opens the missing file; it says so and ends both ranks, instead of leaving the other to wait."""
    code, words, _ = run("error_on_one", folder)
    assert code == ABORT_EXIT, words
    reported = (folder / "reported").read_text(encoding="utf-8")
    assert reported.startswith("0 ")
    assert "Cannot open input script" in reported
    assert "start.data.missing" in reported


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_run_goes_on_with_another_number_of_ranks(folder: Path, before: int, after: int) -> None:
    """Interrupted on some ranks and resumed on others, a run without noise ends where the unbroken one does."""
    _, _, whole = run("trajectory", folder, 1)
    code, words, (step, goes_on) = run("interrupted", folder, before)
    assert (code, goes_on) == (0, True), words
    assert 20 <= step < 60
    code, words, (positions, end, resumed_from) = run("resumed", folder, after)
    assert (code, end, resumed_from) == (0, 60, step), words
    np.testing.assert_allclose(positions, whole[0], atol=1e-4)
    shutil.rmtree(folder / "restarts")


def test_error_on_one_rank_removes_the_restart_files(folder: Path) -> None:
    """The rank that fails alone removes them before it ends the worker, so that the next attempt starts over."""
    run("interrupted", folder)
    assert list((folder / "restarts").glob("restart.*.json"))
    code, words, _ = run("resumed_error_on_one", folder)
    assert code == ABORT_EXIT, words
    assert list((folder / "restarts").iterdir()) == []


def test_idle_ranks_do_not_burn_a_core(folder: Path) -> None:
    """A rank that waits a second for rank 0 uses less than a tenth of it."""
    code, words, used_s = run("idle", folder)
    assert code == 0, words
    assert max(used_s) < 0.1
