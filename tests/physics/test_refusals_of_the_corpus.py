"""Frames without a twist, of every kind of the corpus, are refused with a reason, and none is given a number."""

from __future__ import annotations

import pytest

from tests.helpers.corpus import REFUSALS, refusal_of


@pytest.mark.parametrize("family", REFUSALS)
def test_no_frame_without_a_twist_is_given_one(family: str) -> None:
    """Molten, glassy, gaseous and many-grained layers, missing layers and atoms, broken numbers and cells."""
    for number in range(40):
        case = refusal_of(family, number)
        estimate = case.measured()
        assert estimate.twist_deg is None, case.name
        assert estimate.signed_deg is None, case.name
        assert estimate.reason, case.name
