"""The relay: publishes the event log and the observations on a ZeroMQ PUB socket, in order, with their ids (adapter).

The ids published last are kept in Redis, so that a restarted relay continues from there. It is written along with the
next read, in one round trip. A message may then be published twice; its id shows it.
"""

from __future__ import annotations

import logging
from typing import cast

import redis

from moireloop_broker.contract.codec import pack_stamp, unpack_published
from moireloop_broker.contract.message import START, MalformedMessage
from moireloop_broker.contract.topics import topic_of
from moireloop_broker.processes.log_limit import LogLimit
from moireloop_broker.service.endpoints import Publisher
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import Command

log = logging.getLogger(__name__)
log.addFilter(LogLimit())

AT_ONCE = 500


class Relay:
    """Moves what is new in the log to the subscribers."""

    def __init__(self, client: redis.Redis, keys: Keys, publisher: Publisher) -> None:
        self._client = client
        self._keys = keys
        self._log = EventLog(client, keys)
        self._publisher = publisher
        self._streams = (keys.log, keys.observations)
        self._passed_over = 0
        self._is_noted = True
        stored = cast("dict[bytes, bytes]", client.hgetall(keys.relay))
        self._last = {name.decode(): last.decode() for name, last in stored.items()}

    def step(self, wait_s: float) -> int:
        """Publish what is new, waiting up to `wait_s` for it; returns the number of messages."""
        since = {stream: self._last.get(stream, START) for stream in self._streams}
        published = 0
        for stream, entries in self._log.read_streams(since, AT_ONCE, wait_s, self._note()).items():
            for entry_id, body in entries:
                self._publish(entry_id, body)
                self._last[stream] = entry_id
            published += len(entries)
        self._is_noted = self._is_noted and not published
        return published

    def _note(self) -> list[Command]:
        """What writes down what was published last, where that is not written yet."""
        if self._is_noted:
            return []
        self._is_noted = True
        return [("HSET", self._keys.relay, *(text for pair in self._last.items() for text in pair))]

    def take_passed_over(self) -> int:
        """How many entries were no messages of the contract, and so were not published, since the last call."""
        passed_over, self._passed_over = self._passed_over, 0
        return passed_over

    def _publish(self, entry_id: str, body: bytes) -> None:
        try:
            topic = topic_of(unpack_published(body))
        except MalformedMessage as error:
            self._passed_over += 1
            log.warning("entry not published id=%s reason=%s", entry_id, error)
            return
        name = topic.decode()
        self._publisher.send(topic, pack_stamp(entry_id, self._last.get(name, START)), body)
        self._last[name] = entry_id
