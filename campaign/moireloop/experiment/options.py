"""Options for a measured pattern besides its file (pure). Nothing heavy is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from moireloop_broker.contract.control import Description
from moireloop_broker.contract.search import SearchSpace

if TYPE_CHECKING:
    from moireloop_analyzer.patterns.image import Screen
    from moireloop_analyzer.patterns.peaks import Peaks

PatternSource: TypeAlias = "Path | str | Peaks"
"""The file of a pattern, or its peaks."""


class PatternOptions(TypedDict, total=False):
    """All options may be left out.

    Attributes:
        lattices: lattice constants of the lower and the upper layer before strain, in angstrom; by default the growth
            model's, where it is known, else the medians of the results.
        max_strain: largest principal strain of a layer.
        closest: how many of the most similar results are wanted.
        screen: where an image lies in q.
        centre_error: standard error of the direct beam's place in inverse angstrom, of a table.
        scale_within: largest factor, less one, by which the scale of q may be wrong, which is then fitted; by default
            the calibration is taken as stated.
        instrument_fwhm: full width at half maximum of the instrument along q in inverse angstrom.
    """

    lattices: tuple[float, float]
    max_strain: float
    closest: int
    screen: Screen
    centre_error: float
    instrument_fwhm: float
    scale_within: float


def space_of(described: Description) -> SearchSpace:
    """The search space from a campaign's description."""
    return SearchSpace({name: [limits.low, limits.high] for name, limits in described.space.items()})
