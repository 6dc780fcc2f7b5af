"""One strategy against another, search by search: searches of one repetition share initial points and runs (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.table import Table

BUDGET: Final = 120
"""Samples of a search."""

RESAMPLES: Final = 4000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """One search: by whom, where, for which twist, and which repetition it is."""

    who: str
    landscape: str
    target_deg: float
    repetition: int


@dataclass(frozen=True)
class Difference:
    """A number and the 95 % interval of it over drawings of the searches with replacement."""

    value: float
    low: float
    high: float

    def text(self, unit: str = "", scale: float = 1.0) -> str:
        """As a cell of the table."""
        value, low, high = (scale * one for one in (self.value, self.low, self.high))
        return f"{value:+.1f}{unit} ({low:+.1f} to {high:+.1f})"


@dataclass(frozen=True)
class Paired:
    """One strategy less another over `searches` pairs: medians and means of samples, and shares that hit.

    A search that never hit counts as one sample more than the budget. `same` is the share of pairs that end alike.
    """

    searches: int
    same: float
    median: Difference
    mean: Difference
    reached: Difference


def paired(found: Mapping[Search, int | None], who: str, other: str, names: Sequence[str]) -> Paired | None:
    """Compare on landscapes of these names; pairs are drawn within each landscape. None where there is no pair."""
    groups = [_pairs(found, who, other, name) for name in names]
    groups = [pairs for pairs in groups if len(pairs)]
    if not groups:
        return None
    rng = np.random.default_rng(0)
    drawn = [
        _differences(np.concatenate([pairs[rng.integers(len(pairs), size=len(pairs))] for pairs in groups]))
        for _ in range(RESAMPLES)
    ]
    whole = np.concatenate(groups)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    median, mean, reached = map(Difference, _differences(whole), low.tolist(), high.tolist())
    return Paired(len(whole), float((whole[:, 0] == whole[:, 1]).mean()), median, mean, reached)


def _pairs(found: Mapping[Search, int | None], who: str, other: str, name: str) -> Floats:
    """(N, 2) samples of both, for each target and repetition that both have."""
    mine = {_place(one): samples for one, samples in found.items() if (one.who, one.landscape) == (who, name)}
    theirs = {_place(one): samples for one, samples in found.items() if (one.who, one.landscape) == (other, name)}
    both = sorted(mine.keys() & theirs.keys())
    counted = [[BUDGET + 1 if one is None else one for one in (mine[key], theirs[key])] for key in both]
    return np.array(counted, dtype=np.float64).reshape(-1, 2)


def _place(one: Search) -> tuple[float, int]:
    return one.target_deg, one.repetition


def _differences(pairs: Floats) -> tuple[float, float, float]:
    median, mean = np.median(pairs, axis=0), pairs.mean(axis=0)
    reached = (pairs <= BUDGET).mean(axis=0)
    return float(median[0] - median[1]), float(mean[0] - mean[1]), float(reached[0] - reached[1])


def paired_table(
    found: Mapping[Search, int | None], who: str, other: str, groups: Mapping[str, Sequence[str]]
) -> Table:
    """A row for each group of landscapes."""
    shown = Table(title=f"{who} less {other}, paired by search, 95 % intervals", title_justify="left")
    for heading in ("landscapes", "searches", "end alike", "median samples", "mean samples", "reached"):
        shown.add_column(heading)
    for name, members in groups.items():
        seen = paired(found, who, other, members)
        if seen is not None:
            shown.add_row(
                name, str(seen.searches), f"{seen.same:.0%}", seen.median.text(), seen.mean.text(),
                seen.reached.text(" %", 100.0),
            )  # fmt: skip
    return shown
