"""Twists predicted from layers: what the lower layer of one run and the upper layer of another would make (pure).

A twist is the difference of two orientations. In a small periodic cell each layer takes one of the few orientations
that the cell admits. Its orientation depends on the growth parameters more plainly than the difference does. So layers
seen in different runs predict twists that no run has shown. Where the upper layer was not seen, the orientations that
the cell admits stand in (coherent_layers). A lattice keeps its place in the cell: an affine deformation takes the
lattice of one run into the cell of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from moireloop_broker.contract.search import Points
from moireloop_optimizer.auto.coherent_layers import CoherentUppers
from moireloop_optimizer.auto.hexagonal import FARTHEST, SAME_DEG, SYMMETRY_DEG, folded, put_into, turned_deg
from moireloop_optimizer.auto.nearness import Reach, inside, nearness, without_own
from moireloop_optimizer.auto.twist_process import Floats, mass_within, normal_density

REACHES: Final = (0.1, 0.2, 0.4, 1.0)
"""How far a layer may speak for others along an axis, in sides of the unit cube (standard deviations)."""

FIRST_REACH: Final = 0.2

SWEEPS: Final = 2

FEWEST: Final = 5
"""Runs whose layers are known from which on anything is predicted."""

FRESH: Final = 1.0
"""Weight, in runs, of an orientation that was not seen."""

AGREE_DEG: Final = 0.1
"""How far the twist of a run may be from the twist between its two lattices."""

LEAST_AREA: Final = 1e-6

LARGEST: Final = 1e6
"""Of a cell's area and of any component of a vector, in the unit that the vectors have: angstrom."""

SQUARE: Final = np.eye(2)

CELL, LOWER, UPPER = range(3)


@dataclass(frozen=True)
class Reaches:
    """How far along each axis the lower and the upper layers of runs speak for other runs' layers."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True)
class PairPrediction:
    """At m points: the share (m,) that what is predicted gives to a twist, and the share (m,) of all that is predicted.

    The first is a probability where a target is asked for, and a density per degree where a twist is.
    """

    share: Floats
    known: Floats


class LayerPairs:
    """All pairs of a lower layer of one run and an upper one of another, or one that is new.

    Args:
        points: (N, d) points of the unit cube.
        twist_deg: (N,) their twists in degrees.
        lattices: (N, 3, 2, 2) as in `objective.Runs`, NaN where they are not known.
        reaches: as from `choose_reaches`.
    """

    def __init__(self, points: Points, twist_deg: Floats, lattices: Floats, reaches: Reaches) -> None:
        known = are_known(twist_deg, lattices)
        self._points, self._reaches = points[known], reaches
        self._twist_deg = pair_twists_deg(lattices[known])
        self._unseen = _unseen_uppers(lattices[known])
        self._hit: dict[tuple[float, float], tuple[csr_array, Floats]] = {}

    def hits(self, points: Points, target_deg: float, tolerance_deg: float, pending: Points) -> PairPrediction:
        """The probability that a run at (m, d) points comes within the tolerance of a target.

        Args:
            pending: (j, d) points on their way; where they lie, any pair becomes less likely to be news, and nothing
                else likelier.
        """
        near_lower, near_upper = (
            nearness(points, self._points, reach) / inside(points, reach)[:, None]
            for reach in (self._reaches.lower, self._reaches.upper)
        )
        lower, upper = _weights(near_lower), _weights(near_upper)
        unseen = 1.0 - upper.sum(axis=1)
        pairs, unseen_pairs = self._hits_of(target_deg, tolerance_deg)
        share = ((lower @ pairs) * upper).sum(axis=1)
        share += unseen * (lower @ unseen_pairs)
        weight = FRESH + near_upper.sum(axis=1)
        waiting = nearness(points, pending, self._reaches.upper).sum(axis=1) / inside(points, self._reaches.upper)
        return PairPrediction(share * weight / (weight + waiting), _known_share(lower, unseen, self._unseen))

    def _hits_of(self, target_deg: float, tolerance_deg: float) -> tuple[csr_array, Floats]:
        """Probability that each pair (N, N) comes within the tolerance, for most none; and with new uppers (N,)."""
        key = target_deg, tolerance_deg
        if key not in self._hit:
            places = np.nonzero(np.abs(self._twist_deg - target_deg) <= tolerance_deg + FARTHEST * SAME_DEG)
            hit = mass_within(target_deg, tolerance_deg, self._twist_deg[places], SAME_DEG)
            pairs = csr_array((hit, places), shape=self._twist_deg.shape)
            self._hit[key] = pairs, self._unseen.hits(target_deg, tolerance_deg)
        return self._hit[key]


def are_known(twist_deg: Floats, lattices: Floats) -> npt.NDArray[np.bool_]:
    """(N,) whether the layers of each run are known and make its twist; layers of another convention do not."""
    finite = np.asarray((np.abs(lattices) <= LARGEST).all(axis=(1, 2, 3)), dtype=np.bool_)
    safe = np.where(finite[:, None, None, None], lattices, SQUARE)
    own_deg = folded(turned_deg(safe[:, UPPER]) - turned_deg(safe[:, LOWER]))
    known: npt.NDArray[np.bool_] = (
        finite & (np.abs(np.linalg.det(safe[:, CELL])) > LEAST_AREA) & (np.abs(own_deg - twist_deg) <= AGREE_DEG)
    )
    return known


def choose_reaches(points: Points, twist_deg: Floats, lattices: Floats) -> Reaches | None:
    """The reaches by which the orientation of each run's layers is predicted best from the others.

    None where too few are known; see LayerPairs for the arguments.
    """
    known = are_known(twist_deg, lattices)
    if known.sum() < FEWEST:
        return None
    lower, upper = (_reach_of(points[known], angle_deg) for angle_deg in _orientations_deg(lattices[known]))
    return Reaches(lower, upper)


def predict_left_out(points: Points, twist_deg: Floats, lattices: Floats, reaches: Reaches) -> PairPrediction:
    """The density of every run's twist (N,) as the layers of the other runs predict it."""
    known = np.flatnonzero(are_known(twist_deg, lattices))
    lower, upper = (_weights_of_others(points, known, reach) for reach in (reaches.lower, reaches.upper))
    pairs_deg = pair_twists_deg(lattices[known])
    unseen_uppers, unseen = _unseen_uppers(lattices[known]), 1.0 - upper.sum(axis=1)
    density = [
        below @ (normal_density(pairs_deg - twist, SAME_DEG) @ above + new * unseen_uppers.density(twist))
        for below, above, new, twist in zip(lower, upper, unseen, twist_deg, strict=True)
    ]
    return PairPrediction(np.array(density), _known_share(lower, unseen, unseen_uppers))


class LayersWithout:
    """What the layers of runs predict at the places of these runs, some of them left out.

    See LayerPairs for the arguments.
    """

    def __init__(self, points: Points, twist_deg: Floats, lattices: Floats, reaches: Reaches) -> None:
        self._known = np.flatnonzero(are_known(twist_deg, lattices))
        self._near = [
            without_own(nearness(points, points, reach))[:, self._known] / inside(points, reach)[:, None]
            for reach in (reaches.lower, reaches.upper)
        ]
        self._pairs_deg = pair_twists_deg(lattices[self._known])
        self._unseen = _unseen_uppers(lattices[self._known])

    def predicted(self, out: npt.NDArray[np.bool_], twist_deg: float) -> PairPrediction:
        """The density of a twist at the place of every run, as other runs that are not left out (N,) predict it."""
        lower, upper = (_weights(near * ~out[self._known]) for near in self._near)
        new = 1.0 - upper.sum(axis=1)
        places = np.nonzero(np.abs(self._pairs_deg - twist_deg) <= FARTHEST * SAME_DEG)
        weight = normal_density(self._pairs_deg[places] - twist_deg, SAME_DEG)
        share = ((lower @ csr_array((weight, places), shape=self._pairs_deg.shape)) * upper).sum(axis=1)
        share += new * (lower @ self._unseen.density(twist_deg))
        return PairPrediction(share, _known_share(lower, new, self._unseen))


def pair_twists_deg(lattices: Floats) -> Floats:
    """(N, N) twists in degrees, in [0, 30], that the lower layer of run i makes with the upper one of run j.

    That one is put into the cell of run i. `lattices` (N, 3, 2, 2) must be known.
    """
    lower, upper = _orientations_deg(lattices)
    return folded(upper - lower.diagonal()[:, None])


def _unseen_uppers(lattices: Floats) -> CoherentUppers:
    return CoherentUppers(lattices[:, CELL], lattices[:, LOWER], lattices[:, UPPER])


def _known_share(lower: Floats, unseen: Floats, unseen_uppers: CoherentUppers) -> Floats:
    """(m,) probability that the lower layer is a known one, and the upper one known too or one that the cell admits."""
    share: Floats = lower.sum(axis=1) * (1.0 - unseen) + unseen * (lower @ unseen_uppers.share)
    return share


def _orientations_deg(lattices: Floats) -> tuple[Floats, Floats]:
    """(N, N) orientations of the lower layer of run j in the cell of run i, in degrees, and of the upper one."""
    cells = lattices[:, CELL]
    places = lattices[:, (LOWER, UPPER)] @ np.linalg.inv(cells)[:, None]
    lower, upper = (np.angle(put_into(cells, places[:, layer]), deg=True) for layer in (0, 1))
    return lower, upper


def _reach_of(points: Points, angle_deg: Floats) -> tuple[float, ...]:
    """The reach along each axis by which left-out orientations, on the diagonal of (N, N), are predicted best."""
    same = normal_density(folded(angle_deg - angle_deg.diagonal()[:, None]), SAME_DEG)
    everyone = np.arange(len(points))

    def score(reach: Sequence[float]) -> float:
        weights = _weights_of_others(points, everyone, reach)
        left = 1.0 - weights.sum(axis=1)
        return float(np.log((weights * same).sum(axis=1) + left / SYMMETRY_DEG).sum())

    reach = [FIRST_REACH] * points.shape[1]
    for _ in range(SWEEPS):
        for axis in range(len(reach)):
            reach = max(([*reach[:axis], width, *reach[axis + 1 :]] for width in REACHES), key=score)
    return tuple(reach)


def _weights(near: Floats) -> Floats:
    """(m, N) probabilities that a layer at a point is like each run's; the remainder to 1 is for a new one."""
    weights: Floats = near / (FRESH + near.sum(axis=1, keepdims=True))
    return weights


def _weights_of_others(points: Points, known: npt.NDArray[np.intp], reach: Reach) -> Floats:
    """(N, k) the same at every run, by those runs whose layers are known other than itself."""
    return _weights(without_own(nearness(points, points, reach))[:, known] / inside(points, reach)[:, None])
