"""One service by itself, without a conductor: it waits for the campaign, and continues with it (main)."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from moireloop.services.service_set import MAX_CRASHES, ServiceSet, ServiceSpec
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.membership.attendance import LOOK_EVERY_S, STARTING_S, Asked, Say, await_session
from moireloop_broker.membership.heartbeats import CONDUCTOR, alive, refuse_if_alive
from moireloop_broker.membership.pools import any_alive
from moireloop_broker.membership.session import Follower, News, NoSession, Reached, SessionEnded, begun, reach
from moireloop_broker.state.redis_client import open_impatient

PATIENCE_S: Final = 8.0
"""How long the service's process has to end; containers have ten seconds."""

OTHERS_LEAVE_S: Final = 5.0

ANSWER_S: Final = 2.0

MODULES: Final = {"broker": "moireloop_broker", "analyzer": "moireloop_analyzer", "optimizer": "moireloop_optimizer"}


class ServiceGone(RuntimeError):
    """A service that was started by itself ends, since it cannot work or has nothing to work for; the text says why."""


@dataclass(frozen=True)
class ServiceRequest:
    """Which service is to run for which campaign.

    Args:
        kind: broker, analyzer or optimizer.
        name: of this instance.
        connection_file: of the campaign; read again when its session changes.
        patience_s: seconds to wait for the first session, and for one that has gone silent.
        linger_s: seconds to wait for the next session when one has ended.
    """

    kind: str
    name: str
    connection_file: Path
    patience_s: float
    linger_s: float = 0.0

    @property
    def spec(self) -> ServiceSpec:
        """The service's process."""
        command = [sys.executable, "-m", MODULES[self.kind], "--connection", str(self.connection_file)]
        named = ["--name", self.name] if self.kind == "analyzer" else []
        return ServiceSpec(self.name, [*command, *named], CampaignFolder(self.connection_file.parent).log_of(self.name))


def serve_alone(request: ServiceRequest, say: Say) -> None:
    """Run a service until the campaign ends, or SIGTERM or SIGINT comes.

    Args:
        say: called with a line whenever something is waited for, begins or ends.

    Raises:
        NoConnectionFile, NoSession: there is no session, also after `patience_s`.
        ServiceRuns: another one of this name works.
        ServiceGone: the service dies again and again, or nothing is heard of the session any more.
    """
    asked = Asked()
    wait_s = max(request.patience_s, request.linger_s)
    ended_s: float | None = None
    find = begun if request.kind == "broker" else reach
    while not asked:
        reached = await_session(find, request.connection_file, wait_s, asked, say, ended_s=ended_s)
        if reached is None:
            break
        news, ended_s = _serve(request, reached, asked, say), request.linger_s
        wait_s = request.linger_s if news == "ended" else max(request.patience_s, STARTING_S)
        if news == "ended" and request.linger_s <= 0:
            say(f"the campaign {reached.connection.campaign} has ended; {request.name} has ended too")
            return
    if asked:
        say(f"{request.name} was asked to end, and has ended")


def _serve(request: ServiceRequest, reached: Reached, asked: Asked, say: Say) -> News:
    """Run the service for one session; returns what became of the session."""
    connection = reached.connection
    services = ServiceSet(CampaignFolder(request.connection_file.parent).services_lock)
    with contextlib.closing(open_impatient(connection.redis_url, ANSWER_S)) as client:
        with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
            refuse_if_alive(client, connection.keys, request.name)
        services.start(request.spec)
        say(f"{request.name} works for {connection.campaign}")
        try:
            return _follow(request, services, _looker(request, reached, client), asked, say)
        finally:
            if request.kind == "broker" and connection.private_redis:
                _let_others_leave(client, reached)
            services.stop([request.name], PATIENCE_S)


Look = Callable[[], tuple[News, float, str]]


def _looker(request: ServiceRequest, reached: Reached, client: redis.Redis) -> Look:
    """A look at the session: what has become of it, for how long nothing was heard of it, and whose words miss."""
    follower = Follower(reached, request.connection_file, client)

    def look() -> tuple[News, float, str]:
        news = follower.look()
        if request.kind == "broker":
            news = _by_the_folder(request.connection_file, reached, news)
        return news, follower.silent_s, follower.why_silent

    return look


def _by_the_folder(connection_file: Path, reached: Reached, news: News) -> News:
    """The folder's state, for the service that runs Redis: nothing else tells it of a new session."""
    try:
        now = begun(connection_file)
    except SessionEnded:
        return "ended"
    except (NoSession, NoConnectionFile):
        return "away"
    if (now.mark, now.connection) != (reached.mark, reached.connection):
        return "another session"
    return "goes on" if news == "another session" else news


def _follow(request: ServiceRequest, services: ServiceSet, look: Look, asked: Asked, say: Say) -> News:
    """Keep the service alive until the session is over, another one has begun, or it was silent for too long."""
    before: News = "goes on"
    while not asked:
        for crash in services.watch():
            say(f"{crash.service} died: {crash.reason}")
            if crash.is_final or crash.deaths >= MAX_CRASHES:
                raise ServiceGone(f"{crash.service} cannot run: {crash.reason} (see {request.spec.log_file})")
        news, silent_s, why = look()
        if news in ("ended", "another session"):
            return news
        if silent_s > max(request.patience_s, request.linger_s):
            raise ServiceGone(f"the campaign has been silent for {silent_s:.0f} s: {why}")
        if news != before and silent_s > ANSWER_S:
            say(f"waiting: {why}" if news == "away" else "it is back")
            before = news
        time.sleep(LOOK_EVERY_S)
    return "goes on"


def _let_others_leave(client: redis.Redis, reached: Reached) -> None:
    """Let those go first who have something to give back, since Redis ends with the broker."""
    keys = reached.connection.keys
    deadline_s = time.monotonic() + OTHERS_LEAVE_S
    with contextlib.suppress(redis.RedisError, OSError):
        while time.monotonic() < deadline_s:
            others = alive(client, keys).keys() - {"broker", CONDUCTOR}
            if not others and not any_alive(client, keys):
                return
            time.sleep(0.1)
