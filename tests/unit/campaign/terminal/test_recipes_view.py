"""The table of the best recipes, and the line about each target."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.table import Table

from moireloop.terminal.recipes_table import probability_text, recipes_table, target_lines, width_of
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_optimizer.repeats.hit_probability import HitProbability
from tests.unit.campaign.conftest import MakeResult

NEAR = Target(twist_deg=8.2, tolerance_deg=0.3)
FAR = Target(twist_deg=21.8, tolerance_deg=0.5)
BOUNDS = {"temperature_k": (1500.0, 4500.0), "lattice_strain": (0.0, 0.05)}


def test_recipes_are_shown_with_their_wavelength(make_result: MakeResult) -> None:
    """The table names candidate, parameters with units, twist, error and wavelength."""
    console = Console(width=160)
    with console.capture() as captured:
        console.print(recipes_table([make_result(1, twist_deg=8.0), make_result(2)], [NEAR, FAR], BOUNDS))
    text = captured.get()
    for piece in ("c-0001", "temperature (K)", "2000", "8.000 ± 0.050", "0.20", "22.7", "yes", "21.8 ± 0.5", "no"):
        assert piece in text
    assert "c-0002" not in text


PARAMETERS = {"temperature_k": 2373.4, "lattice_strain": 0.00036123, "shear_strain": 0.188612}
SPACE = {**BOUNDS, "shear_strain": (0.06, 0.3)}
ALIKE = {**PARAMETERS, "temperature_k": 2374.4}
ELSEWHERE = {**PARAMETERS, "temperature_k": 4444.4}


def shown(table: Table, width: int) -> str:
    """The table as a terminal of this width shows it."""
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


@pytest.mark.parametrize(("width", "gone"), [(200, []), (80, []), (72, ["moiré"]), (54, ["moiré", "error", "shear"])])
def test_recipes_fit_the_terminal(make_result: MakeResult, width: int, gone: list[str]) -> None:
    """No number is cut or wrapped; what is least important goes first, and never the hit."""
    results = [make_result(1, twist_deg=8.0, sigma_deg=0.12, parameters=PARAMETERS)]
    results.append(make_result(2, twist_deg=8.0, sigma_deg=0.12, parameters=ELSEWHERE))
    table = recipes_table(results, [NEAR], SPACE, width=width)
    assert width_of(table) <= width
    text = shown(table, width)
    assert "…" not in text
    assert [line.split()[-1] for line in text.splitlines() if "c-000" in line] == ["yes", "yes"]
    assert text.count("8.00 ± 0.12") == 2
    assert [word for word in ("moiré", "error", "shear") if word not in text] == gone
    assert ("results.csv" in text) == bool(gone)


def repeated(make_result: MakeResult) -> list[Result]:
    """Two recipes that are alike, of which one was repeated four times, and one elsewhere."""
    twists = [8.0, 8.0, 8.0, 16.3, 8.0]
    results = [
        make_result(number, twist_deg=twist, sigma_deg=0.12, parameters=PARAMETERS)
        for number, twist in enumerate(twists)
    ]
    results.append(make_result(7, twist_deg=8.0, sigma_deg=0.12, parameters=ALIKE))
    results.append(make_result(8, twist_deg=8.3, sigma_deg=0.12, parameters=ELSEWHERE))
    return results


@pytest.mark.parametrize(
    ("width", "seen"),
    [
        (200, ["A +1, 6 runs", "moiré", "error", "shear", "3/4 0.75 (0.28-0.97)"]),
        (100, ["error", "shear", "3/4 0.75 (0.28-0.97)"]),
        (80, ["shear", "3/4 (0.28-0.97)"]),
        (72, ["shear", "3/4 (0.28-0.97)"]),
        (62, ["lattice", "3/4"]),
        (44, ["3/4"]),
    ],
)
def test_repeated_recipes_fit_the_terminal(make_result: MakeResult, width: int, seen: list[str]) -> None:
    """Hits of the repeats and cluster are always there; share, interval, size and others where there is room."""
    table = recipes_table(repeated(make_result), [NEAR], SPACE, width=width)
    assert width_of(table) <= width
    text = shown(table, width)
    assert "…" not in text
    for piece in ("c-0000 A", "c-0008 B", "c-0007 A", "yes 3/4", *seen):
        assert piece in text
    assert text.index("c-0000") < text.index("c-0008") < text.index("c-0007")


def test_what_was_not_repeated_has_no_probability(make_result: MakeResult) -> None:
    """Neither a column nor a number for it."""
    table = recipes_table([make_result(1, twist_deg=8.0)], [NEAR], BOUNDS)
    assert "again" not in shown(table, 160)
    assert probability_text(HitProbability(0, 0)) == ""
    assert probability_text(HitProbability(4, 4)) == "4/4 1.00 (0.56-1.00)"


def test_each_target_has_its_own_line(make_result: MakeResult) -> None:
    """With its regret, its hits, the sample that hit first, and the best recipe where one was repeated."""
    results = [make_result(10), make_result(11, outcome="cancelled"), *repeated(make_result)]
    assert target_lines(results, [NEAR, FAR]) == [
        "target 8.2°: regret 0.10°; 6 hits in 8 results, the first at 2; best recipe c-0000, "
        "again 3/4 0.75 (0.28-0.97)",
        "target 21.8°: regret 5.50°; 0 hits in 8 results",
    ]
    assert target_lines([make_result(10)], [NEAR]) == ["target 8.2°: no result with a twist yet"]


def test_recipes_of_runs_ended_early_are_marked(make_result: MakeResult) -> None:
    """With a star and what it means; without such runs there is neither."""
    whole, early = make_result(1, twist_deg=8.0), make_result(2, twist_deg=8.1, ended="settled")
    console = Console(width=160)
    with console.capture() as captured:
        console.print(recipes_table([whole, early], [NEAR], BOUNDS))
    text = captured.get()
    assert "c-0002* " in text
    assert "c-0001* " not in text
    assert "* ended early" in text
    assert recipes_table([whole], [NEAR], BOUNDS).caption is None


def test_recipes_of_nothing_say_so() -> None:
    """Without a measured result the table says that there is none."""
    console = Console(width=160)
    with console.capture() as captured:
        console.print(recipes_table([], [NEAR], BOUNDS))
    assert "no result with a twist yet" in captured.get()
