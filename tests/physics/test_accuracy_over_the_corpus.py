"""How right the twist is over the corpus of disturbed bilayers, and whether its standard error tells the truth.

`python -m bench twist-accuracy` does the same with more cases, and shows each of them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bench.twist_accuracy import Outcome, outcome_of, summary_of
from tests.helpers.corpus import FAMILIES, case_of, disturbed_cases

CASES = 19 * (len(FAMILIES) - 1)


@cache
def outcomes() -> list[Outcome]:
    """The corpus measured once: nineteen cases of each family but the large ones."""
    return [outcome_of(case) for case in disturbed_cases(CASES)]


def test_perfect_layers_are_right_to_a_millionth_of_a_degree() -> None:
    """Closed cells, flakes and seams of any twist without disturbance."""
    for number in range(60):
        outcome = outcome_of(case_of("perfect", number))
        assert abs(outcome.error_deg) < 1e-6, outcome.case.name


def test_nearly_all_are_right_to_a_tenth_of_a_degree() -> None:
    """97 % within 0.1 degrees; a refusal is not right."""
    assert summary_of(outcomes()).close >= 0.97


def test_all_are_right_to_a_quarter_of_a_degree() -> None:
    """None is further off, and none is refused."""
    assert [outcome.case.name for outcome in outcomes() if not abs(outcome.error_deg) <= 0.25] == []


def test_the_standard_error_is_that_of_the_errors() -> None:
    """Over all cases that do not close over the boundary, where chance moves the twist.

    Their errors scatter by 0.7 to 1.3 standard errors, and nine in ten stay within two of them.
    """
    open_ones = [outcome for outcome in outcomes() if outcome.case.plan.boundary != "closed"]
    whole = summary_of(open_ones)
    assert len(open_ones) > 100
    assert 0.7 < whole.rms_ratio < 1.3
    assert whole.within_2_sigma > 0.9


def test_no_error_is_beyond_four_standard_errors() -> None:
    """In no case is the standard error far too small."""
    assert [outcome.case.name for outcome in outcomes() if abs(outcome.ratio) > 4.0] == []


def test_stacking_is_never_the_wrong_one() -> None:
    """R or H is what the layers were built as wherever it is reported, and it is reported for nearly all."""
    asked = [outcome for outcome in outcomes() if outcome.case.stacking is not None]
    assert [outcome.case.name for outcome in asked if outcome.misstacked] == []
    assert np.mean([outcome.estimate.stacking is not None for outcome in asked]) > 0.97


@pytest.mark.parametrize("family", ["bicrystals", "polycrystals"])
def test_grains_lower_the_confidence_and_are_listed(family: str) -> None:
    """The confidence is about the share of the majority grain, and that grain is the first of its layer."""
    for outcome in (outcome for outcome in outcomes() if outcome.case.family == family):
        case, found = outcome.case, outcome.estimate
        metal = np.isin(case.bilayer.types, case.metal_types)
        shares = [np.mean(case.majority[metal & (case.upper == upper)]) for upper in (False, True)]
        assert found.confidence == pytest.approx(min(shares), abs=0.15), case.name
        assert found.confidence is not None
        assert found.confidence < 0.95, case.name
        for layer, upper in (("lower", False), ("upper", True)):
            first = next(grain for grain in found.grains if grain.layer == layer)
            own = metal & (case.upper == upper) & case.majority
            assert np.count_nonzero(own[first.atoms]) > 0.8 * len(first.atoms), case.name
