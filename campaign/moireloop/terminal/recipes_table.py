"""The table of the best recipes, as wide as the terminal allows, and a line about each target (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.table import Table

from moireloop.results.labels import label, with_error
from moireloop.results.recipes import (
    Bounds,
    Recipe,
    RecipeRuns,
    cluster_leaders,
    cluster_sizes,
    clusters_first,
    recipe_runs,
    recipes_of,
)
from moireloop.results.results import parameter_names, regret_of, wavelength_angstrom
from moireloop.terminal.console import plain_console
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_optimizer.repeats.hit_probability import HitProbability

NOTHING: Final = "no result with a twist yet"

AGAIN_NOTE: Final = (
    "again: hits in the runs after the first hit, with their 95 % interval; recipes are ranked by its low end"
)

CLUSTER_NOTE: Final = "A +N, M runs: a cluster of this recipe and N similar ones, with M runs in total"

EARLY_NOTE: Final = "* ended early: the whole run might have had another twist"

DROPPED_NOTE: Final = "more columns in results.csv"

ENDED_EARLY: Final = ("settled", "hopeless")

ANY_WIDTH: Final = 100_000

Column = tuple[str, Callable[[Recipe], str]]


@dataclass(frozen=True)
class Layout:
    """Layout of a table: digits of parameters, headings over two lines, which parameters, and further columns."""

    digits: int
    broken: bool
    parameters: tuple[str, ...]
    extras: frozenset[str]


def recipes_table(
    results: Sequence[Result],
    targets: Sequence[Target],
    bounds: Bounds,
    n: int = 5,
    width: int | None = None,
    ran: RecipeRuns | None = None,
) -> Table:
    """The n best recipes of each target, for a terminal: first the best of each cluster, then others by their rank.

    A hit is a twist within the tolerance of its target. A star marks a recipe of which a run was ended early.

    Args:
        bounds: of the search space, which define clusters.
        width: columns that there are for it. A table that is too wide has broken headings, then fewer digits; then it
            loses wavelength, size of the clusters, share of the repeats, error, standard error and interval where
            there were repeats, and parameters, one by one, the last parameter first.
        ran: the recipes of the results, where they are known already.
    """
    ran = recipe_runs(results) if ran is None else ran
    by_target = [(target, ran.ranking(target, bounds)) for target in targets]
    shown = [(target, clusters_first(recipes)[:n]) for target, recipes in by_target]
    sizes = [_sizes(recipes) for _, recipes in by_target]
    parameters = tuple(parameter_names(results))
    layouts = _layouts(parameters, _extras([recipe for _, recipes in shown for recipe in recipes]))
    for layout in layouts:
        table = _table(shown, sizes, layout)
        if (layout.parameters, layout.extras) != (parameters, layouts[0].extras):
            table.caption = "\n".join(filter(None, [str(table.caption or ""), DROPPED_NOTE]))
        if width is None or width_of(table) <= width:
            break
    return table


def target_lines(results: Sequence[Result], targets: Sequence[Target], ran: RecipeRuns | None = None) -> list[str]:
    """Progress of each target: its hits and the first of them, its regret, and how reliable its best recipe is."""
    ran = recipe_runs(results) if ran is None else ran
    counted = [result for result in results if result.counts_for_budget]
    return [_target_line(counted, target, next(iter(recipes_of(ran, target, n=1)), None)) for target in targets]


def probability_text(again: HitProbability, *, share: bool = True, interval: bool = True) -> str:
    """Hits of the repeats, their share and its interval: "3/4 0.75 (0.28-0.97)"; nothing where there were none."""
    if not again.trials:
        return ""
    low, high = again.interval
    parts = [
        f"{again.hits}/{again.trials}",
        *([f"{again.estimate:.2f}"] if share else []),
        *([f"({low:.2f}-{high:.2f})"] if interval else []),
    ]
    return " ".join(parts)


def width_of(table: Table) -> int:
    """Columns that a table takes where there is room for all of it."""
    console = plain_console(width=ANY_WIDTH)
    return console.measure(table).maximum


def was_ended_early(result: Result) -> bool:
    """Whether a run did not go through its whole schedule, as settled or hopeless."""
    return result.report is not None and result.report.ended in ENDED_EARLY


def _target_line(results: Sequence[Result], target: Target, recipe: Recipe | None) -> str:
    name = f"target {target.twist_deg:g}°"
    regrets = [regret_of(result, target) if result.informs_model else None for result in results]
    known = [regret for regret in regrets if regret is not None]
    if recipe is None or not known:
        return f"{name}: {NOTHING}"
    hits = [number for number, regret in enumerate(regrets, 1) if regret is not None and regret <= target.tolerance_deg]
    parts = [
        f"regret {min(known):.2f}°",
        f"{len(hits)} hit{'' if len(hits) == 1 else 's'} in {len(results)} results"
        + (f", the first at {hits[0]}" if hits else ""),
        *([f"best recipe {recipe.recipe_id}, again {probability_text(recipe.again)}"] if recipe.again.trials else []),
    ]
    return f"{name}: {'; '.join(parts)}"


def _extras(recipes: Sequence[Recipe]) -> list[str]:
    """Further columns besides parameters and twist, in the order in which they are dropped."""
    is_repeated = any(recipe.again.trials for recipe in recipes)
    has_clusters = any(recipe.cluster for recipe in recipes)
    return [
        "wavelength",
        *(["sizes"] if has_clusters else []),
        *(["share"] if is_repeated else []),
        "error",
        *(["sigma", "interval"] if is_repeated else []),
        *(["cluster"] if has_clusters else []),
        *(["again"] if is_repeated else []),
    ]


def _layouts(parameters: tuple[str, ...], extras: Sequence[str]) -> list[Layout]:
    """From the widest to the narrowest."""
    everything, kept = frozenset(extras), frozenset(extras) & {"cluster", "again"}
    droppable = [extra for extra in extras if extra not in kept]
    return [
        *(Layout(digits, broken, parameters, everything) for digits, broken in ((4, False), (4, True), (3, True))),
        *(Layout(3, True, parameters, everything - {*droppable[:gone]}) for gone in range(1, len(droppable) + 1)),
        *(Layout(3, True, parameters[:count], kept) for count in range(len(parameters) - 1, -1, -1)),
    ]


def _sizes(recipes: Sequence[Recipe]) -> dict[str, str]:
    """The text next to a cluster's name at its best recipe, by that recipe's id."""
    sizes, runs = cluster_sizes(recipes)
    leaders = cluster_leaders(recipes)
    return {
        leader.recipe_id: f" +{sizes[name] - 1}, {runs[name]} runs"
        for name, leader in leaders.items()
        if sizes[name] > 1
    }


def _columns(layout: Layout, sizes: dict[str, str]) -> list[Column]:
    extras = layout.extras
    name, notes = ("recipe cluster" if "cluster" in extras else "recipe"), (sizes if "sizes" in extras else {})
    columns: list[Column] = [(name, lambda recipe: _name(recipe) + notes.get(recipe.recipe_id, ""))]
    columns += [(label(name), _parameter(name, layout.digits)) for name in layout.parameters]
    has_sigma = "sigma" in extras or "again" not in extras
    columns.append(("twist (°)", lambda recipe: with_error(recipe.twist_deg, recipe.sigma_deg if has_sigma else None)))
    if "error" in extras:
        columns.append(("error (°)", lambda recipe: f"{recipe.regret_deg:.2f}"))
    if "wavelength" in extras:
        columns.append(("moiré λ (Å)", lambda recipe: _wavelength_text(recipe.result)))
    columns.append(("hit", lambda recipe: "yes" if recipe.within_tolerance else "no"))
    if "again" in extras:
        share, interval = "share" in extras, "interval" in extras
        columns.append(("again", lambda recipe: probability_text(recipe.again, share=share, interval=interval)))
    return columns


def _name(recipe: Recipe) -> str:
    star = "*" if _was_ended_early(recipe) else ""
    return f"{recipe.recipe_id}{star} {recipe.cluster}".rstrip()


def _table(shown: Sequence[tuple[Target, Sequence[Recipe]]], sizes: Sequence[dict[str, str]], layout: Layout) -> Table:
    table = Table(title="best recipes", box=box.SIMPLE_HEAD, title_justify="left", padding=0, show_edge=False)
    table.caption_justify = "left"
    for heading in ("target (°)", *(text for text, _ in _columns(layout, {}))):
        text = heading.replace(" ", "\n") if layout.broken else heading
        table.add_column(text, justify="left" if heading.startswith(("recipe", "again")) else "right", no_wrap=True)
    for (target, recipes), notes in zip(shown, sizes, strict=True):
        _add_recipes(table, target, recipes, _columns(layout, notes))
    table.caption = "\n".join(_notes([recipe for _, recipes in shown for recipe in recipes], sizes, layout)) or None
    return table


def _notes(recipes: Sequence[Recipe], sizes: Sequence[dict[str, str]], layout: Layout) -> list[str]:
    return [
        *([CLUSTER_NOTE] if "sizes" in layout.extras and any(sizes) else []),
        *([AGAIN_NOTE] if "interval" in layout.extras else []),
        *([EARLY_NOTE] if any(_was_ended_early(recipe) for recipe in recipes) else []),
    ]


def _add_recipes(table: Table, target: Target, recipes: Sequence[Recipe], columns: Sequence[Column]) -> None:
    goal = f"{target.twist_deg:g} ± {target.tolerance_deg:g}"
    if not recipes:
        table.add_row(goal, NOTHING, end_section=True)
    for number, recipe in enumerate(recipes, start=1):
        table.add_row(
            goal if number == 1 else "",
            *(text(recipe) for _, text in columns),
            end_section=number == len(recipes),
        )


def _was_ended_early(recipe: Recipe) -> bool:
    return any(was_ended_early(result) for result in recipe.runs)


def _parameter(name: str, digits: int) -> Callable[[Recipe], str]:
    def shown(recipe: Recipe) -> str:
        value = recipe.result.candidate.parameters.get(name)
        return "" if value is None else f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"

    return shown


def _wavelength_text(result: Result) -> str:
    wavelength = wavelength_angstrom(result)
    return "none" if wavelength is None else f"{wavelength:.1f}"
