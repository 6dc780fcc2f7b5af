"""event-model documents of entries of a log."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import event_model
import pytest

from moireloop.bluesky.documents import Document, Documents, in_order, place_of
from moireloop.client.received import Received
from moireloop_broker.contract.control import Description, ParameterRange
from moireloop_broker.contract.events import (
    AnalysisOutcome,
    CampaignChanged,
    Measurement,
    Observation,
    Published,
    Requested,
)
from moireloop_broker.contract.steering import RetargetRequest, WantedTwist
from tests.helpers.campaign_events import candidate, queued, result
from tests.helpers.grown import measured_pattern

DESCRIPTION = Description(
    campaign="tiny",
    campaign_id="f00d",
    space={
        "temperature_k": ParameterRange(unit="K", low=1500, high=4500),
        "lattice_strain": ParameterRange(unit="", low=0, high=0.05),
    },
    targets=[WantedTwist(twist_deg=8.2)],
    budget_results=10,
    budget_wall_time_s=None,
    outside_counts=True,
    growth_model="bead",
    strategy="auto",
    versions={},
)


def changed(state: Any, reason: str | None = None) -> CampaignChanged:
    return CampaignChanged(state=state, reason=reason, at_s=1.0)


def seen(name: str, step: int) -> Observation:
    measured = Measurement(twist_deg=5.0, sigma_deg=0.1, order_lower=0.9, order_upper=0.8)
    return Observation(candidate_id=name, attempt=1, step=step, time_ps=step * 0.004, measurement=measured)


def numbered(messages: Sequence[Published]) -> list[Received[Published]]:
    """Messages a second apart."""
    return [Received(f"{1000 * number}-0", message) for number, message in enumerate(messages, 1)]


def made(entries: Sequence[Received[Published]]) -> list[Document]:
    """The documents of entries, each checked by event-model's schemas and by its rules for runs."""
    documents = Documents(DESCRIPTION)
    found = [document for entry in entries for document in documents.of(entry)]
    for name, document in found:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(document)
    return found


ONE_RUN = (
    changed("started"),
    queued(candidate("a")),
    seen("a", 100),
    seen("a", 200),
    result(candidate("a")),
    changed("completed"),
)


def test_candidate_is_a_run_with_frames_and_a_result() -> None:
    """Documents are valid, in order, and refer to each other; times are taken from the entries."""
    documents = made(numbered(ONE_RUN))
    run = next(document for name, document in documents if document.get("plan_name") == "grow")
    own = [document for name, document in documents if document.get("run_start") == run["uid"]]
    streams = {document["uid"]: document["name"] for document in own if "data_keys" in document}
    events = [document for name, document in documents if document.get("descriptor") in streams]
    assert [(streams[event["descriptor"]], event["seq_num"], event["time"]) for event in events] == [
        ("frames", 1, 3.0),
        ("frames", 2, 4.0),
        ("primary", 1, 5.0),
    ]
    assert [event["data"].get("step") for event in events[:2]] == [100, 200]
    assert (own[-1]["exit_status"], own[-1]["num_events"]) == ("success", {"frames": 2, "primary": 1})
    assert len({document["uid"] for _, document in documents}) == len(documents)


def test_session_is_a_run_that_ends_with_the_whole_table() -> None:
    """Its stream `results` has the columns of results.parquet, by the targets as they are at its end."""
    retargeted = Requested(requester="ada", request=RetargetRequest(targets=[WantedTwist(twist_deg=4.0)]), at_s=1.0)
    documents = made(numbered([*ONE_RUN[:-1], retargeted, changed("stopped", "enough")]))
    session = documents[0][1]
    by_name = {document["name"]: document["uid"] for name, document in documents if name == "descriptor" and
               document["run_start"] == session["uid"]}  # fmt: skip
    assert list(by_name) == ["primary", "results"]
    (row,) = [document for _, document in documents if document.get("descriptor") == by_name["results"]]
    assert (row["data"]["nearest_target_deg"], row["data"]["regret_deg"]) == (4.0, 1.0)
    assert documents[-1][1]["reason"] == "enough"


def test_patterns_are_a_stream_of_the_session() -> None:
    """Each measured pattern is an event; what it lacks is NaN or null, its peaks and parameters are JSON."""
    patterns = [measured_pattern("shot", 8.3, {"heater_k": 875.0}), measured_pattern("blank", None, {})]
    documents = made(numbered([changed("started"), *patterns, changed("completed"), measured_pattern("late", 1.0, {})]))
    assert [name for name, _ in documents] == ["start", "descriptor", "event", "event", "stop"]
    assert documents[1][1]["name"] == "patterns"
    shot, blank = (document["data"] for name, document in documents if name == "event")
    assert (shot["pattern_id"], shot["twist_deg"], shot["reason"], shot["requester"]) == ("shot", 8.3, None, "ada")
    assert json.loads(shot["parameters"]) == {"heater_k": 875.0}
    assert json.loads(shot["peaks"])["q_x_per_angstrom"] == [2.3]
    assert math.isnan(blank["twist_deg"])
    assert blank["reason"] == "too faint"
    assert documents[-1][1]["num_events"] == {"patterns": 2}


def test_the_same_entries_make_the_same_documents() -> None:
    """Uids are no accident; another campaign has others."""
    entries = numbered(ONE_RUN)
    assert made(entries)[:2] == made(entries)[:2]
    other = Documents(DESCRIPTION.model_copy(update={"campaign_id": "beef"}))
    uids = {document["uid"] for entry in entries for _, document in other.of(entry)}
    assert not uids & {document["uid"] for _, document in made(entries)}


@pytest.mark.parametrize(
    ("outcome", "status"), [("measured", "success"), ("refused", "success"), ("failed", "fail"), ("cancelled", "abort")]
)
def test_outcome_is_the_exit_status(outcome: Any, status: str) -> None:
    """A run without a twist has NaN in its place, never None."""
    documents = made(numbered([queued(candidate("a")), result(candidate("a"), outcome)]))
    assert documents[-1][1]["exit_status"] == status
    event = documents[-2][1]
    assert math.isnan(event["data"]["twist_deg"]) == (outcome != "measured")


def test_frames_after_the_result_and_of_unknown_runs_make_nothing() -> None:
    """A run that has stopped has no more events; nor is a run begun twice."""
    late: list[Published] = [
        queued(candidate("a")),
        result(candidate("a")),
        seen("a", 300),
        seen("b", 1),
        queued(candidate("a"), 2),
    ]
    assert [name for name, _ in made(numbered(late))] == ["start", "descriptor", "event", "stop"]


def test_session_that_was_killed_is_closed_by_the_next() -> None:
    """And the next one is a separate run, whose table has the results of both."""
    documents = made(numbered([*ONE_RUN[:-1], changed("resumed"), changed("completed")]))
    sessions = [document for name, document in documents if document.get("plan_name") == "campaign"]
    stops = [
        document["exit_status"]
        for _, document in documents
        if document.get("run_start") in {session["uid"] for session in sessions} and "exit_status" in document
    ]
    assert (len(sessions), stops) == (2, ["abort", "success"])
    assert documents[-2][0] == "event"


def test_columns_of_analyzers_are_in_their_own_run() -> None:
    """Dots in names are dashes; the session's stream keeps the columns that all results have."""
    peak = AnalysisOutcome(numbers={"peak_angstrom": 3.2})
    with_analyses = result(candidate("a")).model_copy(update={"analyses": {"pair": peak}})
    entries: list[Published] = [changed("started"), queued(candidate("a")), with_analyses]
    documents = made(numbered(entries))
    of_session, of_run = (document["data"] for name, document in documents if name == "event")
    assert of_run["pair-peak_angstrom"] == 3.2
    assert "pair-peak_angstrom" not in of_session


def test_a_frame_comes_before_an_event_of_its_moment() -> None:
    """Else it were lost with the run's end."""
    ends, frame = Received[Published]("7-0", result(candidate("a"))), Received[Published]("7-0", seen("a", 1))
    assert in_order([ends, frame]) == [frame, ends]
    assert place_of(frame) < place_of(ends)
    assert ends.at_s == 0.007
