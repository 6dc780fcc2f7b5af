"""The ablations of `auto`."""

from __future__ import annotations

import pytest

from bench.ablations import PARTS, without
from bench.paired import Search
from bench.strategies import samples_to_hit
from moireloop_optimizer.auto import strategy as auto

PLACE = ("plateaus", 8.2, 0)


@pytest.mark.parametrize("part", PARTS)
def test_each_search_ends_with_a_hit_and_leaves_auto_as_it_was(part: str) -> None:
    """A common twist is found without any of the parts, and the next search equals the whole strategy's."""
    before = dict(vars(auto))
    found = without(part, PLACE)
    assert found is not None
    assert found <= 40
    assert vars(auto) == before


def test_nothing_left_out_is_the_strategy_itself() -> None:
    """Of the comparison with the others."""
    assert without("auto", PLACE) == samples_to_hit(Search("auto", *PLACE))


def test_a_batch_that_does_not_hear_of_its_points_puts_them_together() -> None:
    """So that the row of the table is about pending points."""
    pending, alone = (without(part, ("bead", 15.42, 0)) for part in ("auto, batches of 15", "pending points ignored"))
    assert pending != alone
