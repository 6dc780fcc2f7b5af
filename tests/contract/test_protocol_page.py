"""docs/protocol.md and the code say the same: fields, examples, topics, refusals, limits."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import msgpack
import pytest

from moireloop_broker.connection import Connection
from moireloop_broker.contract import control as said
from moireloop_broker.contract import events, frames, message, steering, topics
from moireloop_broker.contract.codec import pack, unpack_as, unpack_published, unpack_reply, unpack_request
from moireloop_broker.contract.control import (
    Accepted,
    DescribeRequest,
    Description,
    Replay,
    ReplayRequest,
    Reply,
    Request,
    Stamp,
    Status,
    StatusRequest,
)
from moireloop_broker.contract.events import Event, FrameAnalysed, Observation, Published
from moireloop_broker.contract.frames import frame_from_parts
from moireloop_broker.contract.message import MalformedMessage, Message
from moireloop_broker.contract.steering import ProposeRequest
from moireloop_broker.service import broker as broker_service
from moireloop_broker.service import control
from moireloop_broker.service import steering as carried_out
from moireloop_broker.state import keys as redis_keys
from moireloop_broker.streams import frames as frame_stream
from moireloop_broker.streams.curve import Curve
from tests.contract.wire_types import PATTERNS, described
from tests.helpers.page import PAGE, blocks, from_hex, golden_examples, rows, sections

MODELS: dict[str, type[Message]] = {
    name: model
    for module in (said, steering, events, frames, message)
    for name, model in vars(module).items()
    if inspect.isclass(model) and issubclass(model, Message) and model is not Message
}
TAGGED = {name: model for name, model in MODELS.items() if "tag" in model.model_fields}


def code(cell: str) -> str:
    """What stands between backticks in a cell of a table."""
    (inside,) = re.findall(r"`([^`]+)`", cell)
    return str(inside)


def members(union: Any) -> set[type[Message]]:
    return set(get_args(get_args(union)[0]))


def link_target(cell: str) -> str:
    found = re.fullmatch(r"\[(\w+)\]\(#(\w+)\)", cell)
    assert found, f"expected a link to a section, got {cell}"
    assert found[2] == found[1].lower()
    return found[1]


def test_every_model_has_a_section_and_every_table_of_fields_a_model() -> None:
    """No message is missing on the page, and none stands there that the code does not know."""
    with_fields = {name for name, text in sections().items() if "| Field | Type | Default |" in text}
    assert with_fields == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_table_is_the_models(name: str) -> None:
    """Names, order, types, defaults and ranges of the fields are those of the model; each field has a meaning."""
    told = rows(name)
    assert [row[:4] for row in told] == [
        [f"`{field.name}`", field.type, field.default, field.range] for field in described(MODELS[name])
    ]
    assert all(row[4] for row in told)


def test_every_message_has_an_example() -> None:
    """Whatever travels on its own has golden bytes on the page."""
    assert set(golden_examples()) == set(TAGGED)


@pytest.mark.parametrize("name", TAGGED)
def test_example_is_its_bytes_and_back(name: str) -> None:
    """An example's JSON packs to exactly the bytes beside it, and these unpack to the same message."""
    fields, packed = golden_examples()[name]
    message = MODELS[name].model_validate(fields)
    assert pack(message).hex() == packed.hex()
    assert unpack_as(MODELS[name], packed) == message
    assert msgpack.unpackb(packed) == fields


def test_examples_show_every_part() -> None:
    """Each part of messages occurs in an example, and is given there, not nil."""
    shown = {type(message).__name__ for name in TAGGED for message in within(example(name))}
    assert set(MODELS) <= shown


def example(name: str) -> Message:
    return MODELS[name].model_validate(golden_examples()[name][0])


def within(value: Any) -> list[Message]:
    """A message and all messages inside it."""
    if isinstance(value, list):
        return [found for inner in value for found in within(inner)]
    if isinstance(value, dict):
        return within(list(value.values()))
    if not isinstance(value, Message):
        return []
    return [value, *(found for field in type(value).model_fields for found in within(getattr(value, field)))]


def test_unions_read_their_examples() -> None:
    """Published messages, requests and replies on the page are read by the reader of their kind."""
    for union, read in ((Published, unpack_published), (Request, unpack_request), (Reply, unpack_reply)):
        for model in members(union):
            packed = golden_examples()[model.__name__][1]
            assert isinstance(read(packed), model)


def test_topics_are_those_of_the_code() -> None:
    """The table of topics has all of them, each with the message that travels on it."""
    told = {code(topic): link_target(body) for topic, body, _ in rows("Published messages", 1)}
    assert told == {str(model.model_fields["tag"].default): model.__name__ for model in members(Published)}
    assert set(told) == topics.LOG_TOPICS | topics.OBSERVED_TOPICS
    assert members(Published) == members(Event) | {Observation, FrameAnalysed}


def test_requests_and_their_replies_are_those_of_the_code() -> None:
    """The table of requests has all of them."""
    told = {link_target(request): link_target(reply) for request, reply in rows("Control")}
    assert set(told) == {model.__name__ for model in members(Request)}
    replies: dict[type[Message], type[Message]] = {
        StatusRequest: Status,
        DescribeRequest: Description,
        ReplayRequest: Replay,
    }
    for model in members(Request):
        assert told[model.__name__] == replies.get(model, Accepted).__name__


def test_refusals_are_those_of_the_code() -> None:
    """Every name that the control endpoint refuses with stands on the page, and no other."""
    trees = [ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")) for module in (control, carried_out)]
    names = set()
    for call in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            given = {"InvalidRequest": call.args[:1], "Refused": [k.value for k in call.keywords if k.arg == "error"]}
            names |= {a.value for a in given.get(call.func.id, []) if isinstance(a, ast.Constant)}
    assert {code(error) for error, _ in rows("Refusals")} == names


def test_connection_file_has_the_fields_of_the_page() -> None:
    """The table of the connection file has its fields and the names of the keys."""
    told = {code(field): meaning for field, meaning in rows("Connection file")}
    assert set(told) == set(Connection.model_fields)
    assert set(re.findall(r"`(\w+_(?:public|secret))`", told["curve"])) == set(Curve.model_fields)
    assert told["version"] == str(Connection.model_fields["version"].default)


def test_limits_are_those_of_the_code() -> None:
    """Each limit has the value of the code."""
    assert [int(value.split()[0]) for _, value, _ in rows("Limits")] == [
        control.MAX_REQUEST_BYTES,
        message.MAX_MESSAGE_BYTES,
        control.MAX_REPLAY_BYTES,
        control.REPLIES_OWED,
        broker_service.REQUESTS_WAITING,
        broker_service.PUBLISHED_QUEUE,
        redis_keys.OBSERVATIONS_KEPT,
        redis_keys.OBSERVED_BYTES_KEPT,
        events.MAX_ANALYSES,
        events.MAX_ANALYSIS_VALUES,
        frames.MAX_FRAME_ATOMS,
        frames.MAX_FINAL_ATOMS,
        frame_stream.MAX_FRAME_BYTES,
        frame_stream.RECEIVED_QUEUE_FRAMES,
    ]


def test_names_and_ids_match_the_patterns_of_the_page() -> None:
    """The patterns of the page are those of the models."""
    told = dict(rows("MessagePack"))
    for name, pattern in PATTERNS.items():
        assert f"`{pattern}`" in told[name]


def propose(value: bytes, seed: bytes = b"\x07") -> ProposeRequest:
    """A proposal whose one parameter and seed are given as raw MessagePack."""
    fields: dict[str, Any] = {"tag": "propose_request/1", "candidate_id": "x"}
    start = msgpack.packb(fields)
    data = b"\x84" + start[1:] + msgpack.packb("parameters") + b"\x81" + msgpack.packb("temperature_k") + value
    request = unpack_request(data + msgpack.packb("seed") + seed)
    assert isinstance(request, ProposeRequest)
    return request


@pytest.mark.parametrize("value", [2000.0, 2000], ids=["float 64", "int"])
def test_floats_may_be_sent_as_float_or_int(value: float) -> None:
    """A library that packs 2000.0 as an int is understood."""
    assert propose(msgpack.packb(value)).parameters == {"temperature_k": 2000.0}


def test_floats_may_be_sent_in_single_precision() -> None:
    """A float 32 is understood."""
    assert propose(msgpack.packb(2000.0, use_single_float=True)).parameters == {"temperature_k": 2000.0}


@pytest.mark.parametrize("seed", [7.0, True, "7", None], ids=["float", "bool", "text", "nil"])
def test_ints_are_sent_as_int(seed: object) -> None:
    """Nothing else is taken for an int, as the page says."""
    with pytest.raises(MalformedMessage, match="seed"):
        propose(msgpack.packb(2000.0), msgpack.packb(seed))


def test_floats_come_as_float_64() -> None:
    """A whole number in a float field is sent as a float, also when it came as an int."""
    assert pack(propose(msgpack.packb(2000))).hex() == pack(propose(msgpack.packb(2000.0))).hex()
    assert msgpack.packb(2000.0) in pack(propose(msgpack.packb(2000)))


def test_frame_of_the_page_is_a_frame() -> None:
    """The header's example, with buffers as the page describes them, is read as a frame."""
    packed = golden_examples()["FrameHeader"][1]
    atoms = golden_examples()["FrameHeader"][0]["shape"][0]
    topic = code(rows("Frames")[0][1]).encode()
    frame = frame_from_parts([topic, packed, bytes(12 * atoms), bytes(atoms)])
    assert frame.positions.shape == (atoms, 3)


def test_session_in_bytes_is_what_its_lines_say() -> None:
    """Each line of the session is the message that it names, in the direction of its arrow."""
    (session,) = blocks("A session in bytes", "bytes")
    lines = [line.split() for line in session.splitlines()]
    assert len(lines) > 10
    for direction, socket, kind, digits in lines:
        data = from_hex(digits)
        if kind in ("subscribe", "topic"):
            assert data.decode() in topics.LOG_TOPICS
            continue
        readers = {(">", "control"): unpack_request, ("<", "control"): unpack_reply, ("<", "events"): unpack_published}
        message: Any = unpack_as(Stamp, data) if kind == "stamp/1" else readers[direction, socket](data)
        assert message.tag == kind


def test_links_lead_somewhere() -> None:
    """Every link within the page has its heading."""
    targets = {heading.lower().replace(" ", "-") for heading in sections()}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE.read_text(encoding="utf-8"))) <= targets
