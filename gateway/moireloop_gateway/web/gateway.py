"""What all endpoints share: campaigns, tokens, structures, and how many listen (adapter)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

from moireloop.campaign_file.errors import CampaignFileError
from moireloop.client.client import NotRunning
from moireloop_gateway.access import Tokens
from moireloop_gateway.sources.catalogue import Catalogue
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.sources.predictions import Predictions
from moireloop_gateway.sources.structure import Structures

if TYPE_CHECKING:
    from moireloop_broker.contract.control import Status
    from moireloop_gateway.sources.place import Source

T = TypeVar("T")

Work = Literal["recipes", "structure", "model", "pattern"]
"""What takes long and much memory, by kind."""

RATE_WINDOW: Final = 20
"""Results from which the time left is estimated."""


class Gateway:
    """One gateway: its campaigns, and who may see them."""

    def __init__(self, catalogue: Catalogue, tokens: Tokens, version: str) -> None:
        self.catalogue = catalogue
        self.tokens = tokens
        self.version = version
        self.structures = Structures()
        self.predictions = Predictions()
        self.listeners = 0
        self.turns: dict[Work, asyncio.Lock] = {kind: asyncio.Lock() for kind in get_args(Work)}

    async def in_turn(self, kind: Work, call: Callable[[], T]) -> T:
        """What a call returns that takes long and much memory: one at a time of each kind, in another thread."""
        async with self.turns[kind]:
            return await asyncio.to_thread(call)

    async def counted(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A listener's stream, counted as long as it lasts."""
        self.listeners += 1
        try:
            async for part in stream:
                yield part
        finally:
            self.listeners -= 1

    def listed(self, place: Source) -> dict[str, Any]:
        """One campaign of the list, without following it."""
        entry: dict[str, Any] = {"key": place.key, "folder": place.where, "running": place.runs()}
        try:
            outline = place.outline()
            entry |= {"name": outline.name, "budget_results": outline.budget.results}
            entry["targets"] = [target.model_dump() for target in outline.targets]
        except (CampaignFileError, OSError, NotRunning) as error:
            entry |= {"name": place.key, "problem": " ".join(str(error).split())[:500]}
        followed = next((one for one in self.catalogue.followed if one.place.key == place.key), None)
        if place.folder is None:
            entry["running"] = followed is not None and followed.phase == "live"
        entry["results"] = _rows(place) if followed is None else followed.picture.spent
        entry["changed_s"] = _changed_s(place)
        return entry

    async def summary(self, followed: Followed) -> dict[str, Any]:
        """All that is shown of a campaign at one moment."""
        picture, outline = followed.picture, followed.outline
        status = await followed.status()
        now_s = followed.now_s
        nearest = picture.nearest(followed.targets)
        return {
            "key": followed.place.key,
            "name": followed.place.key if outline is None else outline.name,
            "steers": followed.place.steers,
            "absent": followed.place.absent,
            "phase": followed.phase,
            "phase_reason": followed.words or None,
            "state": picture.state,
            "state_reason": picture.state_reason,
            "last_id": picture.last_id,
            "events": picture.events,
            "now_s": now_s,
            "started_s": picture.session_starts_s[0] if picture.session_starts_s else None,
            "session_started_s": picture.session_starts_s[-1] if picture.session_starts_s else None,
            "sessions": len(picture.session_starts_s),
            "counts": picture.counts(),
            "results": len(picture.results),
            "spent": picture.spent,
            "budget": None if followed.budget is None else followed.budget.model_dump(),
            "left_s": _left_s(followed, now_s),
            "left_at_most": _interval_s(followed) is None,
            "targets": [
                {**target.model_dump(), **vars(best)} for target, best in zip(followed.targets, nearest, strict=True)
            ],
            "space": None if followed.bounds is None else {name: list(ends) for name, ends in followed.bounds.items()},
            "settings": followed.settings(),
            "utilisation": picture.utilisation(),
            "steps_done": picture.steps_done,
            "steps_saved": picture.steps_saved,
            "endings": dict(picture.endings),
            "early_checked": picture.early_checked,
            "early_wrong": picture.early_wrong,
            "patterns": picture.patterns_seen,
            "stages": _stages(followed),
            **_services(followed, status),
        }


def _services(followed: Followed, status: Status | None) -> dict[str, Any]:
    running = {
        "services": followed.picture.services,
        "workers": [] if status is None else [worker.model_dump() for worker in status.workers],
        "counters": {} if status is None else status.counters,
        "service_states": {} if status is None else status.services,
    }
    if status is not None and status.state != followed.picture.state:
        running["state"] = status.state
    return running


def _stages(followed: Followed) -> dict[str, float | None]:
    picture = followed.picture
    return {
        stage: picture.stage_s[stage] / picture.stage_count[stage] if picture.stage_count[stage] else None
        for stage in picture.stage_s
    }


def _left_s(followed: Followed, now_s: float) -> float | None:
    """Seconds until the budget is spent, by the pace of the last results of this session; None where unknown."""
    picture, budget = followed.picture, followed.budget
    if budget is None or followed.phase != "live" or not picture.session_starts_s:
        return None
    interval_s = _interval_s(followed)
    begin_s = picture.session_starts_s[-1]
    by_wall = None if budget.wall_time_s is None else max(0.0, begin_s + budget.wall_time_s - now_s)
    remaining = max(0, budget.results - picture.spent)
    if interval_s is None:
        return by_wall
    by_pace = remaining * interval_s
    return by_pace if by_wall is None else min(by_pace, by_wall)


def _rows(place: Source) -> int | None:
    """Results in a finished campaign's table; None where there is none."""
    if place.folder is None:
        return None
    try:
        with place.folder.results_csv.open("rb") as file:
            return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)
    except OSError:
        return None


def _changed_s(place: Source) -> float | None:
    if place.folder is None:
        return None
    times = [path.stat().st_mtime for path in (place.folder.results_csv, place.folder.campaign_copy) if path.exists()]
    return max(times, default=None)


def _interval_s(followed: Followed) -> float | None:
    """Seconds between the last results of this session; None while there are too few."""
    picture = followed.picture
    logged = picture.results.numbers("logged_s")
    window = logged[max(picture.results_before_session, len(logged) - RATE_WINDOW) :]
    last = [logged_s for logged_s in window if not math.isnan(logged_s)]
    return (last[-1] - last[0]) / (len(last) - 1) if len(last) > 1 and last[-1] > last[0] else None
