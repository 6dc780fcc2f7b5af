"""The verdicts on the claims, from searches that are made up so that the answer is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from bench.search import Trace
from bench.seed_figures.claims import Claim, Evidence, all_claims, compared
from bench.seed_figures.searches import AS_PUBLISHED, BATCH, MAIN_TARGET_DEG, OTHER_TARGETS_DEG, Setup
from moireloop_optimizer.sobol import sobol_points

REPETITIONS = 3
INITIAL, SAMPLES = 5, 65
GRID_DEG = np.repeat([8.5, 15.0, 25.0], [8, 5, 3]).reshape(2, 2, 2, 2)

HIT_FIRST: dict[tuple[str, int], int] = {("qei", 5): 9, ("qei", 15): 14, ("qei", 30): 39, ("thompson", 15): 4}
"""Place among the proposed samples of the first hit; every third one is a hit from there on."""


def searched(setup: Setup, first: int | None) -> Trace:
    """A search whose proposals miss by five degrees up to its first hit, and hit every third time from there on."""
    twists = np.full(SAMPLES, setup.target_deg - 5.0)
    if first is not None:
        twists[INITIAL + first :: 3] = setup.target_deg
    points = sobol_points(SAMPLES, 3, seed=setup.repetition)
    return Trace(points, twists, np.zeros(SAMPLES, dtype=np.int64), INITIAL)


def evidence(hit_first: Mapping[tuple[str, int], int]) -> Evidence:
    """All searches as published; a strategy and size that is not told of never hits."""
    setups = [
        Setup(name, n, MAIN_TARGET_DEG, repetition)
        for name, sizes in AS_PUBLISHED.items()
        for n in sizes
        for repetition in range(REPETITIONS)
    ]
    setups += [Setup("thompson", BATCH, t, repetition) for t in OTHER_TARGETS_DEG for repetition in range(REPETITIONS)]
    return Evidence(
        {setup: searched(setup, hit_first.get((setup.strategy, setup.n_batch))) for setup in setups}, GRID_DEG
    )


def verdicts(claims: list[Claim], letter: str) -> list[str]:
    """The verdicts on one letter, in their order."""
    return [claim.verdict for claim in claims if claim.letter == letter]


def test_what_was_built_to_hold_holds() -> None:
    """Small batches first in samples, large ones first in cycles, fewer hits in the largest, Thompson and random."""
    claims = all_claims(evidence(HIT_FIRST))
    assert verdicts(claims, "a")[:2] == ["holds", "holds"]
    assert verdicts(claims, "b")[:2] == ["holds", "holds"]
    assert verdicts(claims, "c") == ["holds", "holds"]
    assert verdicts(claims, "d") == ["holds"] * 6
    assert verdicts(claims, "e") == ["holds"] * 3
    assert verdicts(claims, "f") == ["holds"] * 3
    assert verdicts(claims, "g")[2] == "holds"


def test_the_opposite_does_not_hold() -> None:
    """qEI in the largest batches hits at once, Thompson sampling never."""
    claims = all_claims(evidence({("qei", 5): 40, ("qei", 15): 14, ("qei", 30): 0}))
    assert verdicts(claims, "a")[0] == "does not hold"
    assert verdicts(claims, "b")[:2] == ["does not hold"] * 2
    assert verdicts(claims, "c") == ["does not hold"] * 2
    assert verdicts(claims, "e") == ["does not hold"] * 3
    assert verdicts(claims, "f") == ["does not hold"] * 3


def test_equal_strategies_are_left_open() -> None:
    """Where two hit equally often nothing is decided."""
    claims = all_claims(evidence({("qei", 15): 4, ("thompson", 15): 4}))
    assert verdicts(claims, "c") == ["open", "open"]


@pytest.mark.parametrize(
    ("more", "verdict"), [([3.0, 4.0, 5.0], "holds"), ([0.0, 0.5, -1.0], "does not hold"), ([0.0, 4.0, 5.0], "open")]
)
def test_repetitions_that_disagree_leave_a_comparison_open(more: list[float], verdict: str) -> None:
    """Compared repetition by repetition with 1, 2 and 3."""
    assert compared(more, [1.0, 2.0, 3.0])[1] == verdict


def test_two_repetitions_decide_nothing() -> None:
    """However far apart they lie."""
    assert compared([10.0, 11.0], [1.0, 2.0])[1] == "open"


def test_a_target_that_some_repetitions_reach_is_open() -> None:
    """Neither reached nor out of reach."""
    some = evidence(HIT_FIRST)
    lost = Setup("thompson", BATCH, 15.0, 1)
    traces = {**some.traces, lost: searched(lost, None)}
    assert verdicts(all_claims(Evidence(traces, GRID_DEG)), "e") == ["holds", "open", "holds"]
