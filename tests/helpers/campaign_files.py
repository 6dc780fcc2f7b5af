"""The campaigns of tests and benches: one search space, and whatever sections are wanted otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from moireloop import Campaign

Section = Mapping[str, Any]

SPACE: Final = {"temperature_k": [1500.0, 4500.0], "lattice_strain": [0.0, 0.05], "shear_strain": [0.06, 0.30]}


BEAD: Final[Section] = {"model": "bead"}


def small_campaign(
    name: str,
    sections: Mapping[str, Section],
    *,
    results: int,
    twist_deg: float = 8.2,
    folder: Path | None = None,
) -> Campaign:
    """A campaign of the bead model, unless a section `growth` says otherwise.

    Args:
        sections: by their names.
        results: the budget.
        twist_deg: the only target.
        folder: of the campaign; by default NAME.campaign in the present folder.
    """
    tables: dict[str, Any] = {"space": SPACE, "budget": {"results": results}, "growth": BEAD, **sections}
    return Campaign(name=name, targets=[{"twist_deg": twist_deg}], folder=folder, **tables)


def campaign_text(name: str, sections: Mapping[str, Section], *, results: int, twist_deg: float = 8.2) -> str:
    """The campaign file of such a campaign, for what reads files."""
    return small_campaign(name, sections, results=results, twist_deg=twist_deg).toml()
