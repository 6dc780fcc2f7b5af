"""Every benchmark runs to its end at a tiny size, so that none of them rots unseen. What is measured says nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch

from bench import __main__ as bench
from bench import ablations, grid, strategies
from bench.landscapes import Smooth
from bench.paper_figures import __main__ as paper_figures
from bench.paper_figures.searches import searched, setups, write
from bench.peers import PeersMissing
from bench.published import SETTINGS
from tests.helpers.kernels import compiled_kernels

__all__ = ["compiled_kernels"]

ROOT = Path(__file__).parents[3]
OF_ITS_OWN = dict.fromkeys(("streaming", "continuations"), "mpi4py would start MPI in the process of all tests")
BY_THEIR_MODULES = {"ablations", "grid", "memory", "paper_figures", "strategies"}
NOT_BENCHES = {
    "__init__", "__main__", "campaigns", "foreign", "landscapes", "published", "scattered", "search", "search_pool",
    "paired", "simulated_workers", "slots",
    "table", "twist_accuracy",
}  # fmt: skip

pytestmark = pytest.mark.timeout(300)

Main = Callable[..., None]


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def run_main(monkeypatch: pytest.MonkeyPatch) -> Main:
    """Run the main function of a module with a command line; it must return 0."""

    def run(main: Callable[[], int], *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        assert main() == 0

    return run


def test_no_bench_is_left_out() -> None:
    """Each module of the folder is in the table of benches, is tried below, or is none."""
    modules = {path.stem for path in (ROOT / "bench").glob("*.py")} | {"paper_figures"}
    assert modules == {one.module for one in bench.BENCHES.values()} | BY_THEIR_MODULES | NOT_BENCHES


@pytest.mark.parametrize("name", [name for name in bench.BENCHES if name not in {*OF_ITS_OWN, *bench.OPTIONAL}])
@pytest.mark.usefixtures("compiled_kernels")
def test_bench_of_the_table(name: str) -> None:
    """Each of its rows has its own name, and a number unless nothing came that could be counted."""
    rows = bench.BENCHES[name].rows(tiny=True)
    assert rows
    assert len({row.name for row in rows}) == len(rows)
    assert all(np.isfinite(row.value) or name == "early-end" for row in rows)


@pytest.mark.usefixtures("compiled_kernels")
def test_peers() -> None:
    """Where their environment is there; it is never made here."""
    try:
        rows = bench.BENCHES["peers"].rows(tiny=True)
    except PeersMissing as error:
        pytest.skip(str(error))
    assert all(np.isfinite(row.value) for row in rows)


def test_command_prints_the_table() -> None:
    """`python -m bench` as a user gives it, for what needs a separate process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--tiny", *OF_ITS_OWN], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "MD slowdown, bead" in done.stdout


@pytest.mark.usefixtures("compiled_kernels")
def test_accuracy_of_twists(run_main: Main) -> None:
    """The table of all families from a case of each, and one case alone."""
    run_main(bench.main, "twist-accuracy", "--cases", 14)
    run_main(bench.main, "twist-accuracy", "--case", "perfect:0")


def test_strategies(run_main: Main, tmp_path: Path) -> None:
    """A search of each of ours that is fast, kept in a file and shown."""
    file = tmp_path / "searches.jsonl"
    chosen = ("--file", file, "--repetitions", 1, "--landscape", "smooth", "--processes", 1)
    run_main(strategies.main, *chosen, "--who", "auto", "random")
    assert len(strategies.read(file)) == 2
    run_main(strategies.main, *chosen, "--show")


def test_ablations(run_main: Main) -> None:
    """`auto` without one of its parts on one landscape."""
    chosen = ("--part", "no trend", "--landscape", "smooth")
    run_main(ablations.main, "--repetitions", 1, "--processes", 1, *chosen)


@pytest.mark.usefixtures("compiled_kernels")
def test_grid(tmp_path: Path) -> None:
    """Two points with two seeds each, on a small bead model; the table has a row for each."""
    points = {"temperature_k": [3000.0], "lattice_strain": [0.01], "shear_strain": [0.1, 0.2]}
    levels = {name: np.array(values) for name, values in points.items()}
    grid.make(tmp_path, 2, grid.candidates(levels, seeds=2), bench.BEAD, tmp_path / "grid.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "grid.parquet").num_rows == 4


def test_figures_of_the_paper(run_main: Main, tmp_path: Path) -> None:
    """All figures and claims of searches that were made before, here all of them at random."""
    landscape, cache = Smooth(), tmp_path / "traces-smooth.parquet"
    wanted = setups(1, beside=False)
    at_random = {one: searched(landscape, replace(one, strategy="random")) for one in wanted}
    write(at_random, cache, f"{landscape!r}; {SETTINGS}")
    run_main(paper_figures.main, "--folder", tmp_path, "--landscape", "smooth", "--repetitions", 1)
    assert len(list((tmp_path / "smooth").glob("*.png"))) == 10
    assert (tmp_path / "smooth" / "claims.md").exists()
