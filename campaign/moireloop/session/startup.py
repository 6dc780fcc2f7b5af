"""Broker up, settings handed over, what an earlier session left cleared (adapter)."""

from __future__ import annotations

import contextlib
import json
import sys

import redis

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.growth_script import growth_section
from moireloop.campaign_file.strategy_file import optimizer_section
from moireloop.session.service_set import ServiceSpec
from moireloop.session.start_condition import ANALYZER_PREFIX
from moireloop_broker.connection import Connection
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.redis_client import open_impatient
from moireloop_broker.state.settings_store import read_settings

READY_S = 90.0

FORERUNNERS_END_S = 90.0

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class StartInterrupted(RuntimeError):
    """Somebody asked for the end before the services were ready."""


class ServiceFailed(RuntimeError):
    """A service does not start, or dies again and again; the text has its last words and its log file."""


def service_specs(campaign: Campaign, folder: CampaignFolder) -> list[ServiceSpec]:
    """The services of a campaign but the broker, in the order in which they start."""
    connection = ["--connection", str(folder.connection_file)]
    analyzers = [f"{ANALYZER_PREFIX}{number}" for number in range(campaign.analyzers.count)]
    modules = [
        *((name, ["moireloop_analyzer", *connection, "--name", name]) for name in analyzers),
        ("optimizer", ["moireloop_optimizer", *connection]),
        ("pool", ["moireloop_worker.pool.service", *connection]),
    ]
    return [ServiceSpec(name, [sys.executable, "-m", *arguments], folder.log_of(name)) for name, arguments in modules]


def settings_sections(campaign: Campaign) -> dict[str, object]:
    """What the services are told of the campaign file, by section."""
    sections = campaign.model_dump(mode="json", exclude={"redis", "network"})
    return {**sections, "growth": growth_section(campaign), "optimizer": optimizer_section(campaign)}


def _has_settings(connection: Connection, sections: dict[str, object]) -> bool:
    """Whether the broker has put this session's settings into Redis; those of an earlier one may still be there."""
    client = open_impatient(connection.redis_url)
    with contextlib.closing(client), contextlib.suppress(redis.RedisError, LookupError):
        stored = {name: read_settings(client, connection.keys, name) for name in sections}
        return bool(stored == json.loads(json.dumps(sections))) and _groups_exist(client, connection)
    return False


def _groups_exist(client: redis.Redis, connection: Connection) -> bool:
    return bool(client.exists(connection.keys.queue)) and bool(client.exists(connection.keys.finals))
