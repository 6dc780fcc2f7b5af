"""Analyzers are found by the entry points of installed packages, and only those that are asked for are imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moireloop_analyzer.plugins.registry import AnalyzerUnusable, load_analyzer
from tests.helpers.installed import install

MODULE = """
from moireloop_analyzer import Analysis


def count_atoms(snapshot):
    return Analysis(numbers={"atoms_count": len(snapshot.types)})


LIMIT = {"a": 1}
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good package, one that cannot be imported, and two that register the same name."""
    good = {"count_atoms": "atom_counts:count_atoms", "limit": "atom_counts:LIMIT", "gone": "atom_counts:gone"}
    install(tmp_path, "atom_counts", MODULE, good)
    install(tmp_path, "broken_counts", "import no_such_module_at_all", {"broken": "broken_counts:f"})
    install(tmp_path, "first_counts", MODULE, {"twice": "first_counts:count_atoms"})
    install(tmp_path, "second_counts", MODULE, {"twice": "second_counts:count_atoms"})
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_analyzer_is_loaded_by_its_name(packages: Path) -> None:
    """Its package is imported, and none that was not asked for."""
    assert load_analyzer("count_atoms").__name__ == "count_atoms"
    assert "first_counts" not in sys.modules


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cuont_atoms", "got 'cuont_atoms'; did you mean 'count_atoms'?"),
        ("zzz", "got 'zzz'; there are broken, count_atoms, diffraction, gone, limit,"),
        ("broken", "broken_counts:f (analyzer 'broken') cannot be loaded: ModuleNotFoundError: No module named"),
        ("gone", "atom_counts:gone (analyzer 'gone') cannot be loaded: AttributeError: "),
        ("limit", "expected a function at atom_counts:LIMIT (analyzer 'limit'), got dict"),
        ("twice", "expected one analyzer 'twice', got first_counts:count_atoms and second_counts:count_atoms"),
    ],
)
def test_what_cannot_be_used_is_reported(packages: Path, name: str, reason: str) -> None:
    """An unknown name with the nearest known one; what is wrong with a package in its own words."""
    with pytest.raises(AnalyzerUnusable) as caught:
        load_analyzer(name)
    assert reason in str(caught.value)
