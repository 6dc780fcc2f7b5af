"""Whatever comes from outside is a message of the contract or MalformedMessage, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moireloop_broker.contract.codec import (
    pack,
    unpack_as,
    unpack_event,
    unpack_published,
    unpack_reply,
    unpack_request,
)
from moireloop_broker.contract.control import Stamp
from moireloop_broker.contract.frames import Frame, FrameHeader, frame_from_parts
from moireloop_broker.contract.message import MAX_ERROR_CHARACTERS, MalformedMessage, Message
from tests.helpers.hostile import EVENTS, FRAMES, NOT_MESSAGES, REQUESTS, TOO_LARGE, Hostile, HostileFrame
from tests.helpers.page import golden_examples

Reader = Callable[[bytes], Any]
READERS: dict[str, Reader] = {
    "event": unpack_event,
    "published": unpack_published,
    "request": unpack_request,
    "reply": unpack_reply,
    "stamp": lambda data: unpack_as(Stamp, data),
    "frame header": lambda data: unpack_as(FrameHeader, data),
}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
bounded = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
GOLDEN = [packed for _, packed in golden_examples().values()]


def refused(read: Callable[[], object], says: str) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        read()
    text = str(refusal.value)
    assert says in text
    assert text.isprintable()
    assert len(text) <= MAX_ERROR_CHARACTERS


@pytest.mark.parametrize("hostile", REQUESTS.values(), ids=REQUESTS.keys())
def test_hostile_request_is_refused_with_its_reason(hostile: Hostile) -> None:
    """A hostile request is malformed, and the text names the part that is wrong, in one short line."""
    refused(lambda: unpack_request(hostile.data), hostile.says)


@pytest.mark.parametrize("read", [unpack_event, unpack_published])
@pytest.mark.parametrize("hostile", EVENTS.values(), ids=EVENTS.keys())
def test_hostile_event_is_refused_with_its_reason(hostile: Hostile, read: Reader) -> None:
    """A hostile event is malformed, and the text names the part that is wrong, in one short line."""
    says = "observation/4" if read is unpack_event and hostile.says.startswith("observation/4") else hostile.says
    refused(lambda: read(hostile.data), says)


@pytest.mark.parametrize("hostile", FRAMES.values(), ids=FRAMES.keys())
def test_hostile_frame_is_refused_with_its_reason(hostile: HostileFrame) -> None:
    """A hostile frame is malformed, as bytes and as buffers of ZeroMQ, and the text says what is wrong."""
    refused(lambda: frame_from_parts(hostile.parts), hostile.says)
    refused(lambda: frame_from_parts([memoryview(part) for part in hostile.parts]), hostile.says)


@every_reader
@pytest.mark.parametrize("name", [*NOT_MESSAGES, "too large"])
def test_invalid_message_is_refused_by_every_reader(name: str, read: Reader) -> None:
    """Bytes that are no message are malformed wherever they arrive."""
    hostile = NOT_MESSAGES.get(name, TOO_LARGE)
    with pytest.raises(MalformedMessage, match=r"\w"):
        read(hostile.data)


def message_or_refusal(read: Callable[[], object]) -> Message | Frame | None:
    """What was read; None when it was malformed. Any other exception fails the test."""
    try:
        message = read()
    except MalformedMessage:
        return None
    assert isinstance(message, Message | Frame)
    return message


@every_reader
@bounded
@given(data=st.binary(max_size=300))
def test_random_bytes_are_a_message_or_malformed(read: Reader, data: bytes) -> None:
    """No bytes whatever raise anything else."""
    message_or_refusal(lambda: read(data))


WIRE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@every_reader
@bounded
@given(data=st.data())
def test_altered_messages_are_a_message_or_malformed(read: Reader, data: st.DataObject) -> None:
    """A good message with bytes changed, cut out or put in is a message or malformed."""
    altered = bytearray(data.draw(st.sampled_from(GOLDEN)))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(altered)))
        end = min(len(altered), start + data.draw(st.integers(0, 3)))
        altered[start:end] = data.draw(st.binary(max_size=3))
    message_or_refusal(lambda: read(bytes(altered)))


@every_reader
@bounded
@given(data=st.data())
def test_messages_with_altered_fields_are_a_message_or_malformed(read: Reader, data: st.DataObject) -> None:
    """A good message with a field replaced, dropped or added is a message or malformed."""
    fields = msgpack.unpackb(data.draw(st.sampled_from(GOLDEN)))
    name = data.draw(st.sampled_from(sorted(fields)) | st.text(max_size=8))
    if data.draw(st.booleans()):
        fields[name] = data.draw(WIRE)
    else:
        fields.pop(name, None)
    message_or_refusal(lambda: read(msgpack.packb(fields)))


@bounded
@given(parts=st.lists(st.binary(max_size=40) | st.just(b"frame/3"), max_size=6))
def test_random_parts_are_a_frame_or_malformed(parts: list[bytes]) -> None:
    """No multipart message whatever raises anything else."""
    message_or_refusal(lambda: frame_from_parts(parts))


@bounded
@given(data=st.data(), atoms=st.integers(0, 4), came=st.integers(0, 4))
def test_altered_frames_are_a_frame_or_malformed(data: st.DataObject, atoms: int, came: int) -> None:
    """A header with changed bytes and buffers of any length are a frame whose arrays fit its header, or malformed."""
    header = FrameHeader(
        candidate_id="c1",
        attempt=1,
        step=1,
        time_ps=0.004,
        cell=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        periodic=[True, True, False],
        shape=[atoms, 3],
        lattice_types=[1],
    )
    packed = bytearray(pack(header))
    packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    frame = message_or_refusal(lambda: frame_from_parts([b"frame/3", bytes(packed), bytes(12 * came), bytes(came)]))
    if isinstance(frame, Frame):
        assert frame.positions.shape == (frame.header.shape[0], 3)
        assert frame.types.shape == (frame.header.shape[0],)
