"""Every message of moireloop, declared once: events of the log, observations, frames and control (pure).

A message travels as MessagePack of its fields. The field `tag` names the kind and its version ("result/3") and
selects the model. Fields that a model does not declare are refused, and so are numbers that are not finite.
Times are seconds since the Unix epoch; other units stand in the names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Final, TypeVar

import msgpack
from pydantic import TypeAdapter, ValidationError

from moireloop_broker.bulk import many_objects
from moireloop_broker.contract.control import Reply, Request, Stamp, Status, WorkerStatus
from moireloop_broker.contract.events import Event, Published
from moireloop_broker.contract.message import MAX_ERROR_CHARACTERS, MAX_MESSAGE_BYTES, MalformedMessage, Message

EARLIER: Final = {"result/1": "result/3", "result/2": "result/3", "observation/3": "observation/4"}
"""Tags in campaigns of earlier versions: all of their fields still exist, and later fields have defaults."""

EARLIER_REQUESTS: Final = {
    "status_request/1": "status_request/3",
    "status_request/2": "status_request/3",
    "propose_request/1": "propose_request/2",
    "cancel_request/1": "cancel_request/2",
    "stop_request/1": "stop_request/2",
}
"""Tags of earlier clients' requests that are still served, each with a reply in its version."""

EARLIER_STATUS: Final = {"status_request/1": "status/1", "status_request/2": "status/2"}

WORKER_SINCE_STATUS_2: Final = frozenset({"phase", "completed", "ends_s", "fault"})

SINCE_STATUS_3: Final = frozenset({"pools"})

STATUS: Final[str] = Status.model_fields["tag"].default

STAMP: Final[str] = Stamp.model_fields["tag"].default

LARGE_BYTES: Final = 64 * 1024
"""A longer reply has hundreds of entries."""

WORKERS_REMEMBERED: Final = 20_000

TAG_KEY: Final = b"\xa3tag"

T = TypeVar("T")

M = TypeVar("M", bound=Message)

_KINDS: Final[dict[str, Any]] = {"published": Published, "event": Event, "request": Request, "reply": Reply}


def pack(message: Message) -> bytes:
    """MessagePack bytes of a message, fields by name."""
    packed: bytes = msgpack.packb(message.model_dump(), use_bin_type=True)
    return packed


def pack_stamp(entry_id: str, previous: str) -> bytes:
    """MessagePack bytes of a `Stamp` from ids of the log. Every published message has one."""
    packed: bytes = msgpack.packb({"tag": STAMP, "id": entry_id, "previous": previous})
    return packed


def unpack_event(data: bytes) -> Event:
    """An event of the log. Raises MalformedMessage."""
    event: Event = _validated(_adapter("event"), _recorded(data))
    return event


def unpack_published(data: bytes) -> Published:
    """The body of a published message. Raises MalformedMessage."""
    message: Published = _validated(_adapter("published"), _recorded(data))
    return message


def unpack_request(data: bytes) -> Request:
    """A request to the control endpoint, perhaps of an earlier client. Raises MalformedMessage."""
    fields = _decoded(data)
    tag = _tag_of(fields)
    known = {**fields, "tag": EARLIER_REQUESTS[tag]} if tag in EARLIER_REQUESTS else fields
    request: Request = _validated(_adapter("request"), known)
    return request


def pack_reply(reply: Reply, request: bytes) -> bytes:
    """MessagePack bytes of a reply, in the version of the client's request, given as bytes."""
    asked = _tag_of(_decoded(request)) if isinstance(reply, Status) else ""
    if asked not in EARLIER_STATUS:
        return pack(reply)
    fields = {name: value for name, value in reply.model_dump().items() if name not in SINCE_STATUS_3}
    fields["tag"] = EARLIER_STATUS[asked]
    if fields["state"] == "paused":
        fields["state"] = "draining"
    if asked == "status_request/1":
        since = WORKER_SINCE_STATUS_2
        fields["workers"] = [{k: v for k, v in worker.items() if k not in since} for worker in fields["workers"]]
    packed: bytes = msgpack.packb(fields, use_bin_type=True)
    return packed


def pack_status(status: Status, workers: Sequence[bytes]) -> bytes:
    """MessagePack bytes of a status whose workers are packed already; its own list of them must be empty."""
    packer, parts = msgpack.Packer(use_bin_type=True), list[bytes]()
    fields = status.model_dump()
    parts.append(packer.pack_map_header(len(fields)))
    for name, value in fields.items():
        parts.append(packer.pack(name))
        parts += [packer.pack_array_header(len(workers)), *workers] if name == "workers" else [packer.pack(value)]
    return b"".join(parts)


def is_of_earlier_client(request: bytes) -> bool:
    """Whether the reply to a packed request has to be in an earlier version."""
    return peeked_tag(request) in EARLIER_STATUS


def unpack_reply(data: bytes) -> Reply:
    """A reply of the control endpoint. Raises MalformedMessage."""
    if len(data) <= LARGE_BYTES:
        return _reply_of(_decoded(data))
    with many_objects():
        return _long_status(data) or _reply_of(_decoded(data))


def _reply_of(fields: Any) -> Reply:
    reply: Reply = _validated(_adapter("reply"), fields)
    return reply


def _long_status(data: bytes) -> Status | None:
    """A status of very many workers, where those that an earlier one had are not made again.

    None for any other reply, and for a malformed one.
    """
    if peeked_tag(data) != STATUS or len(data) > MAX_MESSAGE_BYTES:
        return None
    try:
        fields, workers = _apart(data)
        status = unpack_as(Status, msgpack.packb({**fields, "workers": []}))
        return status.model_copy(update={"workers": [_worker_of(packed) for packed in workers]})
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return None


def _apart(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The fields of a status without its workers, and each worker packed. Raises ValueError, UnpackException."""
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_MESSAGE_BYTES)
    unpacker.feed(data)
    fields, workers = dict[str, Any](), list[bytes]()
    for _ in range(unpacker.read_map_header()):
        name = unpacker.unpack()
        if name in fields or (name == "workers" and workers):
            raise ValueError(f"field {name} twice")
        if name != "workers":
            fields[name] = unpacker.unpack()
            continue
        for _ in range(unpacker.read_array_header()):
            begins = unpacker.tell()
            unpacker.skip()
            workers.append(data[begins : unpacker.tell()])
    if unpacker.tell() != len(data):
        raise ValueError("more than one message")
    return fields, workers


@lru_cache(WORKERS_REMEMBERED)
def _worker_of(packed: bytes) -> WorkerStatus:
    return unpack_as(WorkerStatus, packed)


def unpack_as(model: type[M], data: bytes) -> M:
    """One message of a known model. Raises MalformedMessage."""
    message: M = _validated(_adapter_of(model), _decoded(data))
    return message


def _decoded(data: bytes | memoryview) -> Any:
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(f"expected at most {MAX_MESSAGE_BYTES} bytes, got {len(data)}")
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"expected MessagePack, got {bytes(data[:40])!r}: {error}") from error


def _recorded(data: bytes | memoryview) -> Any:
    """Logged fields, perhaps of an earlier version, with the current tag."""
    fields = _decoded(data)
    tag = _tag_of(fields)
    return {**fields, "tag": EARLIER[tag]} if tag in EARLIER else fields


def peeked_tag(data: bytes) -> str:
    """The tag of a packed message as it was written, without unpacking the rest; empty where there is none.

    Our messages have the tag first. A message that has it elsewhere is unpacked.
    """
    start = {0xDE: 3, 0xDF: 5}.get(data[0], 1) if data else 0
    if data[start : start + 4] == TAG_KEY:
        length = data[start + 4] if len(data) > start + 4 else 0
        if length & 0xE0 == 0xA0:
            return data[start + 5 : start + 5 + (length & 0x1F)].decode("ascii", "replace")
    try:
        return _tag_of(_decoded(data))
    except MalformedMessage:
        return ""


def _tag_of(fields: Any) -> str:
    """The tag of a decoded message, empty where it has none."""
    tag = fields.get("tag") if isinstance(fields, dict) else None
    return tag if isinstance(tag, str) else ""


def _validated(adapter: TypeAdapter[T], fields: Any) -> T:
    try:
        return adapter.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise MalformedMessage(_printable(f"{where}: {first['msg']}")) from error


def _printable(text: str) -> str:
    """One short line without control characters, since the text quotes the input and goes into logs and replies."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_ERROR_CHARACTERS])


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    """Built at its first use: most programs read few kinds, and each takes a hundredth of a second."""
    return TypeAdapter(_KINDS[kind])


@cache
def _adapter_of(model: type[M]) -> TypeAdapter[M]:
    return TypeAdapter(model)
