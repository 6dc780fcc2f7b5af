"""What three targets in one campaign cost, over the hardest of them alone."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from bench.landscapes import landscapes
from bench.search import search
from bench.table import Row
from moireloop_optimizer.auto import AutoStrategy
from moireloop_optimizer.objective import Target

REPETITIONS: Final = 30
INITIAL: Final = 6
BUDGET: Final = 120
TOLERANCE_DEG: Final = 0.1
PLACES: Final[dict[str, tuple[float, ...]]] = {
    "smooth": (8.5, 15.0, 25.0),
    "ridges": (8.5, 15.0, 25.0),
    "plateaus": (8.2, 14.4, 25.3),
    "bead": (8.2, 15.42, 24.46),
}
"""The seed's three targets, or the coherent twists nearest to them."""


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


def rows() -> list[Row]:
    """Median samples for all three over the median for the hardest alone."""
    return [_row(name, targets_deg) for name, targets_deg in PLACES.items()]


def _row(name: str, targets_deg: tuple[float, ...]) -> Row:
    alone = {one: _samples(name, (one,)) for one in targets_deg}
    hardest, most = max(((one, median(samples)) for one, samples in alone.items()), key=lambda pair: pair[1])
    together = _samples(name, targets_deg)
    slowest = [max(each) for each in zip(*alone.values(), strict=True)]
    each_time = median(all_three / one for all_three, one in zip(together, slowest, strict=True))
    told = (
        f"medians of {REPETITIONS}: {median(together):g} samples for all three; {hardest:g} alone "
        f"{most:g}; over the slowest of each search {each_time:.2f}"
    )
    ratio = median(together) / most
    return Row(f"{name}: three targets at once over the hardest", ratio, "", 1.5, "at most", told)


def _samples(name: str, targets_deg: Sequence[float]) -> list[int]:
    return [samples_to_all(name, targets_deg, repetition) for repetition in range(REPETITIONS)]
