"""The control endpoint: what a controller may ask, and the answers (adapter)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import redis
import zmq

from moireloop_broker.archive.parts import ArchiveLost
from moireloop_broker.contract.codec import is_of_earlier_client, pack_reply, peeked_tag, unpack_request
from moireloop_broker.contract.control import (
    Accepted,
    DescribeRequest,
    Refused,
    ReplayRequest,
    Reply,
    Request,
    StatusRequest,
)
from moireloop_broker.contract.message import MalformedMessage
from moireloop_broker.contract.patterns import SubmitPatternRequest
from moireloop_broker.contract.steering import SteeringRequest
from moireloop_broker.grants import Grants
from moireloop_broker.processes.log_limit import LogLimit
from moireloop_broker.service.description import description
from moireloop_broker.service.replays import Replays
from moireloop_broker.service.steering import InvalidRequest, Steering
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import Keys

log = logging.getLogger(__name__)
log.addFilter(LogLimit())

MAX_REQUEST_BYTES = 1024 * 1024

REPLAY: Final[str] = ReplayRequest.model_fields["tag"].default

AT_ONCE = 64

MOST_REPLAYS = 256

REPLIES_OWED = 16
"""Replies that may wait for one client that does not read: 4 MiB of replays. Further ones are dropped and counted."""


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
            text = f"{grant.name} is an observer, who may follow and replay but not steer"
            raise InvalidRequest("NotPermitted", text)
        return request.model_copy(update={"requester": grant.name})


@dataclass(frozen=True)
class _Asked:
    """The parts of one request, and the public key of who asks."""

    parts: list[bytes]
    key: str


class Control:
    """Answers requests on a ROUTER socket: replays one after another in slices, all else between two slices."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        campaign: CampaignState,
        socket: zmq.Socket[bytes],
        rights: Rights,
        archive: Path | None = None,
    ) -> None:
        self.malformed = 0
        self.replies_dropped = 0
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._keys = keys
        self._client = client
        self._pages = Replays(client, keys, archive)
        self._steering = Steering(client, keys, campaign, archive)
        self._campaign = campaign
        self._socket = socket
        self._rights = rights
        self._replays: deque[_Asked] = deque()
        self._under_way: tuple[_Asked, Iterator[bytes | None]] | None = None

    def step(self, wait_s: float) -> None:
        """Answer what is there, waiting up to `wait_s` for the first request.

        Replays take longer than all else: a slice of one of them is done, after everything that has come meanwhile.
        """
        has_work = bool(self._replays) or self._under_way is not None
        waiting = len(self._replays) < MOST_REPLAYS and self._socket.poll(0 if has_work else round(wait_s * 1000))
        for _ in range(AT_ONCE if waiting else 0):
            frames = self._received()
            if frames is None:
                break
            asked = _Asked([frame.bytes for frame in frames], str(frames[-1].get("User-Id")))
            if peeked_tag(asked.parts[-1]) == REPLAY:
                self._replays.append(asked)
            else:
                self._reply(asked)
        self._replay_on()

    def _received(self) -> list[zmq.Frame] | None:
        try:
            return self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return None

    def _replay_on(self) -> None:
        """Do a slice of the replay that is under way, or begin the next one."""
        if self._under_way is None and self._replays:
            asked = self._replays.popleft()
            begun = self._begun(asked)
            if isinstance(begun, Refused):
                self._send(asked, pack_reply(begun, asked.parts[-1]))
            else:
                self._under_way = asked, begun
        if self._under_way is not None:
            asked, slices = self._under_way
            packed = self._next_of(slices, asked)
            if packed is not None:
                self._under_way = None
                self._send(asked, packed)

    def _next_of(self, slices: Iterator[bytes | None], asked: _Asked) -> bytes | None:
        try:
            return next(slices)
        except ArchiveLost as error:
            return pack_reply(self._refused(error), asked.parts[-1])

    def _begun(self, asked: _Asked) -> Iterator[bytes | None] | Refused:
        try:
            request = self._rights.checked(unpack_request(asked.parts[-1]), asked.key)
            return self._pages.page(cast("ReplayRequest", request))
        except (MalformedMessage, InvalidRequest, ArchiveLost) as error:
            return self._refused(error)

    def _reply(self, asked: _Asked) -> None:
        answer = self._answer(asked.parts[-1], asked.key)
        self._send(asked, answer if isinstance(answer, bytes) else pack_reply(answer, asked.parts[-1]))

    def _send(self, asked: _Asked, packed: bytes) -> None:
        try:
            self._socket.send_multipart([*asked.parts[:-1], packed], zmq.DONTWAIT)
        except zmq.Again:
            self.replies_dropped += 1
            log.warning("reply dropped reason=the client does not read, %d replies are waiting for it", REPLIES_OWED)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def _answer(self, data: bytes, key: str) -> Reply | bytes:
        """The answer, perhaps packed, to one request of the owner of a key; malformed ones are refused and counted."""
        try:
            request = self._rights.checked(unpack_request(data), key)
            if isinstance(request, StatusRequest) and not is_of_earlier_client(data):
                return self._campaign.packed_status()
            return self._carry_out(request)
        except (MalformedMessage, InvalidRequest, ArchiveLost) as error:
            return self._refused(error)

    def _refused(self, error: MalformedMessage | InvalidRequest | ArchiveLost) -> Refused:
        if isinstance(error, InvalidRequest):
            return Refused(error=error.error, message=str(error))
        if isinstance(error, ArchiveLost):
            log.warning("older events cannot be read reason=%s", error)
            return Refused(error="ArchiveLost", message=str(error)[:1000])
        self.malformed += 1
        log.warning("request refused reason=%s", error)
        return Refused(error="MalformedMessage", message=str(error)[:1000])

    def _carry_out(self, request: Request) -> Reply:
        if isinstance(request, StatusRequest):
            return self._campaign.status(with_server=True)
        if isinstance(request, DescribeRequest):
            return description(self._client, self._keys, self._campaign.name)
        if isinstance(request, SubmitPatternRequest):
            return self._steering.submit(request)
        self._steering.carry_out(cast("SteeringRequest", request))
        return Accepted()
