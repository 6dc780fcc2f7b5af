"""How strategies are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from moireloop_optimizer.strategies import strategy_named
from moireloop_optimizer.strategy_names import OWN_NAMES, GeneratorPlace, generator_place, is_own, made_by


@pytest.mark.parametrize("name", OWN_NAMES)
def test_every_built_in_name_is_a_strategy(name: str) -> None:
    """What the campaign file may say is what there is."""
    assert strategy_named(name, 0) is not None
    assert is_own(name)
    assert made_by(name) == name


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("own.py:Mine", GeneratorPlace("Mine", file=Path("own.py")), "Mine"),
        ("/a b/c:d.py:Mine", GeneratorPlace("Mine", file=Path("/a b/c:d.py")), "Mine"),
        ("package.module:Outer.Inner", GeneratorPlace("Outer.Inner", module="package.module"), "Inner"),
        ("tpe-2", GeneratorPlace("tpe-2"), "tpe-2"),
        (f"own.py:{'M' * 70}", GeneratorPlace("M" * 70, file=Path("own.py")), "M" * 64),
    ],
)
def test_forms(text: str, place: GeneratorPlace, name: str) -> None:
    """A file, a module, a registered name; candidates say the class."""
    assert generator_place(text) == place
    assert made_by(text) == name


@pytest.mark.parametrize(
    "text", ["", "a b", ":Mine", "own.py:", "own-1.txt:Mine", "pack age:Mine", "own.py:M/x", "x" * 65]
)
def test_other_texts_are_refused(text: str) -> None:
    """With the forms that there are."""
    with pytest.raises(ValueError, match=r"expected one of auto, qei, .*file\.py:Class, got"):
        generator_place(text)


@pytest.mark.parametrize("name", ["initial", "sobol", "outside", "replicate", "qei"])
def test_classes_are_not_called_as_what_else_makes_candidates(name: str) -> None:
    """The results would not tell them apart."""
    with pytest.raises(ValueError, match="expected a class with a name other than"):
        made_by(f"own.py:{name}")
