"""What campaigns of earlier versions have on record can still be read."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from moireloop_broker.contract.codec import (
    EARLIER,
    pack,
    pack_reply,
    unpack_as,
    unpack_event,
    unpack_published,
    unpack_reply,
    unpack_request,
)
from moireloop_broker.contract.control import Status, StatusRequest, WorkerStatus
from moireloop_broker.contract.events import Observation, Result
from moireloop_broker.contract.message import MalformedMessage, Message
from moireloop_broker.contract.steering import SOMEBODY
from tests.helpers.page import golden_examples

SINCE: dict[str, set[str]] = {"result/1": {"analyses"}, "result/2": set(), "observation/3": set()}
VECTORS = {"cell_vectors_angstrom", "lower_vectors_angstrom", "upper_vectors_angstrom"}
MODELS: dict[str, type[Message]] = {"result": Result, "observation": Observation}


def as_written(tag: str) -> dict[str, Any]:
    """The page's example with the fields that a message of this tag had."""
    model = MODELS[tag.partition("/")[0]]
    fields, _ = golden_examples()[model.__name__]
    measurement = {name: value for name, value in fields["measurement"].items() if name not in VECTORS}
    kept = {name: value for name, value in fields.items() if name not in SINCE[tag]}
    return {**kept, "tag": tag, "measurement": measurement}


@pytest.mark.parametrize("tag", EARLIER)
def test_earlier_records_are_read_as_messages_of_today(tag: str) -> None:
    """All that they have is there, and what came since has its default."""
    fields = as_written(tag)
    read = unpack_published(msgpack.packb(fields))
    assert isinstance(read, Result | Observation)
    assert read.tag == EARLIER[tag]
    assert read.measurement is not None
    assert read.measurement.upper_vectors_angstrom is None
    today = unpack_as(type(read), msgpack.packb({**fields, "tag": EARLIER[tag]}))
    assert read == today
    if isinstance(read, Result):
        assert unpack_event(msgpack.packb(fields)) == read


@pytest.mark.parametrize("tag", ["result/0", "result/9", ["result/2"], {"result/2": 1}, None])
def test_other_tags_are_not(tag: Any) -> None:
    """Neither in the log, nor is an earlier one a request."""
    with pytest.raises(MalformedMessage):
        unpack_event(msgpack.packb({**as_written("result/2"), "tag": tag}))
    with pytest.raises(MalformedMessage):
        unpack_request(msgpack.packb(as_written("result/2")))


def test_earlier_client_gets_the_status_that_it_knows() -> None:
    """To an earlier status request the reply has the tag and exactly the fields of its time; today's has today's."""
    fields, _ = golden_examples()["Status"]
    status = unpack_reply(msgpack.packb(fields))
    assert isinstance(status, Status)
    second = {name: value for name, value in fields.items() if name != "pools"}
    for version in (1, 2):
        earlier = msgpack.packb({"tag": f"status_request/{version}"})
        assert unpack_request(earlier) == StatusRequest()
        reply = msgpack.unpackb(pack_reply(status, earlier))
        assert reply["tag"] == f"status/{version}"
        assert {**reply, "tag": "", "workers": []} == {**second, "tag": "", "workers": []}
        known = {"worker", "candidate_id", "attempt", "step", "seen_s"}
        assert [set(worker) for worker in reply["workers"]] == [known if version == 1 else set(fields["workers"][0])]
    assert pack_reply(status, pack(StatusRequest())) == pack(status)


@pytest.mark.parametrize("tag", ["status_request/1", "status_request/2"])
def test_earlier_client_sees_a_paused_campaign_as_one_that_leases_nothing(tag: str) -> None:
    """It knows no pause: such a campaign is draining to it, until it goes on."""
    fields, _ = golden_examples()["Status"]
    paused = unpack_reply(msgpack.packb({**fields, "state": "paused"}))
    reply = msgpack.unpackb(pack_reply(paused, msgpack.packb({"tag": tag})))
    assert reply["state"] == "draining"


@pytest.mark.parametrize("kind", ["propose", "cancel", "stop"])
def test_earlier_requests_are_served(kind: str) -> None:
    """They lack the name of who asks, and are what they were."""
    fields, _ = golden_examples()[f"{kind.capitalize()}Request"]
    earlier = {**{k: v for k, v in fields.items() if k != "requester"}, "tag": f"{kind}_request/1"}
    read = unpack_request(msgpack.packb(earlier))
    assert read.model_dump() == {**fields, "requester": SOMEBODY}


def test_statuses_of_earlier_workers_are_read() -> None:
    """The records of workers of c78208a have no phase: such a worker was up."""
    said = {"worker": "worker-0", "candidate_id": "c1", "attempt": 1, "step": 5, "seen_s": 1.7e9}
    assert unpack_as(WorkerStatus, msgpack.packb(said)).came_up
