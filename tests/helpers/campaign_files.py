"""The campaign files of tests and benches: one search space, and whatever sections are wanted otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moireloop.campaign_file.toml_text import toml_text

Section = Mapping[str, Any]

SPACE: Final = {"temperature_k": [1500.0, 4500.0], "lattice_strain": [0.0, 0.05], "shear_strain": [0.06, 0.30]}


BEAD: Final[Section] = {"model": "bead"}


def campaign_text(name: str, sections: Mapping[str, Section], *, results: int, twist_deg: float = 8.2) -> str:
    """The text of a campaign file of the bead model, unless a section `growth` says otherwise.

    Args:
        sections: by their names, in the order in which they are to stand.
        results: the budget.
        twist_deg: the only target.
    """
    tables: dict[str, Section] = {"space": SPACE, "budget": {"results": results}, "growth": BEAD, **sections}
    return toml_text({"name": name, "targets": [{"twist_deg": twist_deg}], **tables})
