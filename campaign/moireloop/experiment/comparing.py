"""Reads a measured pattern from its file and compares it with a campaign (adapter)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

from moireloop.experiment.options import PatternOptions, PatternSource
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_broker.extras import extras_for

if TYPE_CHECKING:
    from moireloop.experiment.comparison import Comparison
    from moireloop_analyzer.patterns.peaks import Peaks

EXTRAS: Final = ("analyzer", "optimizer", "figures")


def compare(
    pattern: PatternSource,
    results: Iterable[Result],
    targets: Sequence[Target],
    space: SearchSpace,
    **options: Unpack[PatternOptions],
) -> Comparison:
    """Read a pattern, index it, and compare it with results.

    Raises:
        PatternRefused: it cannot be read, or no lattice constants are known.
        MissingExtra: the required extras are not installed.
    """
    with extras_for("comparing patterns", EXTRAS):
        from moireloop.experiment.comparison import CLOSEST, compare_peaks
        from moireloop_analyzer.patterns.indexing import MAX_STRAIN

        return compare_peaks(
            peaks_of_source(pattern, options),
            results,
            targets,
            space,
            lattices=options.get("lattices"),
            max_strain=options.get("max_strain", MAX_STRAIN),
            closest=options.get("closest", CLOSEST),
            scale_within=options.get("scale_within"),
        )


def peaks_of_source(pattern: PatternSource, options: PatternOptions) -> Peaks:
    """The peaks of a file, or the peaks that were passed.

    Raises:
        PatternRefused: the file cannot be read as a pattern.
    """
    if not isinstance(pattern, str | Path):
        return pattern
    from moireloop.experiment.pattern_files import read_pattern

    return read_pattern(
        Path(pattern),
        screen=options.get("screen"),
        centre_error=options.get("centre_error", 0.0),
        instrument_fwhm=options.get("instrument_fwhm", 0.0),
    )
