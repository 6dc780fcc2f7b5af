"""The landscapes that strategies are tried on."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet
import pytest

from bench.grid import GRID_FILE, LEVELS, SEEDS, candidates
from bench.landscapes import COHERENT_DEG, Emulator, Plateaus, landscapes


def test_the_grid_has_every_run_once() -> None:
    """Three thousand runs and more, several seeds for each combination of levels."""
    rows = pyarrow.parquet.read_table(GRID_FILE).to_pylist()
    wanted = {(*one.parameters.values(), one.seed) for one in candidates()}
    assert {tuple(row[name] for name in (*LEVELS, "seed")) for row in rows} == wanted
    assert len(rows) == len(wanted) == SEEDS * 9 * 7 * 16 >= 3000


def test_on_a_place_of_the_grid_the_emulator_draws_from_its_runs() -> None:
    """Evenly, each of the three seeds."""
    emulator, rng = Emulator(), np.random.default_rng(0)
    place = (3, 2, 5)
    point = np.array([3 / 8, 2 / 6, 5 / 15])
    runs = [run.twist_deg for run in emulator.runs_at(place)]
    drawn = [emulator.draw(point, rng) for _ in range(300)]
    for twist in set(runs):
        share = np.mean([one == twist for one in drawn])
        assert share == pytest.approx(runs.count(twist) / len(runs), abs=0.1)


def test_between_places_it_draws_from_the_corners_around() -> None:
    """In the middle of a cell each of the eight corners gives an eighth."""
    emulator, rng = Emulator(), np.random.default_rng(1)
    corners = [(i, j, k) for i in (4, 5) for j in (1, 2) for k in (7, 8)]
    runs = {run.twist_deg for corner in corners for run in emulator.runs_at(corner)}
    drawn = {emulator.draw(np.array([4.5 / 8, 1.5 / 6, 7.5 / 15]), rng) for _ in range(2000)}
    assert drawn == {None if np.isnan(twist) else twist for twist in runs}


def test_draws_over_the_whole_space_are_distributed_as_the_grid() -> None:
    """Shares of common twists to two per cent; the corners of the space weigh less than its middle."""
    emulator, rng = Emulator(), np.random.default_rng(2)
    drawn = np.array([emulator.draw(point, rng) or np.nan for point in rng.random((4000, 3))])
    for twist_deg in (8.2, 12.7):
        of_grid = np.mean(np.abs(emulator.twists_deg - twist_deg) <= 0.1)
        assert np.mean(np.abs(drawn - twist_deg) <= 0.1) == pytest.approx(of_grid, abs=0.05)


def test_plateaus_have_coherent_twists_alone() -> None:
    """And runs without one."""
    rng = np.random.default_rng(3)
    drawn = {Plateaus().draw(point, rng) for point in rng.random((2000, 3))}
    assert drawn <= {*COHERENT_DEG, None}
    assert len(drawn) > 8


@pytest.mark.parametrize("name", ["bead", "smooth", "ridges", "plateaus"])
def test_the_same_random_numbers_give_the_same_twist(name: str) -> None:
    """In [0, 30] degrees or none."""
    points = np.random.default_rng(4).random((50, 3))
    first, again = (
        [landscapes()[name].draw(point, np.random.default_rng((7, number))) for number, point in enumerate(points)]
        for _ in range(2)
    )
    assert first == again
    assert all(twist is None or 0.0 <= twist <= 30.0 for twist in first)
