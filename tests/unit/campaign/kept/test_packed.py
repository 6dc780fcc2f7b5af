"""Results that are kept packed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from moireloop.kept.packed import BLOCK, PackedResults
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.events import AnalysisArray, AnalysisOutcome, Result
from tests.unit.campaign.conftest import MakeResult

SEVERAL = 3 * BLOCK + 5


def of_all_kinds(make_result: MakeResult, count: int) -> list[Result]:
    """Measured, refused, failed and cancelled ones, some with analyses."""
    kinds: list[dict[str, Any]] = [
        {"twist_deg": 8.2}, {}, {"outcome": "failed"}, {"outcome": "cancelled"},
        {"twist_deg": 21.8, "ended": "settled"},
    ]  # fmt: skip
    results = [make_result(number, **kinds[number % len(kinds)]) for number in range(count)]
    outcome = AnalysisOutcome(
        numbers={"peak_angstrom": 3.16}, arrays={"g_r": AnalysisArray(shape=[2], values=[0.5, 1.0])}, reasons={"x": "y"}
    )
    return [
        result.model_copy(update={"analyses": {"pairs": outcome}}) if number % 7 == 0 else result
        for number, result in enumerate(results)
    ]


def kept(results: Sequence[Result]) -> PackedResults:
    packed = PackedResults()
    for result in results:
        packed.append(result)
    return packed


def test_results_come_out_as_they_went_in(make_result: MakeResult) -> None:
    """Of every kind, equal and with the same bytes on the wire, in their order."""
    results = of_all_kinds(make_result, SEVERAL)
    packed = kept(results)
    assert len(packed) == SEVERAL
    assert list(packed) == results
    assert [pack(result) for result in packed] == [pack(result) for result in results]


def test_results_of_a_block_share_equal_provenances(make_result: MakeResult) -> None:
    """So they are made into text once for a table."""
    packed = kept([make_result(number, twist_deg=8.2) for number in range(SEVERAL)])
    first, second = (packed[number].report for number in (0, 1))
    assert first is not None
    assert second is not None
    assert first.provenance is second.provenance


@pytest.mark.parametrize(
    "look",
    [
        lambda results: results[0],
        lambda results: results[BLOCK],
        lambda results: results[-1],
        lambda results: results[-SEVERAL],
        lambda results: results[-64:],
        lambda results: results[BLOCK - 2 : BLOCK + 2],
        lambda results: results[::BLOCK],
        lambda results: results[SEVERAL:],
    ],
)
def test_places_are_those_of_a_list(make_result: MakeResult, look: Callable[[Any], Any]) -> None:
    """Single ones, from either end, and slices."""
    results = of_all_kinds(make_result, SEVERAL)
    assert look(kept(results)) == look(results)


@pytest.mark.parametrize("place", [SEVERAL, -SEVERAL - 1])
def test_place_beyond_the_end_is_an_error(make_result: MakeResult, place: int) -> None:
    """As in a list."""
    with pytest.raises(IndexError):
        kept(of_all_kinds(make_result, SEVERAL))[place]


def test_packed_results_take_a_small_part_of_the_memory(make_result: MakeResult) -> None:
    """Of many, a fifth at most: a campaign of 100 000 results fits into some tens of megabytes."""

    def bytes_of(make: Callable[[], object]) -> int:
        before = tracemalloc.get_traced_memory()[0]
        made = make()
        taken = tracemalloc.get_traced_memory()[0] - before
        del made
        return taken

    def results() -> list[Result]:
        return [make_result(number, twist_deg=8.2) for number in range(20 * BLOCK)]

    tracemalloc.start()
    try:
        as_objects, as_packed = bytes_of(results), bytes_of(lambda: kept(results()))
    finally:
        tracemalloc.stop()
    assert as_packed < as_objects / 5
