"""Twists predicted from layers that were seen in different runs."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_optimizer.auto.layer_pairs import (
    REACHES,
    LayerPairs,
    Reaches,
    are_known,
    choose_reaches,
    pair_twists_deg,
    predict_left_out,
)
from moireloop_optimizer.auto.repeated_twists import Habits, RepeatedTwists, choose_habits
from moireloop_optimizer.auto.twist_process import Floats
from moireloop_optimizer.sobol import sobol_points
from tests.helpers.lattice_pairs import bilayers

COUNT = 48
POINTS = sobol_points(COUNT, 2, seed=4)
SHEAR = 0.06 + 0.24 * POINTS[:, 1]
LOWER_DEG = np.where(POINTS[:, 1] > 0.5, 2.76, 0.0)
UPPER_DEG = np.random.default_rng(0).choice([8.2, 10.9, 18.1], size=COUNT)
LATTICES, TWIST_DEG = bilayers(SHEAR, LOWER_DEG, UPPER_DEG)
SHORT = Reaches((0.2, 0.2), (0.2, 0.2))
NOTHING = np.zeros((0, 2))


def test_layers_of_two_runs_make_the_twist_that_they_have_in_one_cell() -> None:
    """By bilayers of each lower and each upper layer in the cell of the first, made on purpose, to 1e-6 degrees."""
    first, second = np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)
    _, wanted = bilayers(SHEAR[first], LOWER_DEG[first], UPPER_DEG[second])
    assert pair_twists_deg(LATTICES[:8]).ravel() == pytest.approx(wanted, abs=1e-6)


def test_every_description_of_the_cell_predicts_the_same() -> None:
    """In other units, with other vectors of the same cell, and turned as a whole."""
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    other = LATTICES.copy()
    other[:, 0] = np.array([[1.0, 1.0], [0.0, 1.0]]) @ other[:, 0]
    wanted = pair_twists_deg(LATTICES)
    assert pair_twists_deg(other) == pytest.approx(wanted, abs=1e-9)
    assert pair_twists_deg(0.1 * LATTICES) == pytest.approx(wanted, abs=1e-9)
    assert pair_twists_deg(LATTICES @ turn) == pytest.approx(wanted, abs=1e-9)


def test_a_twist_that_no_run_has_shown_is_predicted_where_its_layers_meet() -> None:
    """18.1 over 0 is nowhere among the runs: it is predicted where the lower layer is at 0, and not where it is not."""
    seen = ~((UPPER_DEG == 18.1) & (LOWER_DEG == 0.0))
    target_deg = float(bilayers(np.array([0.1]), np.array([0.0]), np.array([18.1]))[1][0])
    assert np.abs(TWIST_DEG[seen] - target_deg).min() > 1.0
    pairs = LayerPairs(POINTS[seen], TWIST_DEG[seen], LATTICES[seen], SHORT)
    there, elsewhere = pairs.hits(np.array([[0.5, 0.4], [0.5, 0.9]]), target_deg, 0.2, NOTHING).share
    assert there > 0.05
    assert elsewhere < 0.2 * there


def test_shares_of_pairs_never_exceed_the_known_ones() -> None:
    """At random places, for any target."""
    points, pairs = np.random.default_rng(1).random((30, 2)), LayerPairs(POINTS, TWIST_DEG, LATTICES, SHORT)
    free = pairs.hits(points, 8.2, 30.0, NOTHING)
    assert (free.share <= free.known + 1e-12).all()
    assert (free.known < 1.0).all()


def test_pending_points_make_no_twist_likelier() -> None:
    """Not even one that no pair predicts, at any place; and all less likely where they are."""
    points = np.random.default_rng(2).random((40, 2))
    model = RepeatedTwists(POINTS, TWIST_DEG, Habits(0.0, 1.0, SHORT), LATTICES)
    beyond = np.full(40, 0.2 / 30.0)
    for target_deg in (*np.unique(TWIST_DEG.round(2)), 22.5):
        free, waited = (
            model.mass(points, float(target_deg), 0.1, beyond, pending) for pending in (NOTHING, points[:20])
        )
        assert (waited <= free).all()
        assert (waited[:20] < 0.9 * free[:20]).all()


def test_the_reach_of_a_layer_is_long_along_what_does_not_matter() -> None:
    """The lower layer depends on the second axis alone."""
    reaches = choose_reaches(POINTS, TWIST_DEG, LATTICES)
    assert reaches is not None
    assert reaches.lower[0] == max(REACHES)
    assert reaches.lower[1] < max(REACHES)


def test_left_out_runs_say_nothing_of_themselves() -> None:
    """A run with a unique orientation is not predicted; one like the others is."""
    upper_deg = UPPER_DEG.copy()
    upper_deg[7] = 27.0
    lattices, twist_deg = bilayers(SHEAR, LOWER_DEG, upper_deg)
    predicted = predict_left_out(POINTS, twist_deg, lattices, SHORT)
    assert predicted.share[7] < 1e-6
    assert np.median(predicted.share) > 1.0 / 30.0


def test_pairs_are_believed_where_they_predict_better() -> None:
    """Independent layers are, layers that are not known are not."""
    nowhere = np.full(COUNT, 1.0 / 30.0)
    habits = choose_habits(POINTS, TWIST_DEG, nowhere, LATTICES)
    assert habits is not None
    assert habits.reaches is not None
    without = choose_habits(POINTS, TWIST_DEG, nowhere, np.full_like(LATTICES, np.nan))
    assert without == choose_habits(POINTS, TWIST_DEG, nowhere)
    assert without is not None
    assert without.reaches is None


@pytest.mark.parametrize("kind", ["not finite", "flat cell", "other convention"])
def test_layers_that_do_not_make_the_twist_are_not_known(kind: str) -> None:
    """One NaN, a cell without area, or a twist of the paper's convention; the others stay."""
    lattices, twist_deg = LATTICES.copy(), TWIST_DEG.copy()
    spoil(kind, lattices, twist_deg)
    known = are_known(twist_deg, lattices)
    assert not known[3]
    assert known.sum() == COUNT - 1
    share = LayerPairs(POINTS, twist_deg, lattices, SHORT).hits(POINTS, 8.2, 0.1, NOTHING).share
    assert np.isfinite(share).all()
    assert np.isfinite(predict_left_out(POINTS, twist_deg, lattices, SHORT).share).all()


def spoil(kind: str, lattices: Floats, twist_deg: Floats) -> None:
    match kind:
        case "not finite":
            lattices[3, 1, 0, 0] = np.nan
        case "flat cell":
            lattices[3, 0, 1] = 2.0 * lattices[3, 0, 0]
        case _:
            twist_deg[3] += 1.58


def test_few_layers_predict_nothing() -> None:
    """Four are too few."""
    assert choose_reaches(POINTS[:4], TWIST_DEG[:4], LATTICES[:4]) is None
