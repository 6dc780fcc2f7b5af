"""The broker service: Redis, relay, control endpoint and the watch over leases (main)."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import redis
import zmq

from moireloop_broker.archiving.watch import ArchiveWatch
from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.contract.search import SearchSpace
from moireloop_broker.grants import Grants
from moireloop_broker.membership.endpoints import EndpointWatch
from moireloop_broker.membership.pool_watch import PoolWatch
from moireloop_broker.service.control import MAX_REQUEST_BYTES, REPLIES_OWED, Control, Rights
from moireloop_broker.service.endpoints import Endpoint, Publisher
from moireloop_broker.service.redis_server import start_redis
from moireloop_broker.service.relay import Relay
from moireloop_broker.settings import ArchiveSettings, LeaseSettings
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.lease_watch import LeaseWatch
from moireloop_broker.state.settings_store import read_settings_file, write_settings
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from moireloop_broker.state.work_queue.queues import create_queues
from moireloop_broker.streams.curve import Gatekeeper

log = logging.getLogger(__name__)

HOUSEKEEPING_EVERY_S = 0.5

GRACE = 0.5
"""Of a lease's length, which leaves a worker time for one renewal: those come at least three times a lease."""

RELAY_REST_S = 5.0

SUBSCRIBERS_S = 5.0
"""How long a broker that ends waits for subscribers that have not read what was published to them."""

REQUESTS_WAITING = 16
"""Requests of one client that wait in the broker; further ones wait at the client."""


CONTROL_LIMITS: dict[int, int] = {
    zmq.MAXMSGSIZE: MAX_REQUEST_BYTES,
    zmq.SNDHWM: REPLIES_OWED,
    zmq.RCVHWM: REQUESTS_WAITING,
}


class Broker:
    """Owns the sockets; `step` answers controllers and looks after leases, a thread relays the log."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server = start_redis(connection)
        self._client = connection.open_redis()
        keys = connection.keys
        self._campaign = CampaignState(self._client, keys, connection.campaign)
        settings = write_settings(self._client, keys, read_settings_file(Path(connection.folder)))
        workers = settings.section("workers", LeaseSettings)
        limits = AttemptLimits(max_attempts=workers.max_attempts)
        self._lease_s = workers.lease_s
        self._pools = PoolWatch(self._client, keys, self._campaign)
        self._endpoints = EndpointWatch(self._client, keys)
        self._watch = LeaseWatch(self._client, keys, lease_s=self._lease_s, limits=limits, judge=self._pools.judge)
        archive = settings.section("archive", ArchiveSettings) if "archive" in settings else ArchiveSettings()
        self._archive = ArchiveWatch(self._client, connection, self._campaign, archive.kept_events)
        create_queues(self._client, keys)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        grants = Grants(Path(connection.folder))
        self._gatekeeper = Gatekeeper(self._context, connection.curve, lambda key: grants.by_key(key) is not None)
        self._events = Publisher(self._context, connection)
        self._requests = Endpoint(self._context, zmq.ROUTER, connection.control, connection, CONTROL_LIMITS)
        settings.section("space", SearchSpace)
        rights = Rights(connection.curve.client_public, grants)
        self._control = Control(self._client, keys, self._campaign, self._requests.socket, rights, connection.archive)
        self._kept_house_at_s = 0.0
        self._closing = threading.Event()
        self._relay_error: BaseException | None = None
        self._relay_thread = threading.Thread(target=self._relay, name="relay", daemon=True)
        self._relay_thread.start()

    def step(self) -> None:
        """Answer one controller, and twice a second look after Redis, leases and counters."""
        if self._relay_error is not None:
            raise self._relay_error
        if time.monotonic() - self._kept_house_at_s >= HOUSEKEEPING_EVERY_S:
            self._keep_house()
            self._kept_house_at_s = time.monotonic()
        self._control.step(HOUSEKEEPING_EVERY_S / 5)

    def close(self) -> None:
        """Publish the rest of the log, end the private Redis server, and wait a little for subscribers to get all."""
        self._closing.set()
        self._archive.close()
        self._relay_thread.join(RELAY_REST_S)
        self._requests.close()
        self._events.close(SUBSCRIBERS_S)
        self._gatekeeper.close()
        self._client.close()
        if self._server is not None:
            self._server.stop()
        began_s = time.monotonic()
        self._context.term()
        if (waited_s := time.monotonic() - began_s) > 0.1:
            log.info("subscribers waited for waited_s=%.1f at_most_s=%.1f", waited_s, SUBSCRIBERS_S)

    def _keep_house(self) -> None:
        if self._server is not None and self._server.ensure():
            self._campaign.service_changed("redis", "crashed", "ended unexpectedly and was restarted")
        self._pools.look()
        self._archive.look()
        for analyzer in self._endpoints.look():
            log.warning("analyzer is silent, no more frames go to it name=%s", analyzer)
        for candidate_id in self._watch.expire_leases(self._lease_s * GRACE):
            log.warning("lease expired candidate=%s", candidate_id)
        refused = self._events.take_refused() + self._requests.take_refused()
        self._shut_out_revoked()
        malformed, self._control.malformed = self._control.malformed, 0
        dropped, self._control.replies_dropped = self._control.replies_dropped, 0
        self._campaign.count(
            {
                "handshakes_refused": refused,
                "clients_denied": self._gatekeeper.take_denied(),
                "requests_malformed": malformed,
                "replies_dropped": dropped,
                "subscribers_reset": self._events.take_resets(),
            }
        )

    def _shut_out_revoked(self) -> None:
        """A grant that was revoked ends the subscriptions that its key has opened."""
        if self._gatekeeper.take_revoked():
            self._events.ask_renewal()

    def _relay(self) -> None:
        try:
            client = self._connection.open_redis(alone=True)
            relay = Relay(client, self._connection.keys, self._events)
            while not self._closing.is_set():
                relay.step(0.2)
                self._events.renew_when_asked()
                if passed_over := relay.take_passed_over():
                    self._campaign.count({"entries_unreadable": passed_over})
            while relay.step(0.0):
                pass
            client.close()
        except redis.RedisError as error:
            if not self._closing.is_set():
                self._relay_error = error
        except Exception as error:
            self._relay_error = error


def open_broker(connection_file: Path) -> Broker:
    """The broker of the campaign that a connection file describes."""
    return Broker(read_connection(connection_file))
