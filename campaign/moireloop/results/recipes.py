"""Recipes: all runs of one set of parameters, how surely they give a target, and which recipes are alike (pure)."""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop.results.results import parameter_names
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target, regret_deg
from moireloop_optimizer.repeats.hit_probability import HitProbability, Labels, Repeats, equal_rows, repeats_of
from moireloop_optimizer.runs import is_within

CLUSTER_SIDE: Final = 0.25
"""Recipes of one cluster differ by no more than this share of the search space's range in any parameter."""

LACKING: Final = 2.0

MOST_LINKED: Final = 2000

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
    """Measured and refused results, with the number of the recipe (N,) and the twist (N,), NaN where there is none.

    Results of equal parameters are one recipe. One with the seed of an earlier run of its recipe is that run once
    more, of which nothing is learnt: it is in `copies` and not among the runs.
    """

    results: tuple[Result, ...]
    label: Labels
    twist_deg: npt.NDArray[np.float64]
    copies: tuple[tuple[Result, int], ...]

    @property
    def groups(self) -> list[tuple[Result, ...]]:
        """The runs of each recipe, in their order."""
        found: list[list[Result]] = [[] for _ in range(int(self.label.max(initial=-1)) + 1)]
        for result, number in zip(self.results, self.label.tolist(), strict=True):
            found[number].append(result)
        return [tuple(runs) for runs in found]


def recipe_runs(results: Iterable[Result]) -> RecipeRuns:
    """Which results are runs of which recipe, in the order in which they came."""
    counted = [result for result in results if result.informs_model]
    label = equal_rows(_scaled(counted))
    seen: set[tuple[int, int]] = set()
    kept: list[int] = []
    copies: list[tuple[Result, int]] = []
    for row, (result, number) in enumerate(zip(counted, label.tolist(), strict=True)):
        if (number, result.candidate.seed) in seen:
            copies.append((result, number))
            continue
        seen.add((number, result.candidate.seed))
        kept.append(row)
    twist_deg = np.array([_twist(counted[row]) for row in kept], dtype=np.float64)
    return RecipeRuns(tuple(counted[row] for row in kept), label[kept], twist_deg, tuple(copies))


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
    is_hit = is_within(ran.twist_deg, target)
    repeats = repeats_of(ran.label, is_hit)
    low, high = repeats.interval
    nearest = _nearest_runs(ran, target)
    if only_hits:
        nearest = {number: row for number, row in nearest.items() if repeats.first_hit[number] >= 0}
    medians = _medians(ran, is_hit)
    found: list[tuple[Rank, Recipe]] = []
    groups = ran.groups
    for number in nearest if n is None else _contenders(ran, nearest, target, repeats, n):
        recipe = _recipe(groups[number], target, ran.results[nearest[number]], medians.get(number), repeats, number)
        found.append((_rank(recipe, float(low[number]), float(high[number])), recipe))
    ranked = [recipe for _, recipe in sorted(found, key=lambda entry: entry[0])][:n]
    return ranked if bounds is None else _clustered(ranked, bounds)


def best_recipes(results: Iterable[Result], target: Target, n: int) -> list[Recipe]:
    """The n most reliable recipes for a target, without clusters."""
    return recipes_of(recipe_runs(results), target, n=n)


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
        for recipe in recipes_of(ran, target, bounds):
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

    found = fcluster(linkage(points, "complete", metric="chebyshev"), side, criterion="distance")
    numbers = {name: number for number, name in enumerate(dict.fromkeys(found.tolist()))}
    return np.array([numbers[name] for name in found.tolist()], dtype=np.intp)


def _joined(points: npt.NDArray[np.float64], first: Labels, side: float) -> Labels:
    """The clusters of all points, given the clusters of the first ones."""
    low = [points[: len(first)][first == number].min(axis=0) for number in range(int(first.max()) + 1)]
    high = [points[: len(first)][first == number].max(axis=0) for number in range(len(low))]
    found = first.tolist()
    for point in points[len(first) :]:
        reach = np.maximum(high, point) - np.minimum(low, point)
        fits = np.flatnonzero(reach.max(axis=1) <= side)
        if fits.size:
            number = int(fits[0])
            low[number], high[number] = np.minimum(low[number], point), np.maximum(high[number], point)
        else:
            number = len(low)
            low.append(point)
            high.append(point)
        found.append(number)
    return np.array(found, dtype=np.intp)


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


def _scaled(results: Sequence[Result]) -> npt.NDArray[np.float64]:
    """Parameters (N, d), each over its largest absolute value, so that rounding is distinguished from a difference."""
    names = parameter_names(results)
    rows = [[result.candidate.parameters.get(name, np.nan) for name in names] for result in results]
    values = np.array(rows, dtype=np.float64).reshape(len(results), len(names))
    largest = np.nan_to_num(np.abs(values)).max(axis=0, initial=0.0)
    return np.nan_to_num(values / np.where(largest > 0, largest, 1.0), nan=LACKING)


def _twist(result: Result) -> float:
    return math.nan if result.twist_deg is None else result.twist_deg


def _nearest_runs(ran: RecipeRuns, target: Target) -> dict[int, int]:
    """Of each recipe with a measured run the row of the nearest, the earliest of equals."""
    regret = np.abs(ran.twist_deg - target.twist_deg)
    order = [row for row in np.argsort(regret, kind="stable").tolist() if not math.isnan(regret[row])]
    return {int(ran.label[row]): row for row in reversed(order)}


def _contenders(ran: RecipeRuns, nearest: Mapping[int, int], target: Target, repeats: Repeats, n: int) -> list[int]:
    """Recipes among which the n best are: those that hit by their intervals, the others by their nearest runs."""
    low, high = repeats.interval
    keys = [
        (False, -low[number], -high[number])
        if repeats.first_hit[number] >= 0
        else (True, round(abs(float(ran.twist_deg[row]) - target.twist_deg), 9), 0.0)
        for number, row in nearest.items()
    ]
    last = sorted(keys)[min(n, len(keys)) - 1] if keys else None
    return [number for number, key in zip(nearest, keys, strict=True) if last is not None and key <= last]


def _medians(ran: RecipeRuns, is_hit: npt.NDArray[np.bool_]) -> dict[int, tuple[float, float | None]]:
    """For each recipe that hit: the median twist of its hits, and the median of their known errors."""
    hits: dict[int, list[int]] = {}
    for row in np.flatnonzero(is_hit).tolist():
        hits.setdefault(int(ran.label[row]), []).append(row)
    return {
        number: (median(ran.twist_deg[rows].tolist()), _median_sigma([ran.results[row] for row in rows]))
        for number, rows in hits.items()
    }


def _median_sigma(results: Sequence[Result]) -> float | None:
    known = [sigma for result in results if (sigma := _sigma(result)) is not None]
    return median(known) if known else None


def _sigma(result: Result) -> float | None:
    return result.measurement.sigma_deg if result.measurement else None


def _recipe(
    runs: tuple[Result, ...],
    target: Target,
    nearest: Result,
    of_hits: tuple[float, float | None] | None,
    repeats: Repeats,
    number: int,
) -> Recipe:
    twist_deg, sigma_deg = of_hits if of_hits is not None else (_twist(nearest), _sigma(nearest))
    again = HitProbability(int(repeats.hits[number]), int(repeats.trials[number]))
    return Recipe(
        runs, target, nearest, twist_deg, sigma_deg, again.hits + int(repeats.first_hit[number] >= 0), again
    )  # fmt: skip


def _rank(recipe: Recipe, low: float, high: float) -> Rank:
    times = recipe.result.times
    logged_s = times.logged_s if times.logged_s is not None else times.proposed_s
    surety = (-low, -high) if recipe.hits else (0.0, 0.0)
    sigma_deg = math.inf if recipe.sigma_deg is None else recipe.sigma_deg
    return (not recipe.hits, *surety, round(recipe.regret_deg, 9), sigma_deg, logged_s)


def _clustered(ranked: Sequence[Recipe], bounds: Bounds) -> list[Recipe]:
    hit = [recipe for recipe in ranked if recipe.hits and bounds.keys() <= recipe.result.candidate.parameters.keys()]
    rows = [
        [(recipe.result.candidate.parameters[name] - low) / (high - low) for name, (low, high) in bounds.items()]
        for recipe in hit
    ]
    numbers = clusters_of(np.array(rows, dtype=np.float64).reshape(len(hit), len(bounds)))
    names = {recipe.recipe_id: cluster_name(number) for recipe, number in zip(hit, numbers.tolist(), strict=True)}
    return [replace(recipe, cluster=names.get(recipe.recipe_id, "")) for recipe in ranked]
