"""Runs that are learnt one after another."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import SearchSpace
from moireloop_optimizer.runs import GrowingRuns, Runs, runs_of
from tests.helpers.campaign_events import candidate, result

SPACE = SearchSpace.model_validate({"temperature_k": [1000, 3000], "lattice_strain": [0.0, 0.05]})
WIDER = SearchSpace.model_validate({"temperature_k": [500, 3500], "lattice_strain": [0.0, 0.05]})
VECTORS = {f"{name}_vectors_angstrom": [3.0, 0.0, 1.5, 2.5] for name in ("cell", "lower", "upper")}


def same(found: Runs, expected: Runs) -> None:
    for name in ("points", "twist_deg", "sigma_deg"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.lattices is None) == (expected.lattices is None)
    if found.lattices is not None and expected.lattices is not None:
        np.testing.assert_array_equal(found.lattices, expected.lattices)


def several() -> list[Result]:
    """Measured ones, of which the last has its lattices; refused, failed, and one that lacks a parameter."""
    measured = [result(candidate(f"c{n}", temperature_k=1000.0 + 37 * n), twist_deg=float(n)) for n in range(5)]
    last = measured[-1].measurement
    assert last is not None
    measured[-1] = measured[-1].model_copy(update={"measurement": last.model_copy(update=VECTORS)})
    poor = candidate("p").model_copy(update={"parameters": {"temperature_k": 1500.0}})
    return [
        *measured[:2],
        result(candidate("r"), "refused"),
        result(candidate("f"), "failed"),
        result(poor),
        *measured[2:],
    ]


@pytest.mark.parametrize("looks", [(), (3,), (2, 6)])
def test_they_are_those_of_all_results(looks: tuple[int, ...]) -> None:
    """In their order, whenever they are looked at."""
    growing = GrowingRuns(SPACE)
    for number, each in enumerate(several()):
        growing.add(each)
        if number in looks:
            same(growing.runs, runs_of(several()[: number + 1], SPACE))
    same(growing.runs, runs_of(several(), SPACE))
    assert growing.runs is growing.runs


def test_other_bounds_move_all_of_them() -> None:
    """Those from before and those that come later, as if all had come within them."""
    growing = GrowingRuns(SPACE, several()[:4])
    growing.within(WIDER)
    for each in several()[4:]:
        growing.add(each)
    same(growing.runs, runs_of(several(), WIDER))
    growing.within(SPACE)
    same(growing.runs, runs_of(several(), SPACE))
