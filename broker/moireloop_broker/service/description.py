"""Describes a campaign's search to a controller that knows nothing of it (adapter)."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Final, cast

import redis

from moireloop_broker.contract.control import Description, ParameterRange
from moireloop_broker.contract.message import unit_of
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steered import wanted_of
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.settings_store import Sections, read_settings

PROTOCOL: Final = "4"
"""Rises with what controllers may ask; docs/protocol.md says what each version has."""


def description(client: redis.Redis, keys: Keys, campaign: str) -> Description:
    """The campaign as it is now, requests of controllers included."""
    sections = read_settings(client, keys)
    budget = sections.section("budget", BudgetSettings)
    stored = cast("bytes | None", client.hget(keys.identity, "id"))
    return Description(
        campaign=campaign,
        campaign_id=stored.decode() if stored else "",
        space=_ranges(sections),
        targets=wanted_of(sections.section("targets", list[Target])),
        budget_results=budget.results,
        budget_wall_time_s=budget.wall_time_s,
        outside_counts=budget.outside_counts,
        growth_model=str(_entry(sections, "growth", "model")),
        strategy=str(_entry(sections, "optimizer", "strategy")),
        versions={"moireloop": version("moireloop"), "protocol": PROTOCOL, "python": platform.python_version()},
    )


def _ranges(sections: Sections) -> dict[str, ParameterRange]:
    limits = sections.plain("limits") if "limits" in sections else {}
    ranges = {}
    for name, (low, high) in sections.section("space", SearchSpace).root.items():
        lowest, highest = limits.get(name, (None, None))
        ranges[name] = ParameterRange(unit=unit_of(name), low=low, high=high, lowest=lowest, highest=highest)
    return ranges


def _entry(sections: Sections, section: str, key: str) -> object:
    return sections.plain(section).get(key, "") if section in sections else ""
