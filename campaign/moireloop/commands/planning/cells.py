"""`moireloop cells`: the coherent twists that a campaign's cell admits, and the cells that admit its targets (main)."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_campaign
from moireloop.cells.admitted import LARGEST_STRAIN, AdmittedTwist
from moireloop.cells.lines import target_line, why_unknown
from moireloop.cells.reach import MOST_COUNTED, is_too_large, reach_of, shears, space_twists
from moireloop.terminal.console import console, plain_console, say
from moireloop_worker.models import crystal_of
from moireloop_worker.models.crystal import Crystal


class StrainRefused(ValueError):
    """The largest strain for counted twists is invalid."""


class CellsUnknown(ValueError):
    """The growth model does not say from which crystal its runs start."""


def cells(path: Path, *, strain: float | None = None) -> int:
    """List the coherent twists that the campaign's cell admits, and the cells that admit its targets.

    Args:
        strain: largest principal strain of a layer; by default LARGEST_STRAIN.

    Raises:
        CampaignFileError: the file cannot be read.
        StrainRefused: the strain is none.
        CellsUnknown: the growth model does not say from which crystal runs start.
    """
    largest = LARGEST_STRAIN if strain is None else strain
    if not 0.0 < largest <= 0.1:
        raise StrainRefused(f"--strain: expected a fraction above 0 and at most 0.1, got {largest:g}")
    campaign = load_campaign(path, "look")
    crystal = crystal_of(campaign.growth)
    if crystal is None:
        raise CellsUnknown(f"{path}: growth.model: {why_unknown(campaign.growth.model)}")
    if is_too_large(crystal, campaign.space):
        raise CellsUnknown(
            f"{path}: expected a cell of at most {MOST_COUNTED:g} lattice constants at any shear of the search space: "
            f"larger ones admit nearly any twist"
        )
    _show(campaign, crystal, largest)
    return 0


def _show(campaign: Campaign, crystal: Crystal, largest_strain: float) -> None:
    admitted = space_twists(crystal, campaign.space, largest_strain)
    table = _table(campaign, crystal, admitted, largest_strain)
    (console if console.is_terminal else plain_console(width=100)).print(table)
    for reach in reach_of(crystal, campaign.space, campaign.targets, largest_strain):
        say(target_line(reach, crystal, largest_strain))


def _table(campaign: Campaign, crystal: Crystal, admitted: tuple[AdmittedTwist, ...], largest_strain: float) -> Table:
    nx, ny = crystal.cells
    title = f"twists of a {nx} x {ny} cell, layers strained by at most {largest_strain:.1%} beyond the lattice strain"
    shown = Table(title=title, title_justify="left")
    for heading in ("twist (deg)", "strain", "at shear", "cell in lower layer", "cell in upper layer", "target"):
        shown.add_column(heading, justify="left" if heading == "target" else "right")
    shear_strain = shears(campaign.space)
    for twist in admitted:
        near = [t for t in campaign.targets if abs(t.twist_deg - twist.twist_deg) <= t.tolerance_deg]
        shown.add_row(
            f"{twist.twist_deg:.2f}",
            f"{twist.strain:.2%}",
            f"{shear_strain[twist.place]:.3f}",
            _vectors(twist.lower),
            _vectors(twist.upper),
            ", ".join(f"{t.twist_deg:g}" for t in near),
        )
    return shown


def _vectors(whole: tuple[tuple[int, int], tuple[int, int]]) -> str:
    return " ".join(f"({a} {b})" for a, b in whole)
