"""The pages of the wire, the schema and the test vectors in the package, and the code say the same."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any, Final, get_args

import msgpack
import pytest
from jsonschema import Draft202012Validator

from moireloop_broker.connection import Connection
from moireloop_broker.contract import events, frames, message, topics
from moireloop_broker.contract.codec import pack, unpack_as, unpack_published, unpack_reply, unpack_request
from moireloop_broker.contract.control import Accepted, Reply, Request, Stamp
from moireloop_broker.contract.events import Event, FrameAnalysed, Observation, Published
from moireloop_broker.contract.frames import FrameHeader, frame_from_parts
from moireloop_broker.contract.message import MalformedMessage, Message
from moireloop_broker.contract.steering import ProposeRequest
from moireloop_broker.contract.wire_schema import (
    DATA,
    REPLIES,
    members,
    schema_text,
    vectors,
    wire_models,
    wire_schema,
)
from moireloop_broker.service import broker as broker_service
from moireloop_broker.service import control, endpoints, replays
from moireloop_broker.service import steering as carried_out
from moireloop_broker.state import keys as redis_keys
from moireloop_broker.streams import frames as frame_stream
from moireloop_broker.streams.curve import Curve
from tests.helpers.json_schemas import schemas_of
from tests.helpers.page import DOCS, PAGE, SERVICES, blocks, from_hex, golden_examples, rows

MODELS = wire_models()
TAGGED = {name: model for name, model in MODELS.items() if "tag" in model.model_fields}
COUNTED_BY_THE_BROKER: Final = {f"/Status/properties/{name}/additionalProperties" for name in ("counts", "counters")}
PATTERNS: Final = {
    "name": wire_schema()["$defs"]["Candidate"]["properties"]["candidate_id"]["pattern"],
    "log id": wire_schema()["$defs"]["Stamp"]["properties"]["id"]["pattern"],
}
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([\w-]+))?\)")


def code(cell: str) -> str:
    """What stands between backticks in a cell of a table."""
    (inside,) = re.findall(r"`([^`]+)`", cell)
    return str(inside)


def test_schema_is_that_of_the_models() -> None:
    """The file in the package is what `make schema` writes; a field without a meaning, or a meaning too many, fails."""
    assert (DATA / "schema.json").read_text(encoding="utf-8") == schema_text()
    described = tomllib.loads((DATA / "meanings.toml").read_text(encoding="utf-8"))
    fields = {name: set(model.model_fields) - {"tag"} for name, model in MODELS.items()}
    assert {name: set(words) - {"says"} for name, words in described.items()} == fields
    assert all(text for words in described.values() for text in words.values())


@pytest.mark.parametrize("name", TAGGED)
def test_vectors_are_valid_by_the_schema(name: str) -> None:
    """A validator of JSON Schema, which knows nothing of us, takes each message, and none with an unknown field."""
    schema = {**wire_schema(), "$ref": f"#/$defs/{name}"}
    (fields,) = [vector["fields"] for vector in vectors()["messages"] if vector["message"] == name]
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert not list(validator.iter_errors(fields))
    assert list(validator.iter_errors({**fields, "unknown": 1}))
    assert list(validator.iter_errors({**fields, "tag": "other/1"}))


def test_no_number_needs_bigint() -> None:
    """As the page says for JavaScript: every integer of a message stays below 2^53."""
    for where, spec in schemas_of(("integer",), wire_schema()["$defs"]):
        if where not in COUNTED_BY_THE_BROKER:
            assert max(abs(spec["minimum"]), spec.get("maximum", spec.get("exclusiveMaximum"))) < 2**53, where


def test_fields_of_the_page_are_fields_of_the_models() -> None:
    """The page shows the fields that most controllers need by paths that exist."""
    described = rows("Schema and test vectors", 1)
    assert len(described) > 10
    for name, path, meaning in described:
        model: Any = MODELS[code(name)]
        for part in code(path).split("."):
            kinds = [model.model_fields[part].annotation]
            model = next(kind for kind in [*get_args(kinds[0]), *kinds] if kind is not type(None))
        assert meaning


def test_header_of_a_frame_has_the_fields_of_the_page() -> None:
    """The page for authors of analyzers and workers names each field of the header, in its order."""
    described = [code(field) for field, _ in rows("The header", page=SERVICES)]
    assert described == [name for name in FrameHeader.model_fields if name != "tag"]


def test_every_message_has_an_example() -> None:
    """Whatever travels on its own has golden bytes in the vectors."""
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
    described = {code(topic): code(body) for topic, body, _ in rows("Published messages", 1)}
    assert described == {str(model.model_fields["tag"].default): model.__name__ for model in members(Published)}
    assert set(described) == topics.LOG_TOPICS | topics.OBSERVED_TOPICS
    assert set(members(Published)) == {*members(Event), Observation, FrameAnalysed}


def test_requests_and_their_replies_match_the_code() -> None:
    """The table of requests has all of them."""
    described = {code(request): code(reply) for request, reply in rows("Control")}
    assert set(described) == {model.__name__ for model in members(Request)}
    for model in members(Request):
        assert described[model.__name__] == REPLIES.get(model, Accepted).__name__


def test_refusals_are_those_of_the_code() -> None:
    """Every name that the control endpoint refuses with stands on the page, and no other."""
    modules = (control, replays, carried_out)
    trees = [ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")) for module in modules]
    names = set()
    for call in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            given = {"InvalidRequest": call.args[:1], "Refused": [k.value for k in call.keywords if k.arg == "error"]}
            names |= {a.value for a in given.get(call.func.id, []) if isinstance(a, ast.Constant)}
    assert {code(error) for error, _ in rows("Refusals")} == names


def test_connection_file_has_the_fields_of_the_page() -> None:
    """The table of the connection file has its fields and the names of the keys."""
    described = {code(field): meaning for field, meaning in rows("Connection file")}
    assert set(described) == set(Connection.model_fields)
    assert set(re.findall(r"`(\w+_(?:public|secret))`", described["curve"])) == set(Curve.model_fields)
    assert described["version"] == str(Connection.model_fields["version"].default)


def test_limits_are_those_of_the_code() -> None:
    """Each limit has the value of the code."""
    assert [int(value.split()[0]) for page in (PAGE, SERVICES) for _, value, _ in rows("Limits", page=page)] == [
        control.MAX_REQUEST_BYTES,
        message.MAX_MESSAGE_BYTES,
        replays.MAX_REPLAY_BYTES,
        control.REPLIES_OWED,
        broker_service.REQUESTS_WAITING,
        endpoints.PUBLISHED_QUEUE,
        endpoints.PUBLISHED_BYTES,
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
    """The page has the same patterns as the models."""
    described = dict(rows("MessagePack"))
    for name, pattern in PATTERNS.items():
        assert f"`{pattern}`" in described[name]


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
    topic = code(rows("Frames", page=SERVICES)[0][1]).encode()
    frame = frame_from_parts([topic, packed, bytes(12 * atoms), bytes(atoms)])
    assert frame.positions.shape == (atoms, 3)


def test_session_in_bytes_is_what_its_lines_say() -> None:
    """Each line of the session is the message that it names, in its direction; the page shows the first ones."""
    session = vectors()["session"]
    assert len(session) > 10
    for line in session:
        data = from_hex(line["bytes"])
        if line["kind"] in ("subscribe", "topic"):
            assert data.decode() in topics.LOG_TOPICS
            continue
        readers = {
            ("client", "control"): unpack_request,
            ("broker", "control"): unpack_reply,
            ("broker", "events"): unpack_published,
        }
        read = readers.get((line["from"], line["socket"]))
        message: Any = unpack_as(Stamp, data) if line["kind"] == "stamp/1" or read is None else read(data)
        assert message.tag == line["kind"]
    (shown,) = blocks("A session in bytes", "bytes")
    arrows = {"client": ">", "broker": "<"}
    whole = [[arrows[line["from"]], line["socket"], line["kind"], line["bytes"]] for line in session]
    lines = [line.split() for line in shown.splitlines()]
    assert lines == whole[: len(lines)]


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of this repository, and to a heading of one of its pages, has its goal."""
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        if ":" in target:
            continue
        goal = (page.parent / target).resolve() if target else page
        assert goal.exists(), target
        if heading and goal.suffix == ".md":
            assert heading in headings(goal), f"{target}#{heading}"


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
