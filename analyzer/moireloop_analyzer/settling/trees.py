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

ROUNDS: Final = 80

RATE: Final = 0.05

LEAVES: Final = 6

LEAST_ROWS: Final = 60
"""Fewest rows of a leaf: one and a half whole runs of forty frames."""

SHRINKAGE: Final = 5.0

LARGEST_LOGIT: Final = 30.0


class _Leaf(NamedTuple):
    """Rows of a leaf, its value, its best split (gain, feature, code: those up to it go left), and where it hangs."""

    rows: Codes
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
    weights = weights / weights.mean()
    share = float(np.clip(np.average(outcomes, weights=weights), 1e-3, 1 - 1e-3))
    base = float(np.log(share / (1 - share)))
    logits, trees = np.full(len(outcomes), base), []
    for _ in range(ROUNDS):
        probability = _probability(logits)
        tree = _grown(codes, weights * (outcomes - probability), weights * probability * (1 - probability))
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


def _grown(codes: Codes, gradient: Numbers, curvature: Numbers) -> _Tree:
    """A tree that always splits the leaf which gains most by it."""
    nodes: list[list[float]] = [[-1, 0, 0, 0.0]]
    leaves = [_leaf(np.arange(len(codes)), codes, gradient, curvature, 0)]
    while len(leaves) < LEAVES:
        best = leaves.pop(max(range(len(leaves)), key=lambda number: leaves[number].gain))
        if best.gain <= 0:
            leaves.append(best)
            break
        left, goes_left = len(nodes), codes[best.rows, best.feature] <= best.code
        nodes[best.node] = [best.feature, best.code, left, 0.0]
        nodes += [[-1, 0, 0, 0.0], [-1, 0, 0, 0.0]]
        for node, rows in ((left, best.rows[goes_left]), (left + 1, best.rows[~goes_left])):
            leaves.append(_leaf(rows, codes, gradient, curvature, node))
    for leaf in leaves:
        nodes[leaf.node][3] = RATE * leaf.value
    table = np.array(nodes)
    whole = table[:, :3].astype(np.int64)
    return _Tree(whole[:, 0], whole[:, 1], whole[:, 2], table[:, 3])


def _leaf(rows: Codes, codes: Codes, gradient: Numbers, curvature: Numbers, node: int) -> _Leaf:
    slope, bend = gradient[rows], curvature[rows]
    total, bends = float(slope.sum()), float(bend.sum()) + SHRINKAGE
    own = total**2 / bends
    slopes, curves, counts = _sums(codes[rows], slope, bend)
    right_count = len(rows) - counts
    gains = slopes**2 / (curves + SHRINKAGE) + (total - slopes) ** 2 / (bends - curves) - own
    gains[(counts < LEAST_ROWS) | (right_count < LEAST_ROWS)] = 0.0
    feature, code = np.unravel_index(int(np.argmax(gains)), gains.shape)
    return _Leaf(rows, total / bends, float(gains[feature, code]), int(feature), int(code), node)


def _sums(codes: Codes, slope: Numbers, bend: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Sums of slope, bend and rows over all codes up to each one, (d, BINS) for each feature."""
    width = codes.shape[1]
    places = (codes + BINS * np.arange(width)).ravel()
    return tuple(  # type: ignore[return-value]
        np.cumsum(np.bincount(places, np.repeat(weights, width), minlength=BINS * width).reshape(width, BINS), axis=1)
        for weights in (slope, bend, np.ones(len(codes)))
    )
