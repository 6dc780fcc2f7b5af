"""Recipes: all runs of one set of parameters, how surely they give a target, and which recipes are alike (pure)."""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from moireloop.kept.columns import RunColumns
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target, regret_deg
from moireloop_optimizer.repeats.hit_probability import HitProbability, Labels, Repeats, equal_rows, repeats_of
from moireloop_optimizer.runs import is_within

CLUSTER_SIDE: Final = 0.25
"""Recipes of one cluster differ by no more than this share of the search space's range in any parameter."""

LACKING: Final = 2.0

MOST_LINKED: Final = 2000

JOINED_AT_ONCE: Final = 256

ROUNDING_DEG: Final = 1e-8
"""More than the regrets of two recipes can differ that count as equal in their ranks."""

Bounds = Mapping[str, tuple[float, float]]

Rank = tuple[bool, float, float, float, float, float]


@dataclass(frozen=True)
class Recipe:
    """All runs of one set of parameters, as a way to reach a target.

    `result` is the run nearest to the target. The twist is the median over the runs that hit, and its error the median
    of their errors. For a recipe that never hit, both come from the nearest run. `again` are the runs after the first
    hit. `cluster` is empty for a recipe that never hit, or while clusters were not asked for.
    """

    runs: tuple[Result, ...]
    target: Target
    result: Result
    twist_deg: float
    sigma_deg: float | None
    hits: int
    again: HitProbability
    cluster: str = ""

    @property
    def recipe_id(self) -> str:
        """Id of the candidate that was its first run."""
        return self.runs[0].candidate.candidate_id

    @property
    def regret_deg(self) -> float:
        """Distance of the recipe's twist from the target, in degrees."""
        return regret_deg(self.twist_deg, self.target)

    @property
    def within_tolerance(self) -> bool:
        """Whether a run of it hit the target."""
        return self.hits > 0


@dataclass(frozen=True)
class RecipeRuns:
    """Measured and refused results: number of the recipe, twist and its error, time, each (N,), NaN where not known.

    Results of equal parameters are one recipe. One with the seed of an earlier run of its recipe is that run once
    more, of which nothing is learnt: it is in `copies` and not among the runs. `place` (N,) is where a run stands among
    `all_results`, which are looked at no more than needed: they may be packed.
    """

    all_results: Sequence[Result]
    place: Labels
    label: Labels
    twist_deg: npt.NDArray[np.float64]
    sigma_deg: npt.NDArray[np.float64]
    logged_s: npt.NDArray[np.float64]
    copied: tuple[Labels, Labels]
    _ranked: dict[tuple[object, ...], list[Recipe]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.place)

    def run(self, row: int) -> Result:
        """The result in a row."""
        return self.all_results[int(self.place[row])]

    @property
    def results(self) -> tuple[Result, ...]:
        """The runs, in their order."""
        return tuple(self.all_results[place] for place in self.place.tolist())

    @property
    def copies(self) -> tuple[tuple[Result, int], ...]:
        """Results that are an earlier run once more, each with the number of its recipe."""
        places, labels = self.copied
        return tuple(
            (self.all_results[place], label) for place, label in zip(places.tolist(), labels.tolist(), strict=True)
        )

    def ranking(self, target: Target, bounds: Bounds) -> list[Recipe]:
        """All recipes with their clusters, as `recipes_of` has them; made once."""
        key = (target.twist_deg, target.tolerance_deg, *bounds.items())
        if key not in self._ranked:
            self._ranked[key] = recipes_of(self, target, bounds)
        return self._ranked[key]

    @property
    def groups(self) -> list[tuple[Result, ...]]:
        """The runs of each recipe, in their order."""
        found: list[list[Result]] = [[] for _ in range(int(self.label.max(initial=-1)) + 1)]
        for result, number in zip(self.results, self.label.tolist(), strict=True):
            found[number].append(result)
        return [tuple(runs) for runs in found]


def recipe_runs(results: Iterable[Result]) -> RecipeRuns:
    """Which results are runs of which recipe, in the order in which they came."""
    listed = results if isinstance(results, Sequence) else list(results)
    return runs_in(RunColumns.of(listed), listed)


def runs_in(columns: RunColumns, results: Sequence[Result]) -> RecipeRuns:
    """The same, by the columns of the results."""
    place, label = np.array(columns.place, dtype=np.intp), equal_rows(_scaled(columns))
    seed = np.array(columns.seed, dtype=np.int64)
    order = np.lexsort((seed, label))
    is_again = (np.diff(label[order], prepend=-1) == 0) & (np.diff(seed[order], prepend=-1) == 0)
    is_copy = np.zeros(len(label), dtype=np.bool_)
    is_copy[order] = is_again
    kept = ~is_copy
    twist_deg, sigma_deg, logged_s = (np.array(each)[kept] for each in (
        columns.twist_deg, columns.sigma_deg, columns.logged_s
    ))  # fmt: skip
    return RecipeRuns(
        results, place[kept], label[kept], twist_deg, sigma_deg, logged_s, (place[is_copy], label[is_copy])
    )


def recipes_of(
    ran: RecipeRuns, target: Target, bounds: Bounds | None = None, *, n: int | None = None, only_hits: bool = False
) -> list[Recipe]:
    """The recipes with a measured run, the most reliable first.

    Those that hit go by the lower end of their probability's interval, then by the upper one (so that one that was
    not repeated stands before one that was in vain), then by regret. Those that never hit follow, by regret.

    Args:
        bounds: of the search space, which define clusters; without them there are none.
        n: how many are wanted, all by default; a few of thousands are found faster.
        only_hits: leave out those that never hit.
    """
    repeats = repeats_of(ran.label, is_within(ran.twist_deg, target))
    numbers, rows = _nearest_runs(ran, target)
    chosen = repeats.first_hit[numbers] >= 0 if only_hits else np.ones(len(numbers), dtype=np.bool_)
    if n is not None:
        chosen[chosen] = _contend(ran, numbers[chosen], rows[chosen], target, repeats, n)
    ranked = sorted(_ranked(ran, numbers[chosen], rows[chosen], target, repeats), key=lambda one: one.rank)[:n]
    found = _recipes(ran, ranked, target, repeats)
    return found if bounds is None else _clustered(found, bounds)


def best_recipes(results: Iterable[Result] | RecipeRuns, target: Target, n: int) -> list[Recipe]:
    """The n most reliable recipes for a target, without clusters, by the results or their recipes."""
    return recipes_of(results if isinstance(results, RecipeRuns) else recipe_runs(results), target, n=n)


def cluster_leaders(recipes: Sequence[Recipe]) -> dict[str, Recipe]:
    """The best recipe of each cluster by the cluster's name, in order, of recipes in the order of their ranks."""
    leaders: dict[str, Recipe] = {}
    for recipe in recipes:
        if recipe.cluster:
            leaders.setdefault(recipe.cluster, recipe)
    return leaders


def clusters_first(recipes: Sequence[Recipe]) -> list[Recipe]:
    """The best recipe of each cluster, then the others, each in the order of their ranks."""
    leaders = {recipe.recipe_id for recipe in cluster_leaders(recipes).values()}
    return sorted(recipes, key=lambda recipe: recipe.recipe_id not in leaders)


def repeat_ids(ran: RecipeRuns) -> frozenset[str]:
    """Candidate ids of the runs of a recipe that had been run before."""
    again = (result.candidate.candidate_id for runs in ran.groups for result in runs[1:])
    return frozenset(again) | {result.candidate.candidate_id for result, _ in ran.copies}


def recipe_by_run(ran: RecipeRuns, targets: Sequence[Target], bounds: Bounds) -> dict[str, Recipe]:
    """The recipe of each run, by the run's candidate id, for the target that the recipe hit most, else the nearest."""
    best: dict[str, Recipe] = {}
    for target in targets:
        for recipe in ran.ranking(target, bounds):
            known = best.setdefault(recipe.recipe_id, recipe)
            if (-recipe.hits, recipe.regret_deg) < (-known.hits, known.regret_deg):
                best[recipe.recipe_id] = recipe
    of_group = [best.get(runs[0].candidate.candidate_id) for runs in ran.groups]
    members = [*zip(ran.results, ran.label.tolist(), strict=True), *ran.copies]
    return {
        result.candidate.candidate_id: recipe
        for result, number in members
        if (recipe := of_group[number]) is not None
    }  # fmt: skip


def clusters_of(points: npt.NDArray[np.float64], side: float = CLUSTER_SIDE) -> Labels:
    """Which of (N, d) points are alike: (N,) numbers of clusters, counted up in the order of their first points.

    Complete linkage by the largest difference in a coordinate: each cluster fits into a cube of that side. Linkage
    takes memory by the square of the points: those after the first MOST_LINKED join the first cluster in which they
    fit, or begin another.
    """
    if len(points) > MOST_LINKED:
        return _joined(points, clusters_of(points[:MOST_LINKED], side), side)
    if len(points) < 2:
        return np.zeros(len(points), dtype=np.intp)
    from scipy.cluster.hierarchy import fcluster, linkage  # for tables: `moireloop status` tells no clusters

    labels = fcluster(linkage(points, "complete", metric="chebyshev"), side, criterion="distance")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([numbers[name] for name in labels.tolist()], dtype=np.intp)


def _joined(points: npt.NDArray[np.float64], first: Labels, side: float) -> Labels:
    """The clusters of all points, given the clusters of the first ones.

    Points are looked at in blocks. A cluster only grows, so that a point which did not fit when its block was begun
    does not fit later; where it did fit, it is looked at again if the cluster has grown since.
    """
    count = int(first.max()) + 1
    low = [points[: len(first)][first == number].min(axis=0).tolist() for number in range(count)]
    high = [points[: len(first)][first == number].max(axis=0).tolist() for number in range(count)]
    labels = first.tolist()
    for begin in range(len(first), len(points), JOINED_AT_ONCE):
        block = points[begin : begin + JOINED_AT_ONCE]
        reach = np.maximum(np.array(high), block[:, None]) - np.minimum(np.array(low), block[:, None])
        fits = reach.max(axis=2) <= side
        for point, known in zip(block.tolist(), fits, strict=True):
            candidates = [*np.flatnonzero(known).tolist(), *range(len(known), len(low))]
            number = next((one for one in candidates if _fits(point, low[one], high[one], side)), len(low))
            if number == len(low):
                low.append(point)
                high.append(point)
            else:
                low[number] = list(map(min, low[number], point))
                high[number] = list(map(max, high[number], point))
            labels.append(number)
    return np.array(labels, dtype=np.intp)


def _fits(point: Sequence[float], low: Sequence[float], high: Sequence[float], side: float) -> bool:
    """Whether a cluster with this point would still fit into a cube."""
    return all(max(top, x) - min(bottom, x) <= side for x, bottom, top in zip(point, low, high, strict=True))


def cluster_name(number: int) -> str:
    """A for 0, B for 1, ... Z, AA, AB, ..."""
    rest, letter = divmod(number, len(string.ascii_uppercase))
    return (cluster_name(rest - 1) if rest else "") + string.ascii_uppercase[letter]


def cluster_sizes(recipes: Iterable[Recipe]) -> tuple[Counter[str], Counter[str]]:
    """How many recipes, and how many runs of theirs, each cluster has."""
    sizes: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for recipe in recipes:
        if recipe.cluster:
            sizes[recipe.cluster] += 1
            runs[recipe.cluster] += len(recipe.runs)
    return sizes, runs


def _scaled(columns: RunColumns) -> npt.NDArray[np.float64]:
    """Parameters (N, d), each over its largest absolute value, so that rounding is distinguished from a difference."""
    values = np.array([*columns.parameters.values()], dtype=np.float64).reshape(len(columns.parameters), len(columns)).T
    largest = np.nan_to_num(np.abs(values)).max(axis=0, initial=0.0)
    return np.nan_to_num(values / np.where(largest > 0, largest, 1.0), nan=LACKING)


def _nearest_runs(ran: RecipeRuns, target: Target) -> tuple[Labels, Labels]:
    """Recipes with a measured run, that with the farthest run first, and the row of each one's nearest, the earliest
    of equals.
    """
    regret = np.abs(ran.twist_deg - target.twist_deg)
    order = np.argsort(regret, kind="stable")
    order = order[np.isfinite(regret[order])]
    label = ran.label[order]
    nearest, farthest = np.full((2, int(ran.label.max(initial=-1)) + 1), -1)
    nearest[label[::-1]], farthest[label] = order[::-1], np.arange(len(order))
    numbers = np.flatnonzero(nearest >= 0)
    numbers = numbers[np.argsort(-farthest[numbers])]
    return numbers, nearest[numbers]


def _contend(
    ran: RecipeRuns, numbers: Labels, rows: Labels, target: Target, repeats: Repeats, n: int
) -> npt.NDArray[np.bool_]:
    """Which recipes the n best are among: those that hit by their intervals, the others by their nearest runs."""
    if n >= len(numbers):
        return np.ones(len(numbers), dtype=np.bool_)
    low, high = (-end[numbers] for end in repeats.interval)
    hit, regret = repeats.first_hit[numbers] >= 0, np.abs(ran.twist_deg[rows] - target.twist_deg)
    first, second = np.where(hit, low, regret), np.where(hit, high, 0.0)
    last = np.lexsort((second, first, ~hit))[n - 1]
    if not hit[last]:
        return np.asarray(hit | (first <= first[last] + ROUNDING_DEG), dtype=np.bool_)
    chosen: npt.NDArray[np.bool_] = hit & ((first < first[last]) | ((first == first[last]) & (second <= second[last])))
    return chosen


class _Ranked(NamedTuple):
    """A recipe by its number: its rank, the row of its nearest run, its twist and the error of that."""

    rank: Rank
    number: int
    row: int
    twist_deg: float
    sigma_deg: float | None


def _ranked(ran: RecipeRuns, numbers: Labels, rows: Labels, target: Target, repeats: Repeats) -> Iterator[_Ranked]:
    medians, (low, high) = _medians(ran, target), repeats.interval
    for number, row in zip(numbers.tolist(), rows.tolist(), strict=True):
        alone = float(ran.twist_deg[row]), _known(float(ran.sigma_deg[row]))
        twist_deg, sigma_deg = medians.get(number, alone)
        has_hit = bool(repeats.first_hit[number] >= 0)
        surety = (-float(low[number]), -float(high[number])) if has_hit else (0.0, 0.0)
        regret = round(regret_deg(twist_deg, target), 9)
        rank = (not has_hit, *surety, regret, math.inf if sigma_deg is None else sigma_deg, float(ran.logged_s[row]))
        yield _Ranked(rank, number, row, twist_deg, sigma_deg)


def _medians(ran: RecipeRuns, target: Target) -> dict[int, tuple[float, float | None]]:
    """For each recipe that hit: the median twist of its hits, and the median of their known errors."""
    hits: dict[int, list[int]] = {}
    for row in np.flatnonzero(is_within(ran.twist_deg, target)).tolist():
        hits.setdefault(int(ran.label[row]), []).append(row)
    return {
        number: (median(ran.twist_deg[rows].tolist()), _median_known(ran.sigma_deg[rows].tolist()))
        for number, rows in hits.items()
    }


def _median_known(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _recipes(ran: RecipeRuns, ranked: Sequence[_Ranked], target: Target, repeats: Repeats) -> list[Recipe]:
    """The recipes that were ranked, in this order, with all their runs."""
    order = np.argsort(ran.label, kind="stable")
    first, end = (np.searchsorted(ran.label[order], [one.number for one in ranked], side) for side in ("left", "right"))
    found = []
    for one, begins, ends in zip(ranked, first.tolist(), end.tolist(), strict=True):
        again = HitProbability(int(repeats.hits[one.number]), int(repeats.trials[one.number]))
        hits = again.hits + int(repeats.first_hit[one.number] >= 0)
        runs = tuple(ran.run(row) for row in order[begins:ends].tolist())
        found.append(Recipe(runs, target, ran.run(one.row), one.twist_deg, one.sigma_deg, hits, again))
    return found


def _clustered(ranked: Sequence[Recipe], bounds: Bounds) -> list[Recipe]:
    hit = [recipe for recipe in ranked if recipe.hits and bounds.keys() <= recipe.result.candidate.parameters.keys()]
    rows = [
        [(recipe.result.candidate.parameters[name] - low) / (high - low) for name, (low, high) in bounds.items()]
        for recipe in hit
    ]
    numbers = clusters_of(np.array(rows, dtype=np.float64).reshape(len(hit), len(bounds)))
    names = {recipe.recipe_id: cluster_name(number) for recipe, number in zip(hit, numbers.tolist(), strict=True)}
    return [replace(recipe, cluster=names.get(recipe.recipe_id, "")) for recipe in ranked]
