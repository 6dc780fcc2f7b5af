"""What the log tells of a campaign."""

from __future__ import annotations

import json
import sys

import pytest

from moireloop_broker.contract.events import (
    CancelRequested,
    EarlyEndWithheld,
    Measurement,
    Observation,
    Published,
    RunReport,
    ServiceChanged,
    StageTimes,
)
from moireloop_broker.contract.patterns import PatternAnalysis, PatternMeasured, PatternPeaks
from moireloop_broker.contract.search import Target
from moireloop_gateway.picture import picture as pictures
from moireloop_gateway.picture.picture import Picture
from moireloop_gateway.picture.runs import ENDED_KEPT, POINTS_KEPT, Runs
from moireloop_gateway.web.recipes import recipes_json
from tests.helpers.campaign_events import candidate, changed, failed, finished, leased, queued, result


def picture_of(*events: Published) -> Picture:
    picture = Picture()
    for number, event in enumerate(events, start=1):
        assert picture.note(f"{number}-0", event)
    return picture


def seen(step: int, candidate_id: str = "c1", twist_deg: float = 5.0) -> Observation:
    return Observation(
        candidate_id=candidate_id, attempt=1, step=step, time_ps=0.1 * step, planned_steps=100,
        measurement=Measurement(twist_deg=twist_deg),
    )  # fmt: skip


def test_a_candidate_goes_its_way() -> None:
    """Queued, running, analysing, and then it has a result."""
    c1 = candidate("c1")
    picture = picture_of(changed("started", 1.0), queued(c1))
    assert picture.in_flight["c1"].state == "queued"
    picture.note("3-0", leased("c1"))
    assert (picture.in_flight["c1"].state, picture.in_flight["c1"].worker) == ("running", "w0")
    picture.note("4-0", finished("c1"))
    assert picture.in_flight["c1"].state == "analysing"
    picture.note("5-0", result(c1))
    assert picture.in_flight == {}
    assert picture.counts()["measured"] == 1
    assert picture.spent == 1


def test_an_event_counts_once() -> None:
    """What is replayed again, or comes late, changes nothing."""
    c1 = candidate("c1")
    picture = picture_of(queued(c1), result(c1))
    assert not picture.note("2-0", result(c1))
    assert not picture.note("1-0", queued(c1))
    assert (len(picture.results), picture.in_flight, picture.events) == (1, {}, 2)


def test_a_failed_attempt_is_reported_and_queued_again() -> None:
    """The failure has its reason; the candidate is back in the queue with another attempt."""
    c1 = candidate("c1")
    picture = picture_of(queued(c1), leased("c1"), failed("c1"), queued(c1, attempt=2))
    assert picture.failures[0]["reason"] == "lost"
    assert (picture.in_flight["c1"].state, picture.in_flight["c1"].attempt) == ("queued", 2)
    assert picture.timeline.since(0.0, 10)["end"] == ["failed"]


def test_hits_are_counted_per_target() -> None:
    """Also when targets change in between, and of results without a twist none."""
    a, b, c = candidate("a"), candidate("b"), candidate("c")
    picture = picture_of(result(a, twist_deg=5.0), result(b, twist_deg=8.1), result(c, "refused"))
    (best,) = picture.nearest([Target(twist_deg=8.2)])
    assert (best.hits, best.candidate_id) == (1, "b")
    assert best.error_deg == pytest.approx(0.1)
    five, far = picture.nearest([Target(twist_deg=5.2), Target(twist_deg=20.0)])
    assert (five.hits, five.candidate_id, far.hits, far.candidate_id) == (1, "a", 0, "b")
    picture.note("9-0", result(candidate("d"), twist_deg=5.3))
    assert picture.nearest([Target(twist_deg=5.2), Target(twist_deg=20.0)])[0].hits == 2


def test_columns_keep_what_a_result_says() -> None:
    """Numbers, words and parameters, with null for what is not there; JSON takes them."""
    picture = picture_of(result(candidate("a", strain=0.01)), result(candidate("b"), "failed"))
    columns = picture.results
    names = ["id", "candidate_id", "parameter.lattice_strain", "seed", "twist_deg", "outcome", "reason", "worker"]
    assert columns.table(names, slice(0, 2)) == {
        "id": ["1-0", "2-0"],
        "candidate_id": ["a", "b"],
        "parameter.lattice_strain": [0.01, 0.02],
        "seed": [1, 1],
        "twist_deg": [5.0, None],
        "outcome": ["measured", "failed"],
        "reason": [None, "molten"],
        "worker": [None, None],
    }
    json.dumps(columns.table(columns.names, slice(0, 2)), allow_nan=False)
    assert columns.row_after("1-0") == 1
    assert columns.row_after("0-0") == 0


def test_parameters_may_come_later() -> None:
    """A parameter that earlier results did not have is null in these."""
    other = candidate("b").model_copy(update={"parameters": {"pressure_bar": 3.0}})
    columns = picture_of(result(candidate("a")), result(other)).results
    assert columns.values("parameter.pressure_bar", slice(0, 2)) == [None, 3.0]
    assert columns.values("parameter.temperature_k", slice(0, 2)) == [2000.0, None]


def test_utilisation_counts_no_pause() -> None:
    """MD time over each worker's time, from its first lease to its last end, in each session."""
    picture = Picture()
    picture.note("1-0", changed("started", 0.0))
    for number, begin in ((2, 10.0), (4, 1000.0)):
        report = RunReport(worker="w", started_s=begin, finished_s=begin + 10, steps=5, md_s=8.0)
        times = StageTimes(proposed_s=0.0, queued_s=begin - 4, leased_s=begin, started_s=begin, finished_s=begin + 10)
        done = result(candidate(f"c{number}")).model_copy(update={"report": report, "times": times})
        picture.note(f"{number}-0", done)
        picture.note(f"{number}-1", changed("resumed", 500.0))
    assert picture.utilisation() == pytest.approx(0.8)
    assert picture.stage_s["queue"] / picture.stage_count["queue"] == pytest.approx(4.0)
    assert picture.steps_done == 10


def test_requests_and_crashes_are_remarks() -> None:
    """Events that move no candidate are described in words, whatever they are."""
    picture = picture_of(
        ServiceChanged(service="optimizer", state="crashed", reason="killed", at_s=3.0),
        CancelRequested(candidate_id="c1", reason="enough"),
    )
    assert [(remark["kind"], remark["text"]) for remark in picture.remarks] == [
        ("crashed", "optimizer: killed"),
        ("cancel_requested", "candidate_id c1, reason enough"),
    ]


def test_a_series_grows_and_is_bounded() -> None:
    """A frame that was seen before changes nothing; long series are thinned out in their older half."""
    runs = Runs()
    for step in [1, 2, 2, 1, *range(3, 3 * POINTS_KEPT)]:
        runs.observe(seen(step))
    (series,) = runs.series_of("c1")
    steps = series["points"]["step"]
    assert steps[0] == 1
    assert steps[-1] == 3 * POINTS_KEPT - 1
    assert steps == sorted(set(steps))
    assert len(steps) <= POINTS_KEPT + 1


def test_old_series_go() -> None:
    """Series of the last results stay, older ones are read from the campaign's tables."""
    runs = Runs()
    for number in range(ENDED_KEPT + 1):
        runs.observe(seen(1, f"c{number}"))
        runs.end(f"c{number}")
    assert runs.series_of("c0") == []
    assert len(runs.series_of(f"c{ENDED_KEPT}")) == 1


def test_recipes_from_columns_are_those_from_results() -> None:
    """Two runs of the same parameters are one recipe with two hits."""
    again = candidate("c2").model_copy(update={"seed": 2})
    picture = picture_of(result(candidate("c1")), result(again), result(candidate("c3", strain=0.04), twist_deg=20.0))
    recipes = recipes_json(
        picture.results, 3, [Target(twist_deg=5.0)], {"temperature_k": (0, 1), "lattice_strain": (0, 1)}, 9
    )
    first, second = recipes["targets"][0]["recipes"]
    assert (first["recipe"], first["runs"], first["hits"], first["cluster"]) == ("c1", 2, 2, "A")
    assert (second["hits"], second["cluster"], second["regret_deg"]) == (0, None, 15.0)


def test_a_result_takes_little_room() -> None:
    """Below 700 bytes each, ids and row numbers included."""
    picture = Picture()
    for number in range(2000):
        picture.note(f"{number + 1}-0", result(candidate(f"c{number:05d}")))
    columns = picture.results
    arrays = [*columns._numbers.values(), *columns._parameters.values(), *columns._words.values()]
    size = sum(sys.getsizeof(column) for column in arrays) + sys.getsizeof(columns.ids) + sys.getsizeof(columns.row_of)
    size += sum(sys.getsizeof(entry) + sys.getsizeof(entry[0]) for entry in columns.ids)
    size += sum(sys.getsizeof(name) for name in columns.candidates)
    assert size / 2000 < 700


def pattern(number: int, twist_deg: float | None) -> PatternMeasured:
    shown = PatternAnalysis(twist_deg=twist_deg, sigma_deg=0.1, reason=None if twist_deg else "too faint")
    peaks = PatternPeaks(q_x_per_angstrom=[2.3], q_y_per_angstrom=[0.0], intensity=[1.0])
    return PatternMeasured(pattern_id=f"p{number}", requester="ada", peaks=peaks, analysis=shown, at_s=float(number))


def test_measured_patterns_are_kept_without_their_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest ones, each with what it shows; all are counted, and each is a remark with who sent it."""
    monkeypatch.setattr(pictures, "PATTERNS_KEPT", 2)
    picture = picture_of(pattern(1, 8.3), pattern(2, None), pattern(3, 9.0))
    assert list(picture.patterns) == ["p2", "p3"]
    assert (picture.patterns["p3"]["id"], picture.patterns["p3"]["peaks"]) == ("3-0", 1)
    assert picture.patterns["p2"]["analysis"]["reason"] == "too faint"
    assert picture.patterns_seen == 3
    assert [remark["text"] for remark in picture.remarks][:2] == ["p1: 8.30 ± 0.10 (by ada)", "p2: too faint (by ada)"]
    assert json.loads(json.dumps(list(picture.patterns.values())))


def test_sure_runs_that_went_to_their_end_are_checked() -> None:
    """Right where the final twist is that which was claimed, wrong where it is another one."""
    events: list[Published] = []
    for name, claimed_deg in (("c1", 5.0), ("c2", 15.0)):
        report = RunReport(worker="w0", started_s=1.0, finished_s=2.0, steps=10, planned_steps=10, md_s=1.0)
        withheld = EarlyEndWithheld(
            candidate_id=name, attempt=1, reason="sure", step=1, twist_deg=claimed_deg, tolerance_deg=0.1,
            probability=0.97, share=0.1, withheld_s=1.0,
        )  # fmt: skip
        events += [withheld, result(candidate(name)).model_copy(update={"report": report})]
    picture = picture_of(*events)
    assert (picture.early_checked, picture.early_wrong) == (2, 1)
