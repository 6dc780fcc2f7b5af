"""docs/strategies.md holds: its snippets are run as they stand there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.generators.foreign import ForeignStrategy
from moireloop_optimizer.generators.source import GROUP, generator_class
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_optimizer.sobol import sobol_points

PAGE = Path(__file__).parents[4] / "docs" / "strategies.md"
TEXT = PAGE.read_text(encoding="utf-8")
SPACE = SearchSpace({"temperature_k": [1000.0, 2000.0], "lattice_strain": [0.0, 0.1]})


def blocks(language: str) -> list[str]:
    """The code blocks of one language on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("place", ["the page", "examples/own_strategy.py:LocalWalk"])
def test_classes_are_strategies(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The least that works, and the example: given eight results, they suggest points."""
    (tmp_path / "anywhere.py").write_text(blocks("python")[0])
    name = f"{tmp_path}/anywhere.py:Anywhere" if place == "the page" else f"{PAGE.parents[1]}/{place}"
    runs = Runs(sobol_points(8, 2, seed=0), np.linspace(1.0, 8.0, 8), np.full(8, np.nan))
    ours = ForeignStrategy(lambda: generator_class(name), "mine", SPACE, {}, 0)
    made = ours.suggest(3, runs, np.zeros((0, 2)), [Target(twist_deg=20.0)], index=8)
    assert made.made_by == ("mine",) * 3
    assert len(np.unique(made.points, axis=0)) == 3
    assert len(capsys.readouterr().out.splitlines()) == (8 if place == "the page" else 0)


def test_sections_are_those_of_a_campaign_file() -> None:
    """What is to be written into the campaign file can be."""
    tables = [tomllib.loads(block) for block in blocks("toml")]
    sections = [OptimizerSettings.model_validate(table["optimizer"]) for table in tables if "optimizer" in table]
    assert len(sections) == 2
    assert all(section.options for section in sections)
    assert [table["project"]["entry-points"].keys() for table in tables if "project" in table] == [{GROUP}]


@pytest.mark.slow
def test_our_generator_comes_close(capsys: pytest.CaptureFixture[str]) -> None:
    """The loop by hand ends within a degree of what it wants."""
    exec(blocks("python")[2], {})  # noqa: S102
    printed = capsys.readouterr().out.split()
    assert len(printed) == 10
    assert min(map(float, printed)) < 1.0
