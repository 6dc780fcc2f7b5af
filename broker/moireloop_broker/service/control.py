"""The control endpoint: what a controller may ask, and the answers (adapter)."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from dataclasses import dataclass
from typing import Final, cast

import redis
import zmq

from moireloop_broker.contract.codec import EARLIER, pack_reply, peeked_tag, unpack_request
from moireloop_broker.contract.control import (
    Accepted,
    DescribeRequest,
    Refused,
    Replay,
    ReplayEntry,
    ReplayRequest,
    Reply,
    Request,
    StatusRequest,
)
from moireloop_broker.contract.message import MalformedMessage
from moireloop_broker.contract.patterns import SubmitPatternRequest
from moireloop_broker.contract.topics import LOG_TOPICS, OBSERVED_TOPICS
from moireloop_broker.grants import Grants
from moireloop_broker.processes.log_limit import LogLimit
from moireloop_broker.service.description import description
from moireloop_broker.service.steering import InvalidRequest, Steering
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys

log = logging.getLogger(__name__)
log.addFilter(LogLimit())

MAX_REQUEST_BYTES = 1024 * 1024

MAX_REPLAY_BYTES = 2 * 1024 * 1024

REPLAY: Final[str] = ReplayRequest.model_fields["tag"].default

AT_ONCE = 64

MOST_REPLAYS = 256

REPLIES_OWED = 16
"""Replies that may wait for one client that does not read: at most 32 MiB. Further ones are dropped and counted."""


class Rights:
    """What the owner of a key may ask: everything with the campaign's own key, else what a grant says."""

    def __init__(self, own_key: str, grants: Grants) -> None:
        self._own_key = own_key
        self._grants = grants

    def checked(self, request: Request, key: str) -> Request:
        """The request, in the name of its grant.

        Raises:
            InvalidRequest: the key has no grant (any more), or an observer asks for a change.
        """
        if key == self._own_key:
            return request
        grant = self._grants.by_key(key)
        if grant is None:
            raise InvalidRequest("NotPermitted", "the grant of this client was revoked")
        if isinstance(request, StatusRequest | DescribeRequest | ReplayRequest):
            return request
        if grant.role == "observer":
            raise InvalidRequest("NotPermitted", f"{grant.name} is an observer, who may follow and replay, not steer")
        return request.model_copy(update={"requester": grant.name})


@dataclass(frozen=True)
class _Asked:
    """The parts of one request, and the public key of who asks."""

    parts: list[bytes]
    key: str


class Control:
    """Answers requests, one at a time, on a ROUTER socket."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        campaign: CampaignState,
        socket: zmq.Socket[bytes],
        rights: Rights,
    ) -> None:
        self.malformed = 0
        self.replies_dropped = 0
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._keys = keys
        self._log = EventLog(client, keys)
        self._client = client
        self._steering = Steering(client, keys, campaign)
        self._campaign = campaign
        self._socket = socket
        self._rights = rights
        self._replays: deque[_Asked] = deque()

    def step(self, wait_s: float) -> None:
        """Answer what is there, waiting up to `wait_s` for the first request.

        Replays take longer than all else: one of them is answered at a time, after everything that has come meanwhile.
        """
        waiting = len(self._replays) < MOST_REPLAYS and self._socket.poll(0 if self._replays else round(wait_s * 1000))
        for _ in range(AT_ONCE if waiting else 0):
            frames = self._received()
            if frames is None:
                break
            asked = _Asked([frame.bytes for frame in frames], str(frames[-1].get("User-Id")))
            if peeked_tag(asked.parts[-1]) == REPLAY:
                self._replays.append(asked)
            else:
                self._reply(asked)
        if self._replays:
            self._reply(self._replays.popleft())

    def _received(self) -> list[zmq.Frame] | None:
        try:
            return self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return None

    def _reply(self, asked: _Asked) -> None:
        reply = self.answer(asked.parts[-1], asked.key)
        try:
            self._socket.send_multipart([*asked.parts[:-1], pack_reply(reply, asked.parts[-1])], zmq.DONTWAIT)
        except zmq.Again:
            self.replies_dropped += 1
            log.warning("reply dropped reason=the client does not read, %d replies wait for it", REPLIES_OWED)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def answer(self, data: bytes, key: str) -> Reply:
        """The answer to the bytes of one request; malformed ones are refused by name and counted.

        Args:
            key: the public key (Z85) of who asks.
        """
        try:
            return self._carry_out(self._rights.checked(unpack_request(data), key))
        except MalformedMessage as error:
            self.malformed += 1
            log.warning("request refused reason=%s", error)
            return Refused(error="MalformedMessage", message=str(error)[:1000])
        except InvalidRequest as error:
            return Refused(error=error.error, message=str(error))

    def _carry_out(self, request: Request) -> Reply:
        if isinstance(request, StatusRequest):
            return self._status()
        if isinstance(request, ReplayRequest):
            return self._replay(request)
        if isinstance(request, DescribeRequest):
            return description(self._client, self._keys, self._campaign.name)
        if isinstance(request, SubmitPatternRequest):
            return self._steering.submit(request)
        self._steering.carry_out(request)
        return Accepted()

    def _status(self) -> Reply:
        """The state, with the memory of the Redis server among its counters where that may be asked."""
        status = self._campaign.status()
        with contextlib.suppress(redis.RedisError):
            told = cast("dict[str, int]", self._client.info("memory"))
            counters = {**status.counters, "redis_memory_bytes": told["used_memory"]}
            return status.model_copy(update={"counters": counters})
        return status

    def _replay(self, request: ReplayRequest) -> Reply:
        wanted = frozenset(request.topics)
        if unknown := wanted - LOG_TOPICS - OBSERVED_TOPICS:
            raise InvalidRequest("UnknownTopic", f"expected topics of docs/protocol.md, got {sorted(unknown)}")
        observed = sorted(wanted & OBSERVED_TOPICS)
        if observed and wanted - OBSERVED_TOPICS:
            raise InvalidRequest("MixedReplay", f"{' and '.join(observed)} have ids of their own: replay them alone")
        stream = self._keys.observations if observed else self._keys.log
        rows = self._log.read_streams({stream: request.since}, request.limit, 0).get(stream, [])
        entries: list[ReplayEntry] = []
        last_id, size = request.since, 0
        for entry_id, body in rows:
            if size + len(body) > MAX_REPLAY_BYTES:
                return Replay(entries=entries, last_id=last_id, complete=False)
            last_id = entry_id
            topic = _topic(body)
            if topic is not None and (not wanted or topic in wanted):
                entries.append(ReplayEntry(id=entry_id, topic=topic, body=body))
                size += len(body)
        return Replay(entries=entries, last_id=last_id, complete=len(rows) < request.limit)


def _topic(body: bytes) -> str | None:
    """The topic of an entry by its tag alone, or None where that is none of ours and so is passed over."""
    tag = peeked_tag(body)
    topic = EARLIER.get(tag, tag)
    return topic if topic in LOG_TOPICS or topic in OBSERVED_TOPICS else None
