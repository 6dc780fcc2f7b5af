"""What three targets in one campaign cost, over the hardest of them alone.

The hardest target is found search by search, from the same initial samples: the one that takes longest. Where hits
come by chance no target is the hardest for all searches, and even three campaigns at once, one for each, take longer
than the median of any.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from bench.landscapes import landscapes
from bench.search import search
from bench.table import Row
from moireloop_broker.contract.search import Target
from moireloop_optimizer.auto.strategy import AutoStrategy

REPETITIONS: Final = 60
INITIAL: Final = 6
BUDGET: Final = 120
TOLERANCE_DEG: Final = 0.1
PLACES: Final[dict[str, tuple[float, ...]]] = {
    "smooth": (8.5, 15.0, 25.0),
    "ridges": (8.5, 15.0, 25.0),
    "plateaus": (8.2, 14.4, 25.3),
    "bead": (8.2, 15.42, 24.46),
}
"""The paper's three targets, or the coherent twists nearest to them."""


def samples_to_all(name: str, targets_deg: Sequence[float], repetition: int) -> int:
    """Samples of one search until its last target is reached; one more than the budget where that is never."""
    targets = [Target(twist_deg=one, tolerance_deg=TOLERANCE_DEG) for one in targets_deg]
    made = search(
        landscapes()[name],
        AutoStrategy(repetition),
        targets,
        initial=INITIAL,
        n_batch=1,
        budget=BUDGET,
        seed=repetition,
        until_reached=True,
    )
    return max(made.samples_to(target) or BUDGET + 1 for target in targets)


def rows(names: Sequence[str] = tuple(PLACES), repetitions: int = REPETITIONS) -> list[Row]:
    """Median over searches of the samples for all three over those for the one that takes longest alone."""
    return [_row(name, PLACES[name], repetitions) for name in names]


def _row(name: str, targets_deg: tuple[float, ...], repetitions: int) -> Row:
    alone = [_samples(name, (one,), repetitions) for one in targets_deg]
    together = _samples(name, targets_deg, repetitions)
    slowest = [max(each) for each in zip(*alone, strict=True)]
    ratio = median(all_three / one for all_three, one in zip(together, slowest, strict=True))
    note = (
        f"medians of {repetitions}: {median(together):g} samples for all three, {median(slowest):g} for the slowest "
        f"alone; {', '.join(f'{median(samples):g}' for samples in alone)} for each"
    )
    return Row(f"{name}: three targets at once over the slowest alone", ratio, "", 1.5, "at most", note)


def _samples(name: str, targets_deg: Sequence[float], repetitions: int) -> list[int]:
    return [samples_to_all(name, targets_deg, repetition) for repetition in range(repetitions)]
