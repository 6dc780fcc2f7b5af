"""What a person reads about the targets that a cell admits (pure)."""

from __future__ import annotations

from moireloop.cells.admitted import LARGEST_STRAIN
from moireloop.cells.reach import LARGEST_CELL, Reach, is_too_large, reach_of
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_worker.models.crystal import Crystal


def why_unknown(model: str) -> str:
    """Why nothing can be said about the cells of a growth model."""
    return (
        f"expected a growth model that says which crystal its runs start from (bead, mos2-rebo, mos2-reaxff, or one "
        f"with an attribute `crystal`), got {model!r}; moireloop.admitted_twists takes any cell"
    )


def target_line(reach: Reach, crystal: Crystal, largest_strain: float) -> str:
    """One line: what the cell has for a target, or the nearest twists and the cells that would do."""
    target, (nx, ny) = reach.target, crystal.cells
    wanted = f"target {target.twist_deg:g} +- {target.tolerance_deg:g} degrees"
    if reach.inside is not None:
        return f"{wanted}: the {nx} x {ny} cell admits {reach.inside.twist_deg:.2f} at {reach.inside.strain:.1%} strain"
    nearest = " and ".join(f"{each.twist_deg:.2f}" for each in reach.nearest)
    return (
        f"{wanted}: out of reach of the {nx} x {ny} cell with layers strained by at most {largest_strain:.1%}; "
        f"nearest {nearest or 'none'}; {_others(reach)}"
    )


def warnings(crystal: Crystal | None, space: SearchSpace, targets: tuple[Target, ...]) -> list[str]:
    """A line for each target that is out of reach of a campaign's cell."""
    if crystal is None or is_too_large(crystal, space):
        return []
    missing = [each for each in reach_of(crystal, space, targets) if each.inside is None]
    return [f"warning: {target_line(each, crystal, LARGEST_STRAIN)}" for each in missing]


def _others(reach: Reach) -> str:
    if not reach.other:
        return f"no cell up to {LARGEST_CELL} x {LARGEST_CELL} would do"
    cells = ", ".join(f"{size} x {size} ({twist.twist_deg:.2f})" for size, twist in reach.other)
    return f"cells that admit it: {cells}"
