"""Which recipes are repeated, in which order, and when no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.repeats.hit_probability import equal_rows
from moireloop_optimizer.repeats.replicates import SHARE_WHEN_FOUND, Replicate, next_replicates
from moireloop_optimizer.runs import Runs, is_within

NEAR, FAR = Target(twist_deg=8.0, tolerance_deg=0.5), Target(twist_deg=21.0, tolerance_deg=0.5)
NONE_PENDING = np.zeros((0, 1))
FILLER = [(0.9 + number * 1e-4, 15.0) for number in range(40)]
"""Misses of other recipes, so that the share of the repeats sets no bound."""


def runs_of(*rows: tuple[float, float]) -> Runs:
    """Runs in one dimension, each a coordinate and its twist."""
    points, twist_deg = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return Runs(points[:, np.newaxis], twist_deg, np.full(len(rows), 0.1))


def asked(replicates: list[Replicate]) -> list[float]:
    return [float(replicate.point[0]) for replicate in replicates]


def test_a_hit_is_repeated_up_to_the_goal() -> None:
    """At its very point; runs after the first hit and those on their way count towards it."""
    rows = [(0.25, 8.1), *FILLER, (0.25, 15.0)]
    runs, pending = runs_of(*rows), np.array([[0.25]])
    assert asked(next_replicates(runs, NONE_PENDING, [NEAR], goal=4, n=10)) == [0.25] * 3
    assert asked(next_replicates(runs, pending, [NEAR], goal=4, n=10)) == [0.25] * 2
    assert asked(next_replicates(runs, pending, [NEAR], goal=4, n=1)) == [0.25]


def test_the_run_before_the_first_hit_does_not_count() -> None:
    """A recipe that missed once and then hit is owed the whole goal."""
    runs = runs_of((0.25, np.nan), (0.25, 8.1), *FILLER)
    assert asked(next_replicates(runs, NONE_PENDING, [NEAR], goal=2, n=10)) == [0.25] * 2


@pytest.mark.parametrize("rows", [[], [(0.25, 15.0)], [(0.25, np.nan)]])
def test_without_a_hit_nothing_is_repeated(rows: list[tuple[float, float]]) -> None:
    """No runs, a miss, a refused run."""
    assert next_replicates(runs_of(*rows, *FILLER), NONE_PENDING, [NEAR], goal=4, n=10) == []


def test_a_goal_of_zero_asks_for_none() -> None:
    """The setting that turns it off."""
    assert next_replicates(runs_of((0.25, 8.0), *FILLER), NONE_PENDING, [NEAR], goal=0, n=10) == []


def test_the_recipe_that_may_be_the_surest_goes_first() -> None:
    """Two hits again before none yet, none yet before a miss; of equals the one of least regret."""
    runs = runs_of((0.1, 8.0), (0.2, 8.4), (0.3, 8.3), (0.4, 8.4), *FILLER, (0.1, np.nan), (0.4, 8.4), (0.4, 8.4))
    assert asked(next_replicates(runs, NONE_PENDING, [NEAR], goal=3, n=10)) == [0.4, *[0.3] * 3, *[0.2] * 3, 0.1, 0.1]


def test_a_recipe_that_is_surely_worse_is_given_up() -> None:
    """Six misses of six against six hits of six: its interval lies below, so that it is not run again."""
    sure, poor = [(0.1, 8.0)] * 7, [(0.2, 8.0), *[(0.2, 15.0)] * 6]
    assert asked(next_replicates(runs_of(*sure, *poor, *FILLER), NONE_PENDING, [NEAR], goal=7, n=10)) == [0.1]
    assert asked(next_replicates(runs_of(*poor, *FILLER), NONE_PENDING, [NEAR], goal=7, n=10)) == [0.2]


def test_targets_take_turns() -> None:
    """The target with the fewest repeats goes first, and each repeat says for which it is."""
    runs = runs_of((0.1, 8.0), (0.2, 21.0), *FILLER, (0.1, 8.0))
    repeats = next_replicates(runs, NONE_PENDING, [NEAR, FAR], goal=3, n=4)
    assert [repeat.aim for repeat in repeats] == [1, 0, 1, 0]
    assert asked(repeats) == [0.2, 0.1, 0.2, 0.1]


def test_the_search_is_not_starved() -> None:
    """While a target has not been hit, one run in ten is a repeat; when all have been, every second one."""
    runs = runs_of((0.1, 8.0), (0.2, 8.0), *FILLER[:18])
    assert len(next_replicates(runs, NONE_PENDING, [NEAR, FAR], goal=10, n=20)) == 2
    assert len(next_replicates(runs, NONE_PENDING, [NEAR], goal=10, n=20)) == 10


def test_a_run_that_hit_two_targets_is_not_repeated_twice_over() -> None:
    """A repeat of it serves both."""
    wide = [Target(twist_deg=8.0, tolerance_deg=1.0), Target(twist_deg=9.0, tolerance_deg=1.0)]
    assert asked(next_replicates(runs_of((0.1, 8.5), *FILLER), NONE_PENDING, wide, goal=3, n=10)) == [0.1] * 3


ROWS = st.lists(
    st.tuples(st.integers(0, 5).map(lambda k: k / 7), st.sampled_from([8.0, 8.3, 15.0, 21.0, np.nan])), max_size=60
)
PENDING = st.lists(st.integers(0, 6).map(lambda k: k / 7), max_size=8).map(lambda rows: np.array(rows).reshape(-1, 1))


@settings(deadline=None)
@given(ROWS, PENDING, st.integers(0, 6), st.integers(0, 30))
def test_never_more_than_the_goal_and_only_what_hit(
    rows: list[tuple[float, float]], pending: Points, goal: int, n: int
) -> None:
    """Whatever was run and is on its way: each repeat is of a run that hit its target, and no recipe gets too many."""
    targets, runs = [NEAR, FAR], runs_of(*rows)
    repeats = next_replicates(runs, pending, targets, goal=goal, n=n)
    assert len(repeats) <= min(n, SHARE_WHEN_FOUND * (len(rows) + len(pending)))
    for repeat in repeats:
        same = runs.points[:, 0] == repeat.point[0]
        on_target = is_within(runs.twist_deg, targets[repeat.aim])
        assert (same & on_target).any()
        others = asked(repeats).count(float(repeat.point[0])) + int((pending[:, 0] == repeat.point[0]).sum())
        trials = [
            int(same[np.argmax(same & is_within(runs.twist_deg, target)) + 1 :].sum())
            for target in targets
            if (same & is_within(runs.twist_deg, target)).any()
        ]
        assert min(trials) + others <= goal


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**16), st.integers(1, 5))
def test_repeating_ends(seed: int, goal: int) -> None:
    """Asked again and again, one at a time, until nothing is worth it: no recipe was repeated beyond the goal."""
    random = np.random.default_rng(seed)
    chance = random.random(6)
    rows = [*((k / 7, 8.0) for k in range(6)), *((0.9 + k * 1e-4, 15.0) for k in range(100))]
    for _ in range(6 * goal + 1):
        repeats = next_replicates(runs_of(*rows), NONE_PENDING, [NEAR], goal=goal, n=1)
        if not repeats:
            break
        (at,) = asked(repeats)
        rows.append((at, 8.0 if random.random() < chance[round(7 * at)] else 15.0))
    else:
        pytest.fail("expected an end")
    counts = np.bincount(equal_rows(runs_of(*rows).points))
    assert counts[:6].max() <= goal + 1
    assert counts.max() == goal + 1
