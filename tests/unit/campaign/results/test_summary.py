"""Summaries of results that are kept packed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moireloop.results.summary import KeptResults, Tally, summary_of
from moireloop_broker.contract.events import AnalysisOutcome, EarlyEndWithheld, Result
from moireloop_broker.contract.search import Target
from tests.unit.campaign.conftest import MakeResult, result

TARGETS = (Target(twist_deg=8.2, tolerance_deg=0.3), Target(twist_deg=21.8))


def some_results(seed: int, count: int) -> list[Result]:
    """Runs of few recipes by three workers, some repeated with the same seed, some ended early, failed, or analysed."""
    random = np.random.default_rng(seed)
    return [one_result(number, random) for number in range(count)]


def one_result(number: int, random: np.random.Generator) -> Result:
    twist_deg = [None, 8.2, 8.3, 9.0, 21.9][random.integers(5)]
    fields = {} if random.integers(5) else {"outcome": ["failed", "cancelled"][random.integers(2)]}
    made = result(
        number,
        twist_deg=None if fields else twist_deg,
        seed=int(random.integers(4)),
        parameters={"temperature_k": float(random.integers(6)), "lattice_strain": 0.01},
        worker=f"worker-{random.integers(3)}",
        ended=["completed", "settled", "hopeless"][random.integers(3)],
        steps=int(random.integers(20_000)),
        **fields,
    )
    analyses = {"pairs": AnalysisOutcome(reason="no bonds")} if random.integers(2) else {}
    return made.model_copy(update={"analyses": analyses})


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**16), st.integers(0, 400))
def test_summary_of_kept_results_is_that_of_a_list(seed: int, count: int) -> None:
    """Best recipes, utilisation over a pause, early ends with their checks, analyzers that failed."""
    results, resumed_at_s = some_results(seed, count), [100.0 + count]
    withheld = {(each.candidate.candidate_id, 1): withheld_of(each) for each in results if each.candidate.seed == 0}
    kept = KeptResults(withheld)
    for each in results:
        kept.append(each)
    assert summary_of(kept, TARGETS, resumed_at_s, withheld) == summary_of(results, TARGETS, resumed_at_s, withheld)


def withheld_of(each: Result) -> EarlyEndWithheld:
    return EarlyEndWithheld(
        candidate_id=each.candidate.candidate_id, attempt=1, reason="sure", step=5, twist_deg=8.2, tolerance_deg=0.3,
        probability=0.98, share=0.1, withheld_s=1.0,
    )  # fmt: skip


def test_median_of_the_runs_is_known_at_each_moment(make_result: MakeResult) -> None:
    """The upper one of an even number; a candidate without a run does not count."""
    tally = Tally()
    assert tally.median_run_s is None
    for number, (run_s, expected_s) in enumerate([(5.0, 5.0), (1.0, 5.0), (2.0, 2.0), (9.0, 5.0)]):
        tally.add(make_result(number, leased_s=100.0, finished_s=100.0 + run_s, twist_deg=8.2))
        tally.add(make_result(10 + number, outcome="failed"))
        assert tally.median_run_s == expected_s
