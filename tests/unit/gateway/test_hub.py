"""What is kept for listeners, and the framing of server-sent events."""

from __future__ import annotations

import json

from moireloop_broker.contract.events import Observation, RunReport
from moireloop_gateway.picture.hub import Hub, event_json, log_frame, sse_frame
from tests.helpers.campaign_events import candidate, changed, result


def test_an_event_of_the_log_has_its_id_there() -> None:
    """The frame has id, event and data, and ends with an empty line."""
    frame = log_frame("17-3", changed("started", 5.0)).decode()
    id_line, event_line, data_line, *end = frame.split("\n")
    assert (id_line, event_line, end) == ("id: 17-3", "event: campaign_changed/1", ["", ""])
    event = json.loads(data_line.removeprefix("data: "))
    assert (event["id"], event["topic"], event["event"]["state"]) == ("17-3", "campaign_changed/1", "started")


def test_what_is_observed_has_no_id() -> None:
    """The listener's last id stays the log's."""
    seen = Observation.model_construct(candidate_id="c1", attempt=1, step=5, time_ps=0.1)
    assert not log_frame(None, seen).startswith(b"id:")


def test_lines_cannot_be_smuggled_in() -> None:
    """A line break inside data begins another data line."""
    assert (
        sse_frame("a/1", "x\nid: 9-9\n\nevent: z") == b"event: a/1\ndata: x\ndata: id: 9-9\ndata: \ndata: event: z\n\n"
    )
    text = log_frame("1-0", result(candidate("c1")).model_copy(update={"reason": "a\n\nid: 9-9"})).decode()
    assert text.count("\n\n") == 1


def test_results_go_without_provenance() -> None:
    """Provenance may have megabytes; who wants it asks for the result."""
    report = RunReport(worker="w", started_s=1, finished_s=2, steps=1, md_s=1, provenance={"input": "x" * 1000})
    event = event_json(result(candidate("c1")).model_copy(update={"report": report}))
    assert "provenance" not in event
    assert json.loads(event)["report"]["worker"] == "w"


def filled(hub: Hub, count: int) -> Hub:
    for number in range(1, count + 1):
        hub.put("result/3", b"x" * 10, f"{number}-0")
    return hub


def test_a_listener_goes_on_from_an_id() -> None:
    """Everything after the id comes, once, in order."""
    hub = filled(Hub(), 5)
    assert [sent.log_id for sent in hub.since_id("3-0") or []] == ["4-0", "5-0"]
    assert hub.since_id("5-0") == []
    assert len(hub.since_id("0-0") or []) == 5


def test_a_listener_that_fell_behind_is_sent_to_the_log() -> None:
    """Of messages that are gone there is no telling: None, not a gap."""
    hub = filled(Hub(most_bytes=30), 9)
    assert hub.dropped_id == "6-0"
    assert hub.since_id("5-0") is None
    assert [sent.log_id for sent in hub.since_id("6-0") or []] == ["7-0", "8-0", "9-0"]
    assert hub.since_number(5) is None
    assert [sent.log_id for sent in hub.since_number(7) or []] == ["8-0", "9-0"]
    assert hub.since_number(9) == []


def test_what_was_there_before_is_in_the_log_alone() -> None:
    """A hub that began later sends listeners of earlier ids to the log."""
    hub = Hub()
    listening_from = hub.next_number
    hub.starts_after("8-1")
    assert hub.since_number(listening_from) is None
    assert hub.since_id("8-0") is None
    assert hub.since_id("8-1") == []


def test_observations_follow_the_event_before_them() -> None:
    """What was observed after an id comes with what was logged after it."""
    hub = Hub()
    for topic, log_id in (("a/1", "1-0"), ("observation/4", None), ("a/1", "2-0"), ("observation/4", None)):
        hub.put(topic, b"x", log_id)
    assert [sent.log_id for sent in hub.since_id("1-0") or []] == [None, "2-0", None]
    assert [sent.log_id for sent in hub.since_id("2-0") or []] == [None]
