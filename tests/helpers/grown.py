"""Results with both lattices, whose patterns can be compared; growths of the chamber."""

from __future__ import annotations

import math

import numpy as np

from moireloop_analyzer.patterns.reciprocal import lattice_of, strained
from moireloop_broker.contract.events import Candidate, Measurement, Result, StageTimes
from moireloop_broker.contract.patterns import PatternAnalysis, PatternMeasured, PatternPeaks

A = 3.16


def grown(number: int, twist_deg: float, parameters: dict[str, float], strain: float = 0.0) -> Result:
    """A result with both lattices, the cell along x."""
    zero = np.zeros((2, 2))
    lower = lattice_of(strained(A, 0.3, strain * np.diag([1.0, -1.0])))
    upper = lattice_of(strained(A, 0.3 + math.radians(twist_deg), zero))
    return Result(
        candidate=Candidate(
            candidate_id=f"c{number:04}", parameters=parameters, seed=number, strategy="auto", proposed_s=0.0
        ),
        attempt=1,
        outcome="measured",
        measurement=Measurement(
            twist_deg=twist_deg,
            sigma_deg=0.05,
            lattice_lower_angstrom=A,
            lattice_upper_angstrom=A,
            cell_vectors_angstrom=[37.92, 0.0, 18.96, 32.84],
            lower_vectors_angstrom=lower.T.ravel().tolist(),
            upper_vectors_angstrom=upper.T.ravel().tolist(),
        ),
        times=StageTimes(proposed_s=0.0),
    )  # fmt: skip


def measured_pattern(name: str, twist_deg: float | None, parameters: dict[str, float]) -> PatternMeasured:
    """A measured pattern with this twist, or with a reason; its peaks are of no use."""
    reason = "too faint" if twist_deg is None else None
    sigma_deg = None if twist_deg is None else 0.05
    return PatternMeasured(
        pattern_id=name,
        requester="ada",
        peaks=PatternPeaks(q_x_per_angstrom=[2.3], q_y_per_angstrom=[0.0], intensity=[1.0]),
        analysis=PatternAnalysis(twist_deg=twist_deg, sigma_deg=sigma_deg, reason=reason),
        parameters=parameters,
        at_s=1.0,
    )
