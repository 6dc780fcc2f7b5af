"""Builds the request that puts a measured pattern, read from its file, into a campaign's log (adapter)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, SupportsFloat, Unpack

from moireloop.client.requests import submit_pattern
from moireloop.experiment.comparing import peaks_of_source
from moireloop.experiment.options import PatternOptions, PatternSource
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import MOST_CLOSEST, SubmitPatternRequest
from moireloop_broker.extras import extras_for

EXTRAS: Final = ("analyzer", "figures")


def pattern_request(
    pattern: PatternSource,
    results: Sequence[Result],
    requester: str,
    *,
    pattern_id: str | None = None,
    parameters: Mapping[str, SupportsFloat] | None = None,
    measured_s: float | None = None,
    **options: Unpack[PatternOptions],
) -> SubmitPatternRequest:
    """Read a pattern, index it, and return the request to submit it.

    Args:
        pattern_id: its name; by default a name that depends only on the measurement.
        parameters: the growth chamber's parameters.
        measured_s: when it was measured, in seconds since the epoch.

    Raises:
        PatternRefused: it cannot be read, or no lattice constants are known.
        BadArgument: the name, the parameters or the time are invalid.
        MissingExtra: the required extras are not installed.
    """
    with extras_for("submitting patterns", EXTRAS):
        from moireloop.experiment.submission import pattern_name, submission
        from moireloop_analyzer.patterns.indexing import MAX_STRAIN

        peaks, analysis = submission(
            peaks_of_source(pattern, options),
            results,
            lattices=options.get("lattices"),
            max_strain=options.get("max_strain", MAX_STRAIN),
            closest=options.get("closest", MOST_CLOSEST),
            scale_within=options.get("scale_within"),
        )
    chamber = {} if parameters is None else parameters
    request = submit_pattern("p", peaks, analysis, chamber, measured_s, requester)
    name = pattern_name(peaks, request.parameters, request.measured_s) if pattern_id is None else pattern_id
    return submit_pattern(name, peaks, analysis, chamber, measured_s, requester)
