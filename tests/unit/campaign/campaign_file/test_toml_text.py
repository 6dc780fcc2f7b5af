"""What is written as TOML is read as the same document."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from moireloop.campaign_file.toml_text import toml_text

DOCUMENTS: list[dict[str, Any]] = [
    {},
    {"name": "a", "folder": "b"},
    {"targets": [{"twist_deg": 8.2}, {"twist_deg": 21.8, "tolerance_deg": 0.3}], "name": "values come first"},
    {"space": {"temperature_k": [1500.0, 3500.0]}, "empty": {}, "none": []},
    {"optimizer": {"options": {"a": {"b": [1, -2, 1e300, 5e-324]}, "c": [], "d": {}, "e": True, "f": [[1], ["x"]]}}},
    {"growth": {"values": {"seed3": 1, "a.b": 2, "": 3, "ä": 4, "a b": 5, 'quote"d': 6}}},
    {"text": '\x00\x1f\x7f\t\n\r"\\\'\'\'""" ä \U0001f600 \ufeff \u2028'},
    {"list of tables in a section": {"tables": [{"a": 1}, {"b": [{"c": 2}]}]}},
    {"large": 2**80, "small": -(2**80), "zero": -0.0},
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_text_is_read_as_it_was(document: dict[str, Any]) -> None:
    """Strings of any characters, numbers, lists and tables inside each other."""
    assert tomllib.loads(toml_text(document)) == document


@pytest.mark.parametrize("value", [None, object(), b"bytes", {1}])
def test_value_that_toml_lacks_is_refused(value: object) -> None:
    """The text of the error shows the value."""
    with pytest.raises(ValueError, match="expected a value that TOML has, got "):
        toml_text({"section": {"key": [value]}})
