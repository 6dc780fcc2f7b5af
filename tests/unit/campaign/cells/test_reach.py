"""Targets within and out of reach of a campaign's cell, and what a person reads about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from moireloop.cells.lines import target_line, warnings
from moireloop.cells.reach import MOST_CELLS, is_too_large, reach_of, shears, space_twists
from moireloop.cli import main
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_worker.models import crystal_of, growth_settings
from moireloop_worker.models.crystal import Crystal

SPACE = SearchSpace({"temperature_k": [1500.0, 4500.0], "shear_strain": [0.06, 0.3]})
CRYSTAL = Crystal((12, 12), 3.16)
EXAMPLES = Path(__file__).parents[4] / "examples"


def target(twist_deg: float, tolerance_deg: float = 0.1) -> Target:
    return Target(twist_deg=twist_deg, tolerance_deg=tolerance_deg)


def test_a_target_out_of_reach_names_the_nearest_twists_and_cells_that_do() -> None:
    """Each of these cells admits it, and no smaller one does."""
    reached, missed = reach_of(CRYSTAL, SPACE, [target(24.46), target(8.5)])
    assert reached.inside is not None
    assert reached.other == ()
    assert missed.inside is None
    assert [each.twist_deg for each in missed.nearest] == pytest.approx([8.383, 9.753], abs=0.01)
    assert [size for size, _ in missed.other] == [14, 16, 17]
    assert len(missed.other) == MOST_CELLS
    for size, twist in missed.other:
        (again,) = reach_of(Crystal((size, size), 3.16), SPACE, [target(8.5)])
        assert again.inside == twist
    for size in range(2, 14):
        (smaller,) = reach_of(Crystal((size, size), 3.16), SPACE, [target(8.5)])
        assert smaller.inside is None


def test_a_space_without_shear_has_the_unsheared_cell_alone() -> None:
    """And a narrow one its own shears."""
    assert shears(SearchSpace({"temperature_k": [300.0, 400.0]})).tolist() == [0.0]
    assert shears(SPACE)[[0, -1]].tolist() == [0.06, 0.3]


def test_the_lines() -> None:
    """A warning names the target, the nearest twists and the cells; what is in reach gets none."""
    (line,) = warnings(CRYSTAL, SPACE, (target(24.46), target(8.5)))
    assert line == (
        "warning: target 8.5 +- 0.1 degrees: out of reach of the 12 x 12 cell with layers strained by at most 3.5%; "
        "nearest 8.38 and 9.75; cells that admit it: 14 x 14 (8.55), 16 x 16 (8.51), 17 x 17 (8.43)"
    )
    assert warnings(None, SPACE, (target(8.5),)) == []
    (reached,) = reach_of(CRYSTAL, SPACE, [target(24.46)])
    assert target_line(reached, CRYSTAL, 0.035).endswith("the 12 x 12 cell admits 24.47 at 1.4% strain")


def test_which_models_say_their_crystal() -> None:
    """The bead model does with its settings; noop has no cell that a layer must fit into."""
    bead = crystal_of(growth_settings({"model": "bead", "cells": (6, 8), "lattice_angstrom": 3.0}))
    assert bead == Crystal((6, 8), 3.0)
    assert crystal_of(growth_settings({"model": "noop"})) is None


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A table with the target beside its twist, and a line for each target."""
    assert main(["cells", str(EXAMPLES / "demo.toml")]) == 0
    said = capsys.readouterr().out
    assert "8.27" in said
    assert "target 8.2 +- 0.3 degrees: the 12 x 12 cell admits 8.27 at 1.0% strain" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo.toml", "--strain", "7"], "--strain: expected a fraction above 0 and at most 0.1, got 7"),
        (["demo.toml", "--strain", "nan"], "--strain: expected a fraction above 0 and at most 0.1, got nan"),
        (["script.toml"], "growth.model: expected a growth model that says which crystal its runs start from"),
    ],
)
def test_what_the_command_refuses(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    assert main(["cells", str(EXAMPLES / arguments[0]), *arguments[1:]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_cell_too_large_to_be_counted_warns_of_nothing() -> None:
    """It admits nearly any twist: `validate` and `run` of a large campaign are not in the way of it."""
    large = Crystal((100, 100), 3.16)
    assert is_too_large(large, SPACE)
    assert not is_too_large(CRYSTAL, SPACE)
    assert space_twists(large, SPACE) == ()
    assert warnings(large, SPACE, (target(8.5),)) == []
