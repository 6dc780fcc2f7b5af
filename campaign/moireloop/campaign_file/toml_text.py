"""Tables and values as the text of a TOML file (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def toml_text(document: Mapping[str, Any]) -> str:
    """A document as TOML: values first, then a [section] for each table and [[section]] for each list of tables.

    Args:
        document: strings, numbers, truth values, lists and tables of them; a section's own tables stand in one line.

    Raises:
        ValueError: a value is of another type; the text says which.
    """
    values = {name: value for name, value in document.items() if not _is_section(value)}
    parts = ["".join(_line(name, value) for name, value in values.items())]
    for name, section in document.items():
        if isinstance(section, Mapping):
            parts.append(f"[{_key(name)}]\n" + "".join(_line(*item) for item in section.items()))
        elif _is_section(section):
            parts += [f"[[{_key(name)}]]\n" + "".join(_line(*item) for item in table.items()) for table in section]
    return "\n".join(filter(None, parts))


def _is_section(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(inside, Mapping) for inside in value)
    return isinstance(value, Mapping)


def _line(name: str, value: Any) -> str:
    return f"{_key(name)} = {_value(value)}\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _string(value)
        case int() | float():
            return repr(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case Mapping():
            return "{" + ", ".join(f"{_key(name)} = {_value(inside)}" for name, inside in value.items()) + "}"
    raise ValueError(f"expected a value that TOML has, got {value!r}")


def _string(text: str) -> str:
    """JSON's escapes are TOML's, except for the delete character, which TOML wants to be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
