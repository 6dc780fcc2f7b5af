"""The verdicts on the claims, from searches that are made up so that the answer is known."""

from __future__ import annotations

import pytest

from bench.paper_figures.claims import Claim, Evidence, all_claims, compared
from bench.paper_figures.searches import BATCH, Setup
from tests.unit.bench.made_up import GRID_DEG, HIT_FIRST, evidence, searched


def verdicts(claims: list[Claim], letter: str) -> list[str]:
    """The verdicts on one letter, in their order."""
    return [claim.verdict for claim in claims if claim.letter == letter]


def test_what_was_built_to_hold_holds() -> None:
    """Small batches first in samples, large ones first in cycles, fewer hits in the largest, Thompson and random."""
    claims = all_claims(evidence(HIT_FIRST))
    assert verdicts(claims, "a")[:4] == ["holds"] * 4
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


def test_a_target_that_was_never_reached_decides_no_speed() -> None:
    """Searches that take all their samples and cycles say nothing about how fast they would have been."""
    claims = all_claims(evidence({("qei", 15): 4}))
    assert verdicts(claims, "a")[:4] == ["open"] * 4


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
