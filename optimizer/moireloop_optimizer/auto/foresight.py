"""How well a model predicts where a new twist lies, judged by the twists that runs have shown (pure).

Each twist in turn is left out of the results with all runs that have it. The model then says from the others how likely
this twist is at the place of every run. A useful model finds it likelier where it occurred than at the other places.
The mean logarithm of that ratio is the model's gain over choosing places evenly. How well it predicts the twists of
left-out runs says less: recurring twists are easy to predict, and say nothing about where a new one is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.search import Points
from moireloop_optimizer.auto.layer_pairs import LayersWithout
from moireloop_optimizer.auto.nearness import nearness
from moireloop_optimizer.auto.repeated_twists import Habits, RunsWithout
from moireloop_optimizer.auto.twist_process import Floats, TwistProcess

APART_DEG: Final = 0.2
"""Twists within it count as one: as wide as the usual tolerance on both sides."""

MOST_TWISTS: Final = 40
"""Twists that are taken out, evenly spaced in their order, which bounds the time."""

FEWEST_LEFT: Final = 2

UNFORESEEN: Final = 1e-5
"""Density, per degree, of a twist that the model does not expect at all."""

CROWD: Final = 0.2
"""Runs within it, in sides of the unit cube, share one weight: where the model itself has put them counts once."""

WORST: Final = -2.0
"""Least logarithm that counts, so that one surprise does not outweigh all other twists."""

ASSUMED: Final = 2.0
"""Twists whose gain is assumed before there is evidence."""


@dataclass(frozen=True)
class Bar:
    """The gain that `ASSUMED` twists are taken to have shown, and those at which trust begins and is whole."""

    assumed_gain: float
    least_gain: float
    full_gain: float


OF_LAYERS: Final = Bar(assumed_gain=0.5, least_gain=0.0, full_gain=0.25)
"""Where layers are known a twist is a difference of two orientations that the cell admits, whatever runs have shown."""

OF_TWISTS: Final = Bar(assumed_gain=0.0, least_gain=0.2, full_gain=0.3)
"""Where only twists are known, the model must show that it can distinguish places: by chance gains come to 0.2 and
more, in the mean over six to sixteen twists, in a sixth to a tenth of the scattered landscapes of `bench`."""


def trust(gains: Floats, bar: Bar) -> float:
    """The share of proposals, in [0, 1], that a model with (V,) gains should make."""
    gain = (gains.sum() + ASSUMED * bar.assumed_gain) / (len(gains) + ASSUMED)
    return float(np.clip((gain - bar.least_gain) / (bar.full_gain - bar.least_gain), 0.0, 1.0))


def gains(
    points: Points, twist_deg: Floats, process: TwistProcess, habits: Habits | None, lattices: Floats | None
) -> Floats:
    """(V,) mean logarithms of the density of each twist where it was over its mean over all places.

    Args:
        points: (N, d) points of the unit cube.
        twist_deg: (N,) their twists in degrees, all finite.
        process: the Gaussian process of these runs.
        habits: as from `choose_habits`.
        lattices: (N, 3, 2, 2) as in `Runs`; None where no layers are known.
    """
    label = _label(twist_deg)
    chosen = np.unique(np.linspace(0, label.max(), MOST_TWISTS).round().astype(int))
    some = [out for out in (label == each for each in chosen) if len(out) - out.sum() >= FEWEST_LEFT]
    middle_deg = np.array([twist_deg[out].mean() for out in some])
    density = process.density_without(some, middle_deg)
    if habits is not None:
        density = _by_habits(points, twist_deg, some, middle_deg, density, habits, lattices)
    densities, lonely = density + UNFORESEEN, 1.0 / nearness(points, points, CROWD).sum(axis=1)
    logs = [
        np.average(np.log(row[out]), weights=lonely[out]) - np.log(np.average(row, weights=lonely))
        for row, out in zip(densities, some, strict=True)
    ]
    return np.maximum(np.array(logs, dtype=np.float64), WORST)


def _by_habits(
    points: Points,
    twist_deg: Floats,
    some: list[npt.NDArray[np.bool_]],
    middle_deg: Floats,
    density: Floats,
    habits: Habits,
    lattices: Floats | None,
) -> Floats:
    runs, layers = RunsWithout(points, twist_deg, habits), None
    if habits.reaches is not None and lattices is not None:
        layers = LayersWithout(points, twist_deg, lattices, habits.reaches)
    rows = [
        runs.density(out, middle, beyond, None if layers is None else layers.predicted(out, middle))
        for out, middle, beyond in zip(some, middle_deg, density, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(density.shape)


def _label(twist_deg: Floats) -> npt.NDArray[np.intp]:
    """(N,) numbers of the twists, counted up from 0 by their size; none is wider than APART_DEG."""
    order = np.argsort(twist_deg, kind="stable")
    label, number, first = np.zeros(len(order), dtype=np.intp), 0, twist_deg[order[0]]
    for row in order:
        if twist_deg[row] - first > APART_DEG:
            number, first = number + 1, twist_deg[row]
        label[row] = number
    return label
