"""The table of the best recipes, as wide as the terminal allows (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from moireloop.labels import label, with_error
from moireloop.results import Recipe, best_recipes, parameter_names, wavelength_angstrom
from moireloop_broker.messages import Result
from moireloop_optimizer.objective import Target

NOTHING: Final = "no result with a twist yet"
EARLY_NOTE: Final = "* ended early: its twist need not be that of the whole run"
DROPPED_NOTE: Final = "more columns in results.csv"
ENDED_EARLY: Final = ("settled", "hopeless")
ANY_WIDTH: Final = 100_000

Column = tuple[str, Callable[[Recipe], str]]


def recipes_table(results: Sequence[Result], targets: Sequence[Target], n: int = 5, width: int | None = None) -> Table:
    """The n best recipes of each target, with the moire wavelength of each, for a terminal.

    A hit is a twist within the tolerance of its target. A star marks a run that was ended early.

    Args:
        width: columns that there are for it. A table that is too wide has broken headings, then fewer digits; then it
            loses wavelength, error and parameters, one by one, the last parameter first.
    """
    parameters = parameter_names(results)
    tables = [
        (4, False, parameters, ("error", "wavelength")), (4, True, parameters, ("error", "wavelength")),
        (3, True, parameters, ("error", "wavelength")), (3, True, parameters, ("error",)),
        *((3, True, parameters[:count], ()) for count in range(len(parameters), -1, -1)),
    ]  # fmt: skip
    for digits, broken, shown, extra in tables:
        columns = _columns(shown, digits, extra)
        table = _table(results, targets, n, columns, broken=broken)
        if len(columns) < len(parameters) + 4:
            table.caption = "\n".join(filter(None, [str(table.caption or ""), DROPPED_NOTE]))
        if width is None or width_of(table) <= width:
            break
    return table


def width_of(table: Table) -> int:
    """Columns that a table takes where there is room for all of it."""
    console = Console(width=ANY_WIDTH)
    return console.measure(table).maximum


def was_ended_early(result: Result) -> bool:
    """Whether a run did not go through its whole schedule, as settled or hopeless."""
    return result.report is not None and result.report.ended in ENDED_EARLY


def _columns(parameters: Sequence[str], digits: int, extra: Sequence[str]) -> list[Column]:
    columns: list[Column] = [(label(name), _parameter(name, digits)) for name in parameters]
    columns.append(("twist (°)", _twist))
    if "error" in extra:
        columns.append(("error (°)", lambda recipe: f"{recipe.regret_deg:.2f}"))
    if "wavelength" in extra:
        columns.append(("moiré λ (Å)", lambda recipe: _wavelength_text(recipe.result)))
    return [*columns, ("hit", lambda recipe: "yes" if recipe.within_tolerance else "no")]


def _table(
    results: Sequence[Result], targets: Sequence[Target], n: int, columns: Sequence[Column], *, broken: bool
) -> Table:
    table = Table(title="best recipes", box=box.SIMPLE_HEAD, title_justify="left", padding=0, show_edge=False)
    table.caption_justify = "left"
    for heading, justify in [("target (°)", "right"), ("candidate", "left"), *((text, "right") for text, _ in columns)]:
        text = heading.replace(" ", "\n") if broken else heading
        table.add_column(text, justify="left" if justify == "left" else "right", no_wrap=True)
    for target in targets:
        recipes = best_recipes(results, target, n)
        _add_recipes(table, target, recipes, columns)
        if any(was_ended_early(recipe.result) for recipe in recipes):
            table.caption = EARLY_NOTE
    return table


def _add_recipes(table: Table, target: Target, recipes: Sequence[Recipe], columns: Sequence[Column]) -> None:
    goal = f"{target.twist_deg:g} ± {target.tolerance_deg:g}"
    if not recipes:
        table.add_row(goal, NOTHING, end_section=True)
    for number, recipe in enumerate(recipes, start=1):
        star = "*" if was_ended_early(recipe.result) else ""
        table.add_row(
            goal if number == 1 else "",
            f"{recipe.result.candidate.candidate_id}{star}",
            *(text(recipe) for _, text in columns),
            end_section=number == len(recipes),
        )


def _parameter(name: str, digits: int) -> Callable[[Recipe], str]:
    def shown(recipe: Recipe) -> str:
        value = recipe.result.candidate.parameters.get(name)
        return "" if value is None else f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"

    return shown


def _twist(recipe: Recipe) -> str:
    measured = recipe.result.measurement
    return with_error(recipe.twist_deg, measured.sigma_deg if measured else None)


def _wavelength_text(result: Result) -> str:
    wavelength = wavelength_angstrom(result)
    return "none" if wavelength is None else f"{wavelength:.1f}"
