"""Clocks that can be set tell when something happened, never how long it took."""

from __future__ import annotations

import ast

import pytest

from tests.unit.test_house import house

SET_CLOCKS = ("time.time", "datetime.now", "datetime.utcnow", "datetime.datetime.now")


def durations_of(tree: ast.Module) -> list[int]:
    """Lines in which a time of a clock that can be set is added to, taken away, or compared."""
    return [
        node.lineno
        for outer in ast.walk(tree)
        if isinstance(outer, ast.BinOp | ast.Compare | ast.AugAssign)
        for node in ast.walk(outer)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SET_CLOCKS
    ]


@pytest.mark.parametrize("text", ["x = time.time() - began", "while time.time() < end: pass", "x = 3 + time.time()"])
def test_a_duration_by_the_wall_clock_is_found(text: str) -> None:
    """The check sees differences, deadlines and comparisons."""
    assert durations_of(ast.parse(text)) == [1]


@pytest.mark.parametrize("name", sorted(house()))
def test_no_duration_is_taken_from_a_clock_that_can_be_set(name: str) -> None:
    """Steps of the clock by hours, by NTP or a machine that wakes, must end nothing."""
    assert durations_of(ast.parse(house()[name].path.read_text(encoding="utf-8"))) == []
