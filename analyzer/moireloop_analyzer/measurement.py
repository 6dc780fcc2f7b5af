"""A frame as the analysis sees it, and what is reported of its twist (pure)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.analysis import Snapshot
from moireloop_analyzer.estimate import TwistEstimate
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.twist import measure_twist
from moireloop_broker.contract.events import Measurement
from moireloop_broker.contract.frames import Frame

log = logging.getLogger(__name__)

LONGEST_REASON = 1000


def measure_frame(frame: Frame, settings: AnalyzerSettings) -> Measurement:
    """Twist and order of a frame; whatever is wrong with the frame becomes a reason."""
    return measurement_of(estimate_of(frame, settings), settings.min_confidence, frame.header.cell)


def estimate_of(frame: Frame, settings: AnalyzerSettings) -> TwistEstimate:
    """The twist of a frame and all that was found with it; whatever is wrong with the frame becomes a reason."""
    header = frame.header
    try:
        return measure_twist(
            frame.positions.astype(np.float64),
            frame.types,
            np.array(header.cell),
            tuple(header.periodic),
            metal_types=tuple(header.lattice_types),
            chalcogen_types=other_types(frame.types, header.lattice_types),
            estimator=settings.estimator,
            min_order=settings.min_order,
        )
    except Exception as error:
        log.exception("analysis failed candidate=%s step=%d", header.candidate_id, header.step)
        return TwistEstimate(reason=f"analysis failed: {type(error).__name__}: {error}"[:LONGEST_REASON])


def measurement_of(
    estimate: TwistEstimate, min_confidence: float = 0.0, cell: Sequence[Sequence[float]] | None = None
) -> Measurement:
    """The message that carries an estimate; a twist of less than the smallest confidence is a reason there.

    `cell` has the vectors (3, 3) of the frame's cell as rows, in angstrom, the first two in the plane of the layers.
    """
    refused = refused_below(min_confidence, estimate)
    return Measurement(
        twist_deg=refused.twist_deg,
        signed_deg=refused.signed_deg,
        sigma_deg=refused.sigma_deg,
        reason=refused.reason,
        order_lower=refused.order_lower,
        order_upper=refused.order_upper,
        lattice_lower_angstrom=refused.lattice_lower_angstrom,
        lattice_upper_angstrom=refused.lattice_upper_angstrom,
        moire_angstrom=refused.moire_angstrom,
        confidence=refused.confidence,
        stacking=refused.stacking,
        grains_lower=_grains(refused, "lower"),
        grains_upper=_grains(refused, "upper"),
        cell_vectors_angstrom=_in_plane(None if cell is None else np.asarray(cell, dtype=np.float64)),
        lower_vectors_angstrom=_in_plane(refused.vectors_lower),
        upper_vectors_angstrom=_in_plane(refused.vectors_upper),
    )


def refused_below(min_confidence: float, estimate: TwistEstimate) -> TwistEstimate:
    """The estimate, its twist refused where the confidence is too small; all else stays."""
    twist_deg, confidence = estimate.twist_deg, estimate.confidence
    if twist_deg is None or confidence is None or confidence >= min_confidence:
        return estimate
    reason = f"confidence {confidence:.2f} is below {min_confidence:.2f}; measured twist {twist_deg:.2f} degrees"
    return replace(
        estimate, twist_deg=None, signed_deg=None, sigma_deg=None, moire_angstrom=None, stacking=None, reason=reason
    )


def _in_plane(vectors: npt.NDArray[np.floating[Any]] | None) -> list[float] | None:
    """x and y of the first two vectors, row by row."""
    return None if vectors is None else [float(value) for value in vectors[:2, :2].flat]


def _grains(estimate: TwistEstimate, layer: str) -> int | None:
    return sum(grain.layer == layer for grain in estimate.grains) if estimate.grains else None


def snapshot_of(frame: Frame, twist: TwistEstimate) -> Snapshot:
    """The frame as analyzers get it, with its own arrays."""
    header = frame.header
    a, b, c = header.periodic
    return Snapshot(
        positions=frame.positions.astype(np.float64),
        types=frame.types.copy(),
        cell=np.array(header.cell),
        pbc=(a, b, c),
        metal_types=tuple(header.lattice_types),
        chalcogen_types=other_types(frame.types, header.lattice_types),
        elements={number: symbol for number, symbol in enumerate(header.elements, start=1) if symbol},
        step=header.step,
        time_ps=header.time_ps,
        temperature_k=header.temperature_k,
        twist=twist,
    )


def other_types(types: npt.NDArray[np.uint8], lattice_types: list[int]) -> tuple[int, ...]:
    """The types present other than the lattice's, in order."""
    present = np.flatnonzero(np.bincount(types, minlength=1))
    return tuple(int(number) for number in present if number not in lattice_types)
