"""Gradient boosted trees for a probability, in plain numpy: few, small, and the same ones for the same data (pure).

Friedman, Ann. Stat. 29 (2001) 1189, with second-order leaves. The features are cut into at most BINS values each, so
that a split is found from sums by value. A straight line in the features does worse here: an order of 0.85 says one
thing at 2000 K and another when the layer is cold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

Codes = NDArray[np.int64]

BINS: Final = 32

ROUNDS: Final = 150

RATE: Final = 0.05

LEAVES: Final = 6

LEAST_ROWS: Final = 60
"""Fewest rows of a leaf: one and a half whole runs of forty frames."""

SHRINKAGE: Final = 5.0

LARGEST_LOGIT: Final = 30.0


class _Sums(NamedTuple):
    """Sums of gradient, curvature and rows over all codes up to each one, (d, BINS) for each feature."""

    slopes: Numbers
    curves: Numbers
    counts: Numbers

    def without(self, others: _Sums) -> _Sums:
        """The sums of the rows that are not among these others."""
        return _Sums(self.slopes - others.slopes, self.curves - others.curves, self.counts - others.counts)


class _Leaf(NamedTuple):
    """Rows of a leaf, its sums and value, its best split (gain, feature, code: those up to it go left), its node."""

    rows: Codes
    sums: _Sums
    value: float
    gain: float
    feature: int
    code: int
    node: int


@dataclass(frozen=True)
class _Tree:
    """Nodes: feature (-1 in a leaf), largest code that goes left, left child (right is the next one), value."""

    feature: Codes
    code: Codes
    left: Codes
    value: Numbers

    def values(self, codes: Codes) -> Numbers:
        at = np.zeros(len(codes), dtype=np.int64)
        rows = np.arange(len(codes))
        while np.any(inner := self.feature[at] >= 0):
            here = at[inner]
            goes_right = codes[rows[inner], self.feature[here]] > self.code[here]
            at[inner] = self.left[here] + goes_right
        return self.value[at]


@dataclass(frozen=True)
class Trees:
    """What was fitted: the cuts between the values of each feature, and the trees."""

    cuts: tuple[Numbers, ...]
    base: float
    trees: tuple[_Tree, ...]

    def probability(self, features: Numbers) -> Numbers:
        """The probability of each row of (n, d) features, (n,) in [0, 1]."""
        codes = _codes(features, self.cuts)
        logits = np.full(len(codes), self.base)
        for tree in self.trees:
            logits += tree.values(codes)
        return _probability(logits)


def fit_trees(features: Numbers, outcomes: Numbers, weights: Numbers) -> Trees:
    """Trees for the probability of an outcome.

    Args:
        features: (n, d), finite.
        outcomes: (n,) of 0 and 1.
        weights: (n,), positive: how many rows each one stands for.
    """
    cuts = tuple(_cuts(column) for column in features.T)
    codes = _codes(features, cuts)
    places = codes + BINS * np.arange(codes.shape[1])
    weights = weights / weights.mean()
    share = float(np.clip(np.average(outcomes, weights=weights), 1e-3, 1 - 1e-3))
    base = float(np.log(share / (1 - share)))
    logits, trees = np.full(len(outcomes), base), []
    for _ in range(ROUNDS):
        probability = _probability(logits)
        tree = _grown(codes, places, weights * (outcomes - probability), weights * probability * (1 - probability))
        logits += tree.values(codes)
        trees.append(tree)
    return Trees(cuts, base, tuple(trees))


def _probability(logits: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)))


def _cuts(column: Numbers) -> Numbers:
    return np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))


def _codes(features: Numbers, cuts: Sequence[Numbers]) -> Codes:
    """Which of its values each feature has: 0 up to the first cut, and so on."""
    columns = [np.searchsorted(cut, column, side="left") for cut, column in zip(cuts, features.T, strict=True)]
    return np.stack(columns, axis=1).astype(np.int64)


def _grown(codes: Codes, places: Codes, gradient: Numbers, curvature: Numbers) -> _Tree:
    """A tree that always splits the leaf which gains most by it."""
    nodes: list[list[float]] = [[-1, 0, 0, 0.0]]
    everything = np.arange(len(codes))
    leaves = [_leaf(everything, _sums(places, gradient, curvature), 0)]
    while len(leaves) < LEAVES:
        best = leaves.pop(max(range(len(leaves)), key=lambda number: leaves[number].gain))
        if best.gain <= 0:
            leaves.append(best)
            break
        left, goes_left = len(nodes), codes[best.rows, best.feature] <= best.code
        nodes[best.node] = [best.feature, best.code, left, 0.0]
        nodes += [[-1, 0, 0, 0.0], [-1, 0, 0, 0.0]]
        leaves += _split(best, best.rows[goes_left], best.rows[~goes_left], left, places, gradient, curvature)
    for leaf in leaves:
        nodes[leaf.node][3] = RATE * leaf.value
    table = np.array(nodes)
    whole = table[:, :3].astype(np.int64)
    return _Tree(whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3])


def _split(
    leaf: _Leaf, left: Codes, right: Codes, node: int, places: Codes, gradient: Numbers, curvature: Numbers
) -> tuple[_Leaf, _Leaf]:
    """The two leaves that a leaf becomes. Only the smaller one is summed; the other one has the rest."""
    small = left if len(left) <= len(right) else right
    its = _sums(places[small], gradient[small], curvature[small])
    rest = leaf.sums.without(its)
    of_left, of_right = (its, rest) if small is left else (rest, its)
    return _leaf(left, of_left, node), _leaf(right, of_right, node + 1)


def _leaf(rows: Codes, sums: _Sums, node: int) -> _Leaf:
    slopes, curves, counts = sums
    total, bends = float(slopes[0, -1]), float(curves[0, -1]) + SHRINKAGE
    own = total**2 / bends
    gains = slopes**2 / (curves + SHRINKAGE) + (total - slopes) ** 2 / (bends - curves) - own
    gains[(counts < LEAST_ROWS) | (len(rows) - counts < LEAST_ROWS)] = 0.0
    feature, code = np.unravel_index(int(np.argmax(gains)), gains.shape)
    return _Leaf(rows, sums, total / bends, float(gains[feature, code]), int(feature), int(code), node)


def _sums(places: Codes, slope: Numbers, bend: Numbers) -> _Sums:
    """The sums of some rows, `places` telling for each feature where in all bins a row belongs."""
    width, at = places.shape[1], places.ravel()

    def up_to_each(weights: Numbers) -> Numbers:
        found = np.bincount(at, np.repeat(weights, width), BINS * width).reshape(width, BINS)
        return np.cumsum(found, axis=1, dtype=np.float64)

    return _Sums(up_to_each(slope), up_to_each(bend), up_to_each(np.ones(len(slope))))
