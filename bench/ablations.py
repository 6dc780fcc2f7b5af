"""What each part of `auto` is worth: samples to the first hit without it, one at a time and in batches (main).

`python -m bench.ablations` prints the table; some minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial.distance import cdist

from bench.landscapes import Floats
from bench.paired import BUDGET, Search
from bench.search_pool import search_pool
from bench.strategies import REPETITIONS, median_of, samples_to_hit
from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto import coherent_layers, hit_model, layer_pairs, repeated_twists, twist_process
from moireloop_optimizer.auto import strategy as auto
from moireloop_optimizer.auto.hit_model import HitModel

PLACES: Final = (
    ("smooth", 8.5),
    ("ridges", 8.5),
    ("plateaus", 2.8),
    ("bead", 15.42),
    ("bead", 19.71),
    ("bead", 24.46),
)
PENALTY_REACH: Final = 0.1
"""How far a local penalty reaches, in sides of the unit cube (standard deviation)."""


class _Penalised(HitModel):
    """Pending points take away from a probability by their distance alone, as local penalties do."""

    def wait_for(self, points: Points) -> None:
        """See HitModel; the model itself does not hear of them."""
        self._shunned = np.concatenate([getattr(self, "_shunned", points[:0]), points])

    def probability(self, points: Points, targets: Sequence[Target]) -> Floats:
        """See HitModel."""
        apart = -np.expm1(-0.5 * cdist(points, self._shunned, "sqeuclidean") / PENALTY_REACH**2)
        left: Floats = super().probability(points, targets) * apart.prod(axis=1)
        return left


class _Deaf(HitModel):
    """Pending points are not heard of."""

    def wait_for(self, points: Points) -> None:
        """See HitModel."""


Change = tuple[object, str, object]
PARTS: Final[Mapping[str, tuple[str, Sequence[Change]]]] = {
    "auto": ("auto", ()),
    "no trend": ("auto", ((twist_process, "TREND_PRIOR", 0.0),)),
    "no repeats": ("auto", ((repeated_twists, "LEAST_GAIN", np.inf),)),
    "no layers": ("auto", ((layer_pairs, "FEWEST", np.inf),)),
    "only layers seen": ("auto", ((coherent_layers, "LONGEST", 0.0),)),
    "repeats always": ("auto", ((repeated_twists, "LEAST_GAIN", -np.inf), (hit_model, "FEWEST_FOR_HABITS", 2))),
    "no climbs": ("auto", ((auto, "CLIMBS", ()),)),
    "42 runs held": ("auto", ((hit_model, "MOST_HELD", 42), (hit_model, "MOST_FITTED", 42))),
    "auto, batches of 15": ("auto 15", ()),
    "chosen together": ("auto 15", ((auto, "ONE_BY_ONE", 0),)),
    "local penalties": ("auto 15", ((auto, "HitModel", _Penalised),)),
    "pending points ignored": ("auto 15", ((auto, "HitModel", _Deaf),)),
}
"""Who searches, and what is changed in it: of which module or class, what, and into what."""


def without(part: str, wanted: tuple[str, float, int]) -> int | None:
    """Samples of one search on a landscape for a twist in degrees, by its repetition, with one part changed."""
    name, target_deg, repetition = wanted
    who, changes = PARTS[part]
    with ExitStack() as stack:
        for owner, attribute, value in changes:
            stack.enter_context(patch.object(owner, attribute, value))
        return samples_to_hit(Search(who, name, target_deg, repetition))


def table(
    repetitions: int,
    run: Callable[..., Any],
    parts: Sequence[str] = tuple(PARTS),
    places: Sequence[tuple[str, float]] = PLACES,
) -> Table:
    """Medians with their intervals, a row for each part; `run` maps a function over arguments."""
    shown = Table(title=f"samples to the first hit, medians of {repetitions} (> {BUDGET}: not in most)")
    for heading in ("part", *(f"{name} {target_deg:g}°" for name, target_deg in places)):
        shown.add_column(heading)
    for part in parts:
        cells = []
        for name, target_deg in places:
            wanted = [(name, target_deg, repetition) for repetition in range(repetitions)]
            found = median_of(list(run(partial(without, part), wanted)))
            cells.append(f"{found.samples:g} ({found.low:g} to {found.high:g})")
        shown.add_row(part, *cells)
    return shown


def main() -> int:
    """Search, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.ablations", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--part", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--landscape", nargs="*", default=sorted({name for name, _ in PLACES}))
    chosen = parser.parse_args()
    places = [place for place in PLACES if place[0] in chosen.landscape]
    with search_pool(chosen.processes) as pool:
        shown = table(chosen.repetitions, pool.map, chosen.part, places)
    Console(width=None if sys.stdout.isatty() else 140).print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
