"""What the comparison of strategies makes of its searches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.asynchronous import WORKERS, clocked
from bench.landscapes import Smooth
from bench.paired import Search
from bench.strategies import WHO, median_of, ratio_of, read, samples_to_hit, searches
from moireloop_broker.contract.search import Target
from moireloop_optimizer.auto.strategy import AutoStrategy


def test_the_median_counts_searches_that_never_hit_as_more_than_the_budget() -> None:
    """Of five, three without a hit: the median is above the budget, two fifths got there."""
    found = median_of([10, None, None, 20, None], budget=120)
    assert found.samples == 121
    assert found.reached == 0.4


def test_the_interval_covers_the_median_of_the_population() -> None:
    """In some 95 of 100 samples of 30 searches (binomial: 89 to 100)."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        found = median_of([int(one) for one in rng.geometric(0.02, size=30)], budget=10_000)
        covered += found.low <= 34 <= found.high
    assert covered >= 89


def test_a_ratio_has_an_interval() -> None:
    """Half as many samples everywhere: a half, with an interval around it."""
    theirs = [20, 30, 40, 50, 60, 70, 80]
    found = ratio_of([one // 2 for one in theirs], theirs, budget=120)
    assert found.samples == pytest.approx(0.5)
    assert found.low < 0.5 < found.high


def test_repetitions_share_their_first_samples() -> None:
    """A hit among the first six is one for auto alone and in batches."""
    at_once = [samples_to_hit(Search(who, "plateaus", 8.2, 0), budget=13) for who in ("auto", "auto 15", "random")]
    assert at_once == [1, 1, 1]


def test_a_file_goes_on_where_it_ended(tmp_path: Path) -> None:
    """What is in it is read back; a missing one is empty."""
    one = next(searches(1, WHO, ["smooth"]))
    path = tmp_path / "searches.jsonl"
    assert read(path) == {}
    path.write_text(json.dumps({**vars(one), "samples": 7}) + "\n")
    assert read(path) == {one: 7}


@pytest.mark.parametrize("is_batch", [False, True])
def test_workers_in_simulated_time_are_never_too_many(is_batch: bool) -> None:
    """No more than eight run at once; a batch leaves them idle at its end, asynchronous proposals never do."""
    made = clocked(
        Smooth(), AutoStrategy(1), Target(twist_deg=8.5, tolerance_deg=1e-6), is_batch=is_batch, seed=1, most=6
    )
    share = made.busy / (WORKERS * made.ended[-1])
    assert share <= 1.0 + WORKERS / len(made.ended)
    assert share < 0.85 if is_batch else share > 0.9
