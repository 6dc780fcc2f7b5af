"""How far what was learnt can be trusted: each whole run judged by what was learnt from others (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from moireloop_analyzer.settling.sureness import (
    FOLDS,
    Ends,
    WholeRun,
    ends_at,
    folds,
    held_out_scores,
    threshold_of,
)

LEVELS: Final = (0.8, 0.85, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99)

EDGES: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)

Z95: Final = 1.96


@dataclass(frozen=True)
class Bin:
    """Landmarks of about one score: their mean score, the share whose claim was right, and how many runs they are of.

    `low` and `high` bound that share with 95 % (Wilson), a run counted once however many landmarks it has there.
    """

    predicted: float
    right: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Reliability:
    """Of held-out runs: the reliability curve of the scores, and for each level what ending runs at it does."""

    runs: int
    tolerance_deg: float
    curve: tuple[Bin, ...]
    levels: tuple[tuple[float, Ends], ...]


def reliability(
    runs: Sequence[WholeRun], tolerance_deg: float, levels: Sequence[float] = LEVELS, least_runs: int = FOLDS
) -> Reliability | None:
    """What to expect of runs that were not learnt from; None of fewer than `least_runs` runs.

    The trees and the threshold that judge a run come from the folds to which it does not belong.
    """
    if len(runs) < least_runs or sum(bool(run.landmarks) for run in runs) < 2 * FOLDS:
        return None
    scores, fold = held_out_scores(runs, tolerance_deg), folds(runs)
    predicted = np.concatenate(scores)
    right = np.concatenate([run.right(tolerance_deg) for run in runs])
    owner = np.repeat(np.arange(len(runs)), [len(run.landmarks) for run in runs])
    weights = np.array([run.weight for run in runs])[owner]
    curve = []
    for low, high in pairwise(EDGES):
        inside = (predicted >= low) & ((predicted < high) | (high == EDGES[-1]))
        if inside.any():
            share, mean = (
                np.average(right[inside], weights=weights[inside]),
                np.average(predicted[inside], weights=weights[inside]),
            )
            count = len(np.unique(owner[inside]))
            curve.append(Bin(float(mean), float(share), *wilson(float(share), count), count))
    held_out = tuple((level, _held_out_ends(runs, scores, fold, level, tolerance_deg)) for level in levels)
    return Reliability(len(runs), tolerance_deg, tuple(curve), held_out)


def _held_out_ends(
    runs: Sequence[WholeRun], scores: Sequence[np.ndarray], fold: Sequence[int], level: float, tolerance_deg: float
) -> Ends:
    """What ending runs at this level does, the threshold of each fold taken from the others."""
    thresholds: dict[int, float | None] = {}
    for number in range(FOLDS):
        others = [place for place in range(len(runs)) if fold[place] != number]
        threshold = threshold_of([runs[p] for p in others], [scores[p] for p in others], level, tolerance_deg)
        thresholds[number] = None if threshold is None else threshold[0]
    return ends_at(runs, scores, [thresholds[its] for its in fold], tolerance_deg)


def wilson(share: float, count: float) -> tuple[float, float]:
    """Bounds of a share that was found in `count` trials, with 95 % (Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    if not count:
        return 0.0, 1.0
    middle, spread = share + Z95**2 / (2 * count), Z95 * np.sqrt(share * (1 - share) / count + (Z95 / (2 * count)) ** 2)
    scale = 1 + Z95**2 / count
    return max(0.0, float((middle - spread) / scale)), min(1.0, float((middle + spread) / scale))
