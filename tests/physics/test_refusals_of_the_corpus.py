"""Frames without a twist, of every kind of the corpus, are refused with a reason, and none is given a number."""

from __future__ import annotations

import pytest

from tests.helpers.corpus import REFUSALS, refusal_of
from tests.helpers.corpus.others import OTHERS


@pytest.mark.parametrize("family", REFUSALS)
def test_no_frame_without_a_twist_is_given_one(family: str) -> None:
    """Molten, glassy, gaseous and many-grained layers, other lattices, missing layers and atoms, broken numbers."""
    for number in range(40):
        case = refusal_of(family, number)
        estimate = case.measured()
        assert estimate.twist_deg is None, case.name
        assert estimate.signed_deg is None, case.name
        assert estimate.reason, case.name


@pytest.mark.parametrize("family", OTHERS)
def test_lattices_that_are_neither_triangular_nor_honeycombs_are_named(family: str) -> None:
    """Kagome, square and rectangular lattices, gaps in order, the 1T' phase, tilings, puckered and double planes."""
    for number in range(20):
        reason = refusal_of(family, number).measured().reason
        assert reason is not None
        assert any(words in reason for words in OTHERS[family][1]), (family, number, reason)
