"""The campaign files of tests and benches: one search space, and whatever sections are wanted otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

Section = Mapping[str, Any]

SPACE: Final = {"temperature_k": [1500.0, 4500.0], "lattice_strain": [0.0, 0.05], "shear_strain": [0.06, 0.30]}


BEAD: Final[Section] = {"model": "bead"}


def campaign_text(name: str, sections: Mapping[str, Section], *, results: int, twist_deg: float = 8.2) -> str:
    """The text of a campaign file of the bead model, unless a section `growth` says otherwise.

    Args:
        sections: by their names, in the order in which they are to stand; a table in a section is one of its keys.
        results: the budget.
        twist_deg: the only target.
    """
    tables: dict[str, Section] = {"space": SPACE, "budget": {"results": results}, "growth": BEAD, **sections}
    lines = [f'name = "{name}"', "[[targets]]", f"twist_deg = {twist_deg}"]
    for section, keys in tables.items():
        lines += _table(section, keys)
    return "\n".join(lines) + "\n"


def _table(name: str, keys: Section) -> list[str]:
    """The lines of a table, then those of the tables in it. JSON writes a value as TOML has it."""
    own = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if not isinstance(value, Mapping)]
    inside = [
        line for key, value in keys.items() if isinstance(value, Mapping) for line in _table(f"{name}.{key}", value)
    ]
    return [f"[{name}]", *own, *inside]
