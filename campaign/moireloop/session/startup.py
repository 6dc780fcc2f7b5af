"""Broker up, settings handed over, what an earlier session left cleared (adapter)."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import redis

from moireloop.campaign_file.campaign import Campaign
from moireloop.services.service_set import ServiceSet, ServiceSpec
from moireloop.services.start_condition import ANALYZER_PREFIX
from moireloop.session.resumption import withdrawals
from moireloop_broker.connection import Connection
from moireloop_broker.contract.message import MAX_NUMBER
from moireloop_broker.folder import ROLES, CampaignFolder
from moireloop_broker.membership.pools import SIZES
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.lease_watch import LeaseWatch
from moireloop_broker.state.redis_client import open_impatient, responds
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_optimizer.generators.check import optimizer_section
from moireloop_optimizer.strategy_names import NO_STRATEGY
from moireloop_worker.models.script_files import growth_section, started_model

READY_S = 90.0

PREDECESSORS_END_S = 90.0


class StartInterrupted(RuntimeError):
    """Somebody asked for the end before the services were ready."""


class ServiceFailed(RuntimeError):
    """A service does not start, or dies again and again; the text has its last words and its log file."""


def service_specs(campaign: Campaign, folder: CampaignFolder, until_s: float | None = None) -> list[ServiceSpec]:
    """The services of a campaign but the broker, in the order in which they start.

    Args:
        until_s: when the workers must have given back, in seconds since the epoch.
    """
    until = [] if until_s is None else ["--until-s", repr(until_s)]
    connection = {role: ["--connection", str(folder.connection_of(role))] for role in ROLES}
    analyzers = [f"{ANALYZER_PREFIX}{number}" for number in range(campaign.analyzers.count)]
    is_wanted = campaign.optimizer.strategy != NO_STRATEGY
    optimizer = [("optimizer", ["moireloop_optimizer", *connection["optimizer"]])] if is_wanted else []
    modules = [
        *((name, ["moireloop_analyzer", *connection["analyzer"], "--name", name]) for name in analyzers),
        *optimizer,
        ("pool", ["moireloop_worker.pool.service", *connection["worker"], *until]),
    ]
    return [ServiceSpec(name, [sys.executable, "-m", *arguments], folder.log_of(name)) for name, arguments in modules]


def settings_sections(campaign: Campaign) -> dict[str, object]:
    """What the services receive of the campaign file, by section."""
    sections = campaign.model_dump(mode="json", exclude={"redis", "network"})
    folder = CampaignFolder(campaign.folder)
    growth = growth_section(campaign.growth, campaign.frames.every_steps, folder)
    limits = started_model(campaign.growth, campaign.frames.every_steps, folder).parameters
    return {
        **sections,
        "growth": growth,
        "optimizer": optimizer_section(campaign.optimizer, folder),
        "limits": {name: limits[name] for name in campaign.space.names if _is_limited(limits.get(name))},
    }


def _is_limited(limits: tuple[float, float] | None) -> bool:
    """Whether a growth model has limits of a parameter that a message can hold."""
    return limits is not None and all(abs(limit) <= MAX_NUMBER for limit in limits)


def claim_services(services: ServiceSet, lock: Path, interrupted: Callable[[], bool]) -> None:
    """Wait for services of a session that was killed: they end by themselves, but not at once.

    Raises:
        ServiceFailed: they do not end.
        StartInterrupted: `interrupted` became true meanwhile.
    """
    if services.claim(PREDECESSORS_END_S, interrupted):
        return
    if interrupted():
        raise StartInterrupted("interrupted while services of an earlier session were ending")
    raise ServiceFailed(f"services of an earlier session still run (fuser {lock} shows them); end them first")


def broker_spec(folder: CampaignFolder) -> ServiceSpec:
    """The broker, which starts before all other services."""
    command = [sys.executable, "-m", "moireloop_broker", "--connection", str(folder.connection_file)]
    return ServiceSpec("broker", command, folder.log_of("broker"))


def wait_for_broker(
    services: ServiceSet,
    connection: Connection,
    sections: dict[str, object],
    log_file: Path,
    interrupted: Callable[[], bool],
    patience_s: float = READY_S,
) -> None:
    """Wait until the broker's Redis holds this session's settings and the groups of its queues.

    Raises:
        ServiceFailed: the broker dies, or is not ready after `patience_s`.
        StartInterrupted: `interrupted` became true meanwhile.
    """
    deadline = time.monotonic() + patience_s
    while not (responds(connection.redis_url) and _has_settings(connection, sections)):
        if interrupted():
            raise StartInterrupted("interrupted before the campaign began; `moireloop resume` starts it")
        for crash in services.watch():
            raise ServiceFailed(f"the broker does not start: {crash.reason} (see {log_file})")
        if time.monotonic() > deadline:
            raise ServiceFailed(f"the broker is not ready after {patience_s:g} s (see {log_file})")
        time.sleep(0.02)


def clear_earlier_session(client: redis.Redis, keys: Keys, campaign: Campaign, counted: int) -> None:
    """Forget an earlier session's workers, give back its leases, withdraw candidates that are no longer wanted.

    Args:
        counted: results that have used up the budget.
    """
    client.delete(keys.endpoints, keys.workers, keys.services, keys.pools, keys.heartbeats)
    client.hdel(keys.settings, SIZES)
    LeaseWatch(client, keys).release_all("the session that ran it has ended")
    proposer = Proposer(client, keys)
    places = campaign.budget.results - counted - CampaignState(client, keys, campaign.name).counts()["analysing"]
    for candidate_id, reason in withdrawals(proposer.queued(), campaign.bounds, places).items():
        proposer.cancel(candidate_id, reason)


def _has_settings(connection: Connection, sections: dict[str, object]) -> bool:
    """Whether the broker has put this session's settings into Redis; an earlier session's may still be there."""
    client = open_impatient(connection.redis_url)
    with contextlib.closing(client), contextlib.suppress(redis.RedisError, LookupError):
        settings = read_settings(client, connection.keys)
        stored = {name: settings.plain(name) for name in sections}
        return bool(stored == json.loads(json.dumps(sections))) and _groups_exist(client, connection)
    return False


def _groups_exist(client: redis.Redis, connection: Connection) -> bool:
    keys = connection.keys
    return bool(client.exists(*keys.queues, keys.finals) == 3)
