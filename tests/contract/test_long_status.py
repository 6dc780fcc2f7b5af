"""A status of thousands of workers is the same message as any other, and as strictly read."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from moireloop_broker.contract.codec import LARGE_BYTES, pack, pack_status, unpack_reply
from moireloop_broker.contract.control import Replay, ReplayEntry, Status, WorkerStatus
from moireloop_broker.contract.message import MalformedMessage
from tests.helpers.page import golden_examples

WORKERS = 1000


@pytest.fixture(scope="module")
def status() -> Status:
    """A status that is longer than LARGE_BYTES."""
    example = unpack_reply(msgpack.packb(golden_examples()["Status"][0]))
    assert isinstance(example, Status)
    workers = [
        WorkerStatus(worker=f"w{number}", candidate_id=f"c{number}", attempt=1, step=number, seen_s=1.7e9)
        for number in range(WORKERS)
    ]
    return example.model_copy(update={"workers": workers})


def test_workers_that_are_packed_already_make_the_same_message(status: Status) -> None:
    """Whatever their number."""
    for number in (0, 1, 15, 16, WORKERS):
        some = status.model_copy(update={"workers": status.workers[:number]})
        without = status.model_copy(update={"workers": []})
        assert pack_status(without, [pack(worker) for worker in some.workers]) == pack(some)


def test_long_status_is_read_as_it_was_written(status: Status) -> None:
    """Also when it is read again with one worker changed."""
    packed = pack(status)
    assert len(packed) > LARGE_BYTES
    assert unpack_reply(packed) == status
    moved = status.workers[7].model_copy(update={"step": 10**6})
    later = status.model_copy(update={"workers": [*status.workers[:7], moved, *status.workers[8:]]})
    assert unpack_reply(pack(later)) == later


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"step": -1}, "step"),
        ({"worker": "../w"}, "worker"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_malformed_worker_in_a_long_status_is_named(status: Status, change: dict[str, Any], says: str) -> None:
    """With its place in the message, as in a short one."""
    fields = status.model_dump()
    fields["workers"][3].update(change)
    with pytest.raises(MalformedMessage, match=rf"workers\.3\.{says}"):
        unpack_reply(msgpack.packb(fields))


def test_what_follows_a_long_status_makes_it_malformed(status: Status) -> None:
    """One message has one map."""
    for rest in (b"\xc0", pack(status)):
        with pytest.raises(MalformedMessage):
            unpack_reply(pack(status) + rest)


def test_other_long_replies_are_read(status: Status) -> None:
    """Such as a page of the log."""
    entries = [ReplayEntry(id=f"{number}-0", topic="result/3", body=bytes(100)) for number in range(WORKERS)]
    page = Replay(entries=entries, last_id="9-9", complete=True)
    assert unpack_reply(pack(page)) == page
