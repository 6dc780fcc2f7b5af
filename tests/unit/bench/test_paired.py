"""Differences of two strategies, search by search."""

from __future__ import annotations

import pytest

from bench.paired import Search, paired, paired_table


def found(who: str, samples: dict[str, list[int | None]]) -> dict[Search, int | None]:
    """Searches of one target a landscape, repetition by repetition."""
    return {
        Search(who, name, 8.5, repetition): one
        for name, several in samples.items()
        for repetition, one in enumerate(several)
    }


def test_the_same_searches_have_no_difference() -> None:
    """And no interval about it; a search that never hit is one of the pairs."""
    both = found("ours", {"a": [10, None, 30]}) | found("theirs", {"a": [10, None, 30]})
    seen = paired(both, "ours", "theirs", ["a"])
    assert seen is not None
    assert (seen.searches, seen.same) == (3, 1.0)
    for one in (seen.median, seen.mean, seen.reached):
        assert (one.value, one.low, one.high) == (0.0, 0.0, 0.0)


def test_a_strategy_that_always_takes_more_is_behind() -> None:
    """By three samples in the mean and the median of two landscapes, and the interval has no other number."""
    theirs = found("theirs", {"a": [10, 20, 30, 40], "b": [5, 15, 25, 35]})
    ours = found("ours", {"a": [13, 23, 33, 43], "b": [8, 18, 28, 38]})
    seen = paired(ours | theirs, "ours", "theirs", ["a", "b"])
    assert seen is not None
    assert (seen.searches, seen.same) == (8, 0.0)
    assert (seen.mean.value, seen.mean.low, seen.mean.high) == (3.0, 3.0, 3.0)
    assert (seen.median.low, seen.median.high) == (3.0, 3.0)


def test_only_pairs_count() -> None:
    """A search that one of them has not made is left out; without any there is nothing to say."""
    some = found("ours", {"a": [10, 20, 30]}) | found("theirs", {"a": [10, None]})
    seen = paired(some, "ours", "theirs", ["a", "nowhere"])
    assert seen is not None
    assert seen.searches == 2
    assert seen.reached.value == pytest.approx(0.5)
    assert paired(some, "ours", "theirs", ["nowhere"]) is None
    assert paired_table(some, "ours", "theirs", {"a": ["a"], "none": ["nowhere"]}).row_count == 1
