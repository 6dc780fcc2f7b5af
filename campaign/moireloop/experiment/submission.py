"""A measured pattern on the wire: its peaks, what they show, and the most similar results (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from moireloop.experiment.comparison import constants_of, indexed, most_similar
from moireloop.experiment.refused import PatternRefused
from moireloop_analyzer.patterns.indexed import Floats, IndexedPattern, Layer
from moireloop_analyzer.patterns.indexing import MAX_STRAIN
from moireloop_analyzer.patterns.peaks import Peaks
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import (
    MOST_CLOSEST,
    MOST_PATTERN_PEAKS,
    PatternAnalysis,
    PatternLayer,
    PatternPeaks,
    SimilarResult,
)

COLUMNS: Final = {
    "sigma_along_per_angstrom": "sigma_radial",
    "sigma_across_per_angstrom": "sigma_azimuthal",
    "fwhm_along_per_angstrom": "width_radial",
    "fwhm_across_per_angstrom": "width_azimuthal",
}
"""Columns of the wire that may be empty, and the attributes of Peaks that they hold."""


def submission(
    peaks: Peaks,
    results: Sequence[Result],
    *,
    lattices: tuple[float, float] | None = None,
    max_strain: float = MAX_STRAIN,
    closest: int = MOST_CLOSEST,
    scale_within: float | None = None,
) -> tuple[PatternPeaks, PatternAnalysis]:
    """The brightest peaks of a pattern, at most MOST_PATTERN_PEAKS, and what these show.

    Args:
        lattices: lattice constants of the two layers before strain, in angstrom; by default the medians of the results.
        max_strain: largest principal strain of a layer.
        closest: how many of the most similar results are named, at most MOST_CLOSEST.
        scale_within: as of `index_unscaled`, where the calibration is not known.

    Raises:
        PatternRefused: there are no peaks, no lattice constants are known, or they or the strain are no such numbers.
    """
    if not len(peaks):
        raise PatternRefused("the pattern has no peaks")
    kept = peaks.select(np.sort(np.argsort(-peaks.intensity, kind="stable")[:MOST_PATTERN_PEAKS]))
    pattern = indexed(kept, constants_of(results, lattices, max_strain), max_strain, scale_within)
    similar = [] if pattern.twist_deg is None else most_similar(pattern, results, min(closest, MOST_CLOSEST))
    near = [
        SimilarResult(
            candidate_id=one.result.candidate.candidate_id,
            distance_per_angstrom=one.distance,
            sigma_per_angstrom=one.sigma,
        )
        for one in similar
    ]
    return peaks_on_wire(kept), analysis_of(pattern, near)


def peaks_on_wire(peaks: Peaks) -> PatternPeaks:
    """Peaks as a message has them. Raises PatternRefused where they are beyond its bounds."""
    further: dict[str, Any] = {name: _column(getattr(peaks, held)) for name, held in COLUMNS.items()}
    try:
        return PatternPeaks(
            q_x_per_angstrom=peaks.q[:, 0].tolist(),
            q_y_per_angstrom=peaks.q[:, 1].tolist(),
            intensity=peaks.intensity.tolist(),
            centre_error_per_angstrom=peaks.centre_error,
            **further,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = ", peak ".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        raise PatternRefused(f"{name}: {first['msg']}, got {first['input']!r}"[:300]) from error


def analysis_of(pattern: IndexedPattern, closest: Sequence[SimilarResult]) -> PatternAnalysis:
    """What a pattern shows, as a message has it."""
    return PatternAnalysis(
        twist_deg=pattern.twist_deg,
        signed_deg=pattern.signed_deg,
        sigma_deg=pattern.sigma_deg,
        reason=pattern.reason,
        layers=[_layer(layer) for layer in pattern.layers],
        scale=pattern.scale,
        moire_angstrom=pattern.moire_angstrom,
        moire_error_angstrom=pattern.moire_error_angstrom,
        satellites=len(pattern.satellites),
        domains=len(pattern.domains),
        unexplained=len(pattern.unexplained),
        closest=list(closest),
    )


def pattern_name(peaks: PatternPeaks, parameters: Mapping[str, float], measured_s: float | None) -> str:
    """A name for a pattern that has none: the same for the same measurement."""
    text = f"{peaks.model_dump_json()} {sorted(parameters.items())} {measured_s}"
    return f"p-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _layer(layer: Layer) -> PatternLayer:
    high, low = layer.principal_strains
    return PatternLayer(
        nominal_angstrom=layer.nominal_angstrom,
        lattice_angstrom=layer.lattice_angstrom,
        lattice_error_angstrom=layer.lattice_error_angstrom,
        strain_high=high,
        strain_low=low,
        strain_error=float(layer.strain_error.max()),
        direction_deg=layer.direction_deg,
        brightness=layer.brightness,
        mosaic_deg=layer.mosaic_deg,
        vectors_angstrom=layer.vectors_angstrom.T.ravel().tolist(),
    )


def _column(values: Floats) -> list[float | None]:
    known = np.isfinite(values)
    return [float(value) if held else None for value, held in zip(values, known, strict=True)] if known.any() else []
