"""Plans for bluesky's RunEngine, and what bluesky-adaptive needs to optimize a campaign (adapter)."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import Msg

from moireloop.bluesky.growth import Growth
from moireloop.client.requests import Number
from moireloop.results.results import regret_of
from moireloop_broker.contract.search import Target

FLUSH_S: Final = 1.0

NO_TWIST_DEG: Final = 30.0
"""The regret of a run that came to no twist: twists are in [0, 30]."""

ACQUIRE_RUN: Final = "moireloop-acquire"
"""The key of the run inside the run of bluesky-adaptive's `optimize`."""

Plan = Generator[Msg, Any, tuple[str, ...]]


def grow(growth: Growth, recipes: Sequence[Mapping[str, Number]], *, md: Mapping[str, Any] | None = None) -> Plan:
    """Grow all recipes at a time, as many as the campaign has workers for; an event for each result as it comes.

    Args:
        recipes: a value of each growth parameter.
        md: goes into the start document.

    Returns:
        Ids of the candidates, in the order of the recipes.
    """
    metadata = {"plan_name": "grow", "num_points": len(recipes), "detectors": [growth.name]}

    @bpp.run_decorator(md={**metadata, "campaign_id": growth.described.campaign_id, **(md or {})})  # type: ignore[untyped-decorator]
    def inner() -> Generator[Msg, Any, None]:
        yield from bps.prepare(growth, recipes, wait=True)
        yield from bps.kickoff(growth, wait=True)
        yield from bps.collect_while_completing([growth], [growth], flush_period=FLUSH_S)

    yield from inner()
    return growth.prepared


def acquire(
    suggestions: Sequence[Mapping[str, Any]],
    actuators: Sequence[Any],
    sensors: Sequence[Any] | None = None,
    md: Mapping[str, Any] | None = None,
) -> Plan:
    """bluesky-adaptive's acquisition plan: grow all suggestions of a step at a time, by the Growth among the sensors.

    Raises:
        ValueError: there is none.
    """
    growth = next((one for one in sensors or () if isinstance(one, Growth)), None)
    if growth is None:
        raise ValueError("expected a Growth among the sensors, got none")
    names = {one.name for one in actuators}
    recipes = [{name: value for name, value in one.items() if name in names} for one in suggestions]
    plan = grow(growth, recipes, md=md)
    grown: tuple[str, ...] = yield from bpp.set_run_key_wrapper(plan, ACQUIRE_RUN)  # type: ignore[no-untyped-call]
    return grown


class Regret:
    """An evaluation function of bluesky-adaptive: how far each result is from a twist, in degrees.

    Args:
        growth: the device that `acquire` used.
        twist_deg: the wanted twist.
        name: what the outcome is called.
    """

    def __init__(self, growth: Growth, twist_deg: float, name: str = "regret_deg") -> None:
        self._growth, self._target, self._name = growth, Target(twist_deg=twist_deg), name

    def __call__(self, uid: Sequence[str], suggestions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """An outcome for each suggestion; NO_TWIST_DEG where a run came to no twist.

        Args:
            uid: what `acquire` returned.
        """
        return [
            {"_id": suggestion["_id"], self._name: self._regret_deg(candidate_id)}
            for candidate_id, suggestion in zip(uid, suggestions, strict=True)
        ]

    def _regret_deg(self, candidate_id: str) -> float:
        regret_deg = regret_of(self._growth.result(candidate_id), self._target)
        return NO_TWIST_DEG if regret_deg is None else regret_deg
