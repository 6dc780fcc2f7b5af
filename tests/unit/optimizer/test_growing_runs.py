"""Runs that are learnt one after another."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_broker.contract.search import SearchSpace
from moireloop_optimizer import runs
from moireloop_optimizer.runs import GrowingRuns, runs_of
from tests.helpers.campaign_events import candidate, result

SPACE = SearchSpace.model_validate({"temperature_k": [1000, 3000], "lattice_strain": [0.0, 0.05]})


def test_they_are_those_of_all_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, and each result is looked at once."""
    results = [result(candidate(f"c{number}"), twist_deg=float(number)) for number in range(5)]
    results.insert(2, result(candidate("r"), "refused"))
    looked_at: list[int] = []

    def counting(some: list[object], space: SearchSpace) -> runs.Runs:
        looked_at.append(len(some))
        return runs_of(some, space)  # type: ignore[arg-type]

    growing = GrowingRuns(SPACE, results[:3])
    monkeypatch.setattr(runs, "runs_of", counting)
    assert len(growing.runs) == 3
    for each in results[3:]:
        growing.add(each)
    found, expected = growing.runs, runs_of(results, SPACE)
    for name in ("points", "twist_deg", "sigma_deg"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert growing.runs is found
    assert looked_at == [3, 3]
