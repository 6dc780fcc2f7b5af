"""What an outside program uses: results, status, live messages with replay, and requests (adapter).

It needs the connection file alone, and talks to the broker's two sockets, never to Redis.
"""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

import zmq

from moireloop.client import requests
from moireloop.client.requests import Number, WantedTarget
from moireloop_broker.connection import Connection, NoConnectionFile, original_of, read_connection
from moireloop_broker.contract.codec import pack, unpack_as, unpack_published, unpack_reply
from moireloop_broker.contract.control import (
    DescribeRequest,
    Description,
    Refused,
    Replay,
    Reply,
    Request,
    Stamp,
    Status,
    StatusRequest,
)
from moireloop_broker.contract.events import Published, Result
from moireloop_broker.contract.message import START, MalformedMessage, Message
from moireloop_broker.contract.topics import OBSERVED_TOPICS, topic_named
from moireloop_broker.network.links import watch_link

RESULT = Result.model_fields["tag"].default

ASK_AGAIN_AFTER_S = 2.0

PAGE = 1000

Topic = str | type[Message]
"""A class of messages, or its topic."""

P = TypeVar("P", bound="Published", covariant=True)


class NotRunning(RuntimeError):
    """Nothing answers at the campaign's control endpoint."""


class RequestRefused(RuntimeError):
    """The broker refused a request; the text has the error's name and its message."""


@dataclass(frozen=True)
class Received(Generic[P]):
    """A message of the log and its id, from which a later call goes on."""

    id: str
    message: P


@dataclass(frozen=True)
class Page(Generic[P]):
    """A part of the log: its messages, the id after which the next part begins, and whether the log ended there."""

    entries: list[Received[P]]
    last_id: str
    complete: bool


class CampaignClient:
    """A running campaign, seen from outside. Use one instance in one thread.

    Args:
        connection: what the connection file says.
        timeout_s: how long a request may wait for its answer.
        name: who asks, as the log shall say; by default user and host.
    """

    def __init__(self, connection: Connection, *, timeout_s: float = 10.0, name: str | None = None) -> None:
        self.name = default_name() if name is None else name
        self._connection = connection
        self._timeout_s = timeout_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._requests: zmq.Socket[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._context.destroy(linger=0)

    def status(self) -> Status:
        """State of the campaign. Raises NotRunning."""
        return cast("Status", self._ask(StatusRequest()))

    def results(self, since: str = START) -> list[Received[Result]]:
        """All results after the id `since`, oldest first. Raises NotRunning."""
        return [cast("Received[Result]", entry) for entry in self.events([RESULT], since)]

    def events(self, topics: Iterable[Topic], since: str = START) -> list[Received[Published]]:
        """All messages of these classes or topics after the id `since`, oldest first.

        Raises:
            NotRunning, RequestRefused: as `status` and the broker have it.
        """
        return list(self._replay(since, [topic_named(topic) for topic in topics]))

    def page(self, since: str = START, topics: Iterable[Topic] = (), *, limit: int = PAGE) -> Page[Published]:
        """At most `limit` messages after the id `since`, oldest first; no topics mean the whole log.

        Raises:
            NotRunning, RequestRefused: as `events`.
        """
        wanted = [topic_named(topic) for topic in topics]
        page = cast("Replay", self._ask(requests.replay(since, limit, wanted)))
        entries = [Received(entry.id, unpack_published(entry.body)) for entry in page.entries]
        return Page(entries, page.last_id, page.complete)

    def describe(self) -> Description:
        """What the campaign searches: space with units and limits, targets, budget, strategy. Raises NotRunning."""
        return cast("Description", self._ask(DescribeRequest()))

    def propose(self, candidate_id: str, parameters: Mapping[str, Number], *, seed: int = 0) -> None:
        """Queue a candidate; the same id, parameters and seed are the same one.

        Raises:
            BadArgument, NotRunning, RequestRefused: as for all requests below.
        """
        self._ask(requests.propose(candidate_id, parameters, seed, self.name))

    def replicate(self, candidate_id: str, runs: int = 1) -> list[str]:
        """Queue more runs of a known candidate's parameters, with other seeds; returns their ids."""
        new_ids = [f"{candidate_id[:50]}-{secrets.token_hex(4)}" for _ in range(runs)]
        for new_id in new_ids:
            self._ask(requests.replicate(candidate_id, new_id, None, self.name))
        return new_ids

    def cancel(self, candidate_id: str, reason: str) -> None:
        """End a candidate early, queued or running."""
        self._ask(requests.cancel(candidate_id, reason, self.name))

    def withdraw(self, candidate_id: str, reason: str = "withdrawn") -> None:
        """Take a candidate out of the queue; refused when it runs already."""
        self._ask(requests.withdraw(candidate_id, reason, self.name))

    def prioritise(self, candidate_id: str, place: int = 1) -> None:
        """Move a queued candidate to a place in the queue; 1 is the next one that a worker takes."""
        self._ask(requests.prioritise(candidate_id, place, self.name))

    def pause(self, reason: str = "asked to pause") -> None:
        """Lease no more candidates until `resume`; runs go on."""
        self._ask(requests.pause(reason, self.name))

    def resume(self) -> None:
        """Lease candidates again, after a pause."""
        self._ask(requests.resume(self.name))

    def retarget(self, targets: WantedTarget | Iterable[WantedTarget]) -> None:
        """Search for other twists from now on: `8.2`, `(8.2, 0.3)` with a tolerance, or a list of such."""
        self._ask(requests.retarget(targets, self.name))

    def change_space(self, space: Mapping[str, Sequence[Number]]) -> None:
        """Search within other bounds: name -> [low, high] of some or all growth parameters."""
        self._ask(requests.change_space(space, self.name))

    def change_budget(self, results: int | None = None, *, wall_time_s: Number | None = None) -> None:
        """Change the budget; what is None stays as it is."""
        self._ask(requests.change_budget(results, wall_time_s, self.name))

    def scale(self, workers: int, pool: str = "main") -> None:
        """Keep so many workers in a pool from now on; those that are too many give back what they hold, uncharged."""
        self._ask(requests.scale(workers, pool, self.name))

    def note(self, text: str, candidate_id: str | None = None) -> None:
        """Write a remark into the log, about the campaign or one candidate."""
        self._ask(requests.note(text, candidate_id, self.name))

    def stop(self, reason: str = "asked to stop") -> None:
        """Let running candidates finish, then stop the campaign."""
        self._ask(requests.stop(reason, self.name))

    def subscribe(
        self, topics: Iterable[Topic] = (Result,), since: str | None = None, *, wait_s: float = float("inf")
    ) -> Generator[Received[Published], None, None]:
        """Messages as they come, each once and in order; what was missed is replayed.

        Args:
            topics: classes of messages, such as Result or Observation, or topics of docs/protocol.md ("result/3").
            since: replay what came after this id first ("0-0": everything); None begins with what comes next.
            wait_s: end when nothing has come for so long.

        Raises:
            NotRunning: the campaign does not answer.
        """
        wanted = [topic_named(topic) for topic in topics]
        of_log, observed = (_Stream([t for t in wanted if (t in OBSERVED_TOPICS) is which]) for which in (False, True))
        streams = [stream for stream in (of_log, observed) if stream.topics]
        socket = self._context.socket(zmq.SUB)
        try:
            self._subscribe_socket(socket, streams)
            for stream in streams:
                stream.last_id = since if since is not None else self._present_end(stream)
            yield from self._follow(socket, streams, wait_s)
        finally:
            socket.close(linger=0)

    def _subscribe_socket(self, socket: zmq.Socket[bytes], streams: list[_Stream]) -> None:
        socket.rcvhwm = 100_000
        watch_link(socket)
        self._connection.curve.secure_client(socket)
        for stream in streams:
            for topic in stream.topics:
                socket.subscribe(topic)
        socket.connect(self._connection.events)

    def _follow(
        self, socket: zmq.Socket[bytes], streams: list[_Stream], wait_s: float
    ) -> Iterator[Received[Published]]:
        heard_at_s = time.monotonic()
        for stream in streams:
            yield from self._catch_up(stream)
        while time.monotonic() - heard_at_s < wait_s:
            remaining_s = wait_s - (time.monotonic() - heard_at_s)
            if socket.poll(round(min(ASK_AGAIN_AFTER_S, max(0.0, remaining_s)) * 1000)):
                fresh = self._take(socket, streams)
            else:
                fresh = [entry for stream in streams for entry in self._catch_up(stream)]
            if fresh:
                heard_at_s = time.monotonic()
            yield from fresh

    def _take(self, socket: zmq.Socket[bytes], streams: list[_Stream]) -> list[Received[Published]]:
        """What a message from the socket brings: itself, nothing if it is old, or a replay where some were missed.

        Stamps count each topic alone, so with several topics only the log tells their order and what is missing.
        """
        topic, stamp_bytes, body = socket.recv_multipart()
        stamp, name = unpack_as(Stamp, stamp_bytes), topic.decode()
        stream = next(stream for stream in streams if name in stream.topics)
        if stream.last_id is None:
            return [stream.accept(stamp.id, unpack_published(body))]
        if _order(stamp.id) <= _order(stream.last_id):
            return []
        if len(stream.topics) > 1 or _order(stamp.previous) > _order(stream.last_id):
            return list(self._catch_up(stream))
        return [stream.accept(stamp.id, unpack_published(body))]

    def _catch_up(self, stream: _Stream) -> Iterator[Received[Published]]:
        if stream.last_id is not None:
            for entry in self._replay(stream.last_id, stream.topics):
                yield stream.accept(entry.id, entry.message)

    def _present_end(self, stream: _Stream) -> str | None:
        """Id of the log's newest event; None for observations, which begin with the first that comes."""
        return None if OBSERVED_TOPICS.intersection(stream.topics) else self.status().last_id

    def _replay(self, since: str, topics: list[str]) -> Iterator[Received[Published]]:
        while True:
            page = self.page(since, topics)
            yield from page.entries
            since = page.last_id
            if page.complete:
                return

    def _ask(self, request: Request) -> Reply:
        socket = self._requests or self._open_requests()
        socket.send(pack(request))
        if not socket.poll(round(self._timeout_s * 1000)):
            socket.close(linger=0)
            self._requests = None
            raise NotRunning(
                f"nothing answers at {self._connection.control} within {self._timeout_s:g} s: "
                f"campaign {self._connection.campaign!r} does not run, or the keys are not its keys"
            )
        try:
            reply = unpack_reply(socket.recv())
        except MalformedMessage as error:
            raise RequestRefused(f"the answer is not understood: {error}") from error
        if isinstance(reply, Refused):
            raise RequestRefused(f"{reply.error}: {reply.message}")
        return reply

    def _open_requests(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.REQ)
        socket.linger = 0
        watch_link(socket)
        self._connection.curve.secure_client(socket)
        socket.connect(self._connection.control)
        self._requests = socket
        return socket


class _Stream:
    """How far a subscription has come in the log, or in the observations."""

    def __init__(self, topics: list[str]) -> None:
        self.topics = topics
        self.last_id: str | None = START

    def accept(self, entry_id: str, message: Published) -> Received[Published]:
        self.last_id = entry_id
        return Received(entry_id, message)


def _order(log_id: str) -> tuple[int, int]:
    milliseconds, number = log_id.split("-")
    return int(milliseconds), int(number)


def default_name() -> str:
    """Who asks: the user and the host, as far as they are known."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    return f"{user}@{socket.gethostname()}"[:100]


def connect(connection_file: Path | str, *, timeout_s: float = 10.0, name: str | None = None) -> CampaignClient:
    """A running campaign, by its connection file or its folder.

    Args:
        timeout_s: how long a request may wait for its answer.
        name: who asks, as the log shall say; by default user and host.

    Raises:
        NoConnectionFile: the file is missing, open to others, or malformed; or its folder is a copy of another one,
            whose session it would lead to.
    """
    connection = read_connection(connection_file)
    if (original := original_of(connection_file)) is not None:
        raise NoConnectionFile(
            f"{connection.folder} is a copy of {original}, and was not run since: its connection file leads to the "
            f"session of campaign {connection.campaign!r} in {original}; connect to that folder"
        )
    return CampaignClient(connection, timeout_s=timeout_s, name=name)
