"""Classes of others: found in files, in modules, and by the names that packages register."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from moireloop_optimizer.generators.source import GeneratorUnusable, generator_class, registered_names, why_unknown
from tests.helpers.installed import install


def test_class_in_a_file(tmp_path: Path) -> None:
    """The file is run again each time, so that an edit takes effect; nothing is left beside the file."""
    for number in (1, 2):
        (tmp_path / "own.py").write_text(f"class Mine:\n    number = {number}\n")
        found = generator_class(f"{tmp_path}/own.py:Mine")
        assert getattr(found, "number", None) == number
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


def test_class_in_a_module() -> None:
    """Of any installed package."""
    assert generator_class("fractions:Fraction") is Fraction


def test_registered_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name under which its package registers it in the group moireloop.strategies."""
    folder = install(tmp_path, "climbers", "class Hill: ...\n", {"hill": "climbers:Hill"}, group="moireloop.strategies")
    monkeypatch.syspath_prepend(folder)
    assert registered_names() == ["hill"]
    assert getattr(generator_class("hill"), "__name__", None) == "Hill"
    assert why_unknown("hill") is None
    assert "did you mean 'hill'?" in str(why_unknown("Hil"))


def test_package_that_misses_another_says_so(tmp_path: Path) -> None:
    """What is not there is what its import wants, not the class's own module."""
    (tmp_path / "own.py").write_text("import no_such_thing\n")
    with pytest.raises(
        GeneratorUnusable, match="cannot be loaded: ModuleNotFoundError: No module named 'no_such_thing'"
    ):
        generator_class(f"{tmp_path}/own.py:Mine")


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("no_such_package:Mine", "expected a module that is installed, got no_such_package"),
        ("fractions.no_such:Mine", "expected a module that is installed, got fractions.no_such"),
        ("nobody", "expected one of auto, qei, .* got 'nobody'"),
        ("Thomson", r"did you mean 'thompson'\?"),
        ("math:pi", "expected a class at math:pi, got float"),
    ],
)
def test_what_is_not_there_is_reported(strategy: str, message: str) -> None:
    """With what was expected, and the nearest name."""
    with pytest.raises(GeneratorUnusable, match=message):
        generator_class(strategy)
