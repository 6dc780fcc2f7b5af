"""The figures are drawn for any set of results, and hold what they should."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from moireloop.figures.files import write_figures
from moireloop.figures.search import best_so_far, regret_figure, space_figure
from moireloop.results.labels import duration, label
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.folder import CampaignFolder
from tests.unit.campaign.conftest import MakeResult

TARGETS = [Target(twist_deg=8.2, tolerance_deg=0.3), Target(twist_deg=21.8, tolerance_deg=0.5)]
BOUNDS = {"temperature_k": (1500.0, 3500.0), "lattice_strain": (0.0, 0.05), "shear_strain": (0.0, 0.06),
          "quench_rate_k_per_ps": (1.0, 100.0)}  # fmt: skip
SPACE = dict(list(BOUNDS.items())[:3])
TWISTS: dict[str, list[float | None]] = {
    "none": [],
    "one": [8.3],
    "three": [0.0, 8.2, 30.0],
    "all refused": [None] * 6,
    "mixed": [2.8, None, 16.3, 8.1, None, 21.8, 0.0],
}


def results_with(make_result: MakeResult, twists: list[float | None], names: list[str]) -> list[Result]:
    """Results with these twists, spread over the search space."""
    count = max(1, len(twists))
    return [
        make_result(number, twist_deg=twist, parameters={n: a + (b - a) * number / count for n, (a, b) in BOUNDS.items()
                                                         if n in names})
        for number, twist in enumerate(twists)
    ]  # fmt: skip


def texts(figure: Figure) -> set[str]:
    """Everything that is written on a figure's axes, legends and title."""
    words = {axes.get_xlabel() for axes in figure.axes} | {axes.get_ylabel() for axes in figure.axes}
    legends = [axes.get_legend() for axes in figure.axes] + list(figure.legends)
    words |= {text.get_text() for legend in legends if legend is not None for text in legend.get_texts()}
    words |= {text.get_text() for axes in figure.axes for text in axes.texts}
    return words | {figure.get_suptitle()}


@pytest.mark.parametrize(
    ("twists", "count"),
    [*((TWISTS["mixed"], count) for count in (1, 2, 4)), *((twists, 3) for twists in TWISTS.values())],
)
def test_figures_are_written_for_any_results(
    make_result: MakeResult, tmp_path: Path, twists: list[float | None], count: int
) -> None:
    """For no, one, three, refused and mixed results, in one to four dimensions, all PNG files show something."""
    folder = CampaignFolder(tmp_path)
    folder.create()
    bounds = dict(list(BOUNDS.items())[:count])
    paths = write_figures(folder, results_with(make_result, twists, list(bounds)), bounds, TARGETS, "search")
    assert paths == (folder.regret_figure, folder.space_figure, folder.trajectories_figure)
    assert {path.name for path in folder.figures.iterdir()} == {path.name for path in paths}
    for path in paths:
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[0] > 500
        assert pixels[..., :3].std() > 0.05


def test_more_results_change_the_figures(make_result: MakeResult, tmp_path: Path) -> None:
    """Figures of other results are other pictures."""
    folder = CampaignFolder(tmp_path)
    folder.create()
    drawn = set()
    bounds = {"temperature_k": BOUNDS["temperature_k"]}
    for twists in TWISTS.values():
        regret, space, _ = write_figures(folder, results_with(make_result, twists, list(bounds)), bounds, TARGETS[:1])
        drawn |= {regret.read_bytes(), space.read_bytes()}
    assert len(drawn) == 2 * len(TWISTS)


def test_best_so_far_falls_and_never_rises() -> None:
    """It waits for the first twist, and keeps the smallest error."""
    assert best_so_far([None, 5.0, 7.0, None, 2.0, 3.0]) == [None, 5.0, 5.0, 5.0, 2.0, 2.0]


def test_regret_figure_has_a_panel_for_each_target(make_result: MakeResult) -> None:
    """Each target has its panel, named with its unit; refused results are distinguished from measured ones."""
    figure = regret_figure(results_with(make_result, TWISTS["mixed"], list(SPACE)), TARGETS, "search")
    assert texts(figure) >= {
        "distance from 8.2° (°)",
        "distance from 21.8° (°)",
        "result, in order of arrival",
        "refused, no twist",
        "best so far",
        "within tolerance",
        "search",
    }
    steps = [line for line in figure.axes[0].lines if line.get_label() == "best so far"]
    assert np.asarray(steps[0].get_ydata())[:-1].tolist() == pytest.approx([5.4, 5.4, 5.4, 0.1, 0.1, 0.1, 0.1])


def test_admitted_twists_are_marked_beside_the_colours(make_result: MakeResult) -> None:
    """One tick for each twist that the cell admits, and the label says what they are."""
    figure = space_figure(
        results_with(make_result, TWISTS["mixed"], list(SPACE)), SPACE, TARGETS, "", [0.0, 8.27, 21.8]
    )
    (bar,) = (axes for axes in figure.axes if "ticks: admitted" in axes.get_ylabel())
    assert [0.0, 8.27, 21.8] in [list(np.asarray(line.get_ydata())) for line in bar.lines]


def test_space_figure_has_a_panel_for_each_pair(make_result: MakeResult) -> None:
    """Three parameters make three panels with units, and a colour bar; refused results are crosses."""
    figure = space_figure(results_with(make_result, TWISTS["mixed"], list(SPACE)), SPACE, TARGETS)
    assert len(figure.axes) == 4
    assert texts(figure) >= {
        "temperature (K)",
        "lattice strain",
        "shear strain",
        "twist (°)",
        "refused, no twist",
        "within tolerance of a target",
    }
    crosses = [line for line in figure.axes[0].lines if line.get_label() == "refused, no twist"]
    assert np.asarray(crosses[0].get_xdata()).size == 2


def test_repeats_are_distinguished_from_new_recipes(make_result: MakeResult) -> None:
    """A run of parameters that were run before is filled; both kinds are in every panel."""
    same = {"temperature_k": 2000.0}
    results = [make_result(number, twist_deg=8.1, parameters=same) for number in (1, 2, 3)]
    results.append(make_result(4, twist_deg=16.3, parameters={"temperature_k": 2100.0}))
    for axes in regret_figure(results, TARGETS).axes:
        drawn = {str(line.get_label()): np.asarray(line.get_xdata()).tolist() for line in axes.lines}
        assert drawn["result"] == [1, 4]
        assert drawn["repeat of a recipe"] == [2, 3]


def test_best_recipe_of_each_cluster_is_named(make_result: MakeResult) -> None:
    """The first clusters of each target, at the best recipe of each, with the target where there are several."""
    points = [(1600.0, 8.2), (1650.0, 8.21), (2400.0, 8.25), (3400.0, 21.8), (2000.0, 16.3)]
    results = [
        make_result(number, twist_deg=twist, parameters={"temperature_k": k, "lattice_strain": 0.02})
        for number, (k, twist) in enumerate(points)
    ]
    bounds = dict(list(BOUNDS.items())[:2])
    names = {text.get_text(): text.xy[0] for text in space_figure(results, bounds, TARGETS).axes[0].texts}  # type: ignore[attr-defined]
    assert names == {"8.2° A": 1600.0, "8.2° B": 2400.0, "21.8° A": 3400.0}
    alone = space_figure(results, bounds, TARGETS[:1]).axes[0].texts
    assert [text.get_text() for text in alone] == ["A", "B"]


def test_result_outside_of_changed_bounds_is_in_the_picture(make_result: MakeResult) -> None:
    """A result from before the bounds were changed is still shown."""
    figure = space_figure([make_result(1, twist_deg=8.0, parameters={"temperature_k": 900.0, "lattice_strain": 0.02})],
                          {"temperature_k": (1500.0, 3500.0), "lattice_strain": (0.0, 0.05)}, TARGETS)  # fmt: skip
    low, high = figure.axes[0].get_xlim()
    assert low < 900.0
    assert high > 3500.0


def test_empty_figures_say_that_they_are_empty() -> None:
    """Before the first result the figures say so."""
    assert "no results yet" in texts(regret_figure([], TARGETS))
    assert "no results yet" in texts(space_figure([], SPACE, TARGETS))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("temperature_k", "temperature (K)"),
        ("quench_rate_k_per_ps", "quench rate (K/ps)"),
        ("shear_strain", "shear strain"),
        ("k", "k"),
    ],
)
def test_labels_have_units_in_brackets(name: str, expected: str) -> None:
    """The unit in a name becomes the unit of the label."""
    assert label(name) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-1, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (12_000, "3 h 20 min")]
)
def test_durations_are_written_as_people_do(seconds: float, expected: str) -> None:
    """Seconds, minutes and hours, rounded to what is read."""
    assert duration(seconds) == expected
