"""What the model and the cell say of the search space: maps of probabilities, and admitted twists (adapter).

The model is fitted in its own process, since it needs torch and seconds of time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moireloop_broker.extras import missing_extras, missing_line
from moireloop_gateway.programs import NoAnswer, answer_of

if TYPE_CHECKING:
    from moireloop_gateway.sources.followed import Followed

PROGRAM: Final = "moireloop_gateway.sources.prediction_process"

LIMIT_S: Final = 120.0

KEPT: Final = 16

OUT_OF_REACH: Final = "the campaign is not running, and its folder is not on this machine"


class Predictions:
    """Keeps the last answers for each campaign: they change only with its results, targets and search space."""

    def __init__(self) -> None:
        self._maps: dict[str, tuple[str, dict[str, Any]]] = {}
        self._cells: dict[str, tuple[str, dict[str, Any]]] = {}

    def program_input(self, followed: Followed) -> dict[str, Any]:
        """What the program receives of a campaign as it is now; to be called in the event loop."""
        return {
            "folder": followed.place.where,
            "connection": str(followed.place.connection_file) if followed.phase == "live" else "",
            "space": followed.bounds or {},
            "targets": [target.model_dump() for target in followed.targets],
            "results": len(followed.picture.results),
            "patterns": followed.picture.patterns_seen if _learns_from_patterns(followed) else 0,
        }

    def maps(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Maps of the probability of a hit, or a `reason` why there are none. Blocks for seconds."""
        key = json.dumps(asked, sort_keys=True)
        if _is_out_of_reach(asked):
            return {"reason": OUT_OF_REACH}
        if self._maps.get(asked["folder"], ("",))[0] != key:
            try:
                fitted = _fitted(asked)
            except NoAnswer as error:
                return {"reason": f"fitting the model: {error}"}
            _room(self._maps)
            self._maps[asked["folder"]] = key, fitted
        return self._maps[asked["folder"]][1]

    def advice(self, asked: dict[str, Any], target: dict[str, float] | None) -> dict[str, Any]:
        """Where chamber and computer should go next for a target, or a `reason`. Blocks for seconds."""
        wanted = [*([] if target is None else [target]), *asked["targets"]]
        if not wanted or _is_out_of_reach(asked):
            return {"reason": "the campaign has no target" if not wanted else OUT_OF_REACH}
        try:
            return _fitted(asked | {"targets": wanted, "patterns": True, "advice": True})
        except NoAnswer as error:
            return {"reason": f"fitting the model: {error}"}

    def cells(self, followed: Followed) -> dict[str, Any]:
        """The twists that the campaign's cell admits, or a `reason` why they are not known. Blocks for a moment."""
        key = json.dumps([followed.place.where, followed.bounds])
        if self._cells.get(followed.place.key, ("",))[0] != key:
            _room(self._cells)
            self._cells[followed.place.key] = key, _admitted(followed)
        return self._cells[followed.place.key][1]


def _room(kept: dict[str, Any]) -> None:
    while len(kept) >= KEPT:
        del kept[next(iter(kept))]


def _is_out_of_reach(asked: dict[str, Any]) -> bool:
    return not asked["connection"] and not Path(asked["folder"]).is_dir()


def _learns_from_patterns(followed: Followed) -> bool:
    settings = {} if followed.outline is None else followed.outline.settings.get("optimizer", {})
    return bool(settings.get("learn_from_patterns", False))


def _fitted(asked: dict[str, Any]) -> dict[str, Any]:
    if missing := missing_extras(("optimizer",)):
        return {"reason": missing_line("the model's probability of a hit", missing)}
    said: dict[str, Any] = json.loads(answer_of(PROGRAM, "model", asked, LIMIT_S))
    return said


def _admitted(followed: Followed) -> dict[str, Any]:
    outline, bounds = followed.outline, followed.bounds
    if missing := missing_extras(("worker",)):
        return {"reason": missing_line("admitted twists", missing)}
    if followed.place.absent:
        return {"reason": f"admitted twists are not known: {followed.place.absent}"}
    if outline is None or bounds is None:
        return {"reason": "the campaign file cannot be read"}
    from moireloop.cells.admitted import LARGEST_STRAIN
    from moireloop.cells.lines import why_unknown
    from moireloop.cells.reach import space_twists
    from moireloop_broker.contract.search import SearchSpace
    from moireloop_worker.models import crystal_of

    crystal = crystal_of(outline.growth)
    if crystal is None:
        return {"reason": why_unknown(outline.growth.model)}
    twists = space_twists(crystal, SearchSpace.model_validate(bounds))
    return {
        "largest_strain": LARGEST_STRAIN,
        "twists": [{"twist_deg": round(each.twist_deg, 4), "strain": round(each.strain, 5)} for each in twists],
    }
