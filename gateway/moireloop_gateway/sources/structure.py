"""The final structure of a run, read in its own process: it needs much, and files may be damaged (adapter)."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from moireloop_broker.extras import missing_extras, missing_line
from moireloop_gateway.programs import NoAnswer, answer_of

if TYPE_CHECKING:
    from moireloop_gateway.sources.place import Source

PROGRAM: Final = "moireloop_gateway.sources.structure_process"

NEEDED: Final = ("worker", "analyzer", "figures")

LIMIT_S: Final = 60.0

KEPT: Final = 16


class NoStructure(RuntimeError):
    """There is no structure to show; the text says why."""


class Structures:
    """Reads structures, one at a time for each caller, and keeps the last ones as JSON."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()

    def of(self, place: Source, candidate_id: str, attempt: int) -> bytes:
        """Atoms, layers, lattices, cell and moire cell as JSON. Blocks for seconds. Raises NoStructure."""
        if place.folder is None:
            raise NoStructure(f"no structure to show: {place.absent}")
        key = str(place.folder.root), candidate_id, attempt
        if key not in self._kept:
            wanted = {"candidate_id": candidate_id, "attempt": attempt}
            self._kept[key] = _read(key[0], candidate_id, {"structure": wanted})
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def pattern(self, place: Source, candidate_id: str, kind: str) -> bytes:
        """The simulated diffraction pattern of a structure as JSON. Blocks for seconds. Raises NoStructure."""
        if place.folder is None:
            raise NoStructure(f"no structure to simulate: {place.absent}")
        wanted = {"candidate_id": candidate_id, "kind": kind}
        return _read(str(place.folder.root), candidate_id, {"pattern": wanted})


def _refuse_missing() -> None:
    if missing := missing_extras(NEEDED):
        raise NoStructure(missing_line("the picture of a bilayer", missing))


def _read(folder: str, candidate_id: str, wanted: dict[str, Any]) -> bytes:
    _refuse_missing()
    try:
        said = answer_of(PROGRAM, "structure", {"folder": folder, **wanted}, LIMIT_S)
    except NoAnswer as error:
        raise NoStructure(f"reading the structure of {candidate_id}: {error}") from error
    if "reason" in (whole := json.loads(said)):
        raise NoStructure(whole["reason"])
    return said
