"""Outcomes of analyzers: whatever a user's function does becomes an outcome with a reason (pure)."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.analysis import LONGEST_REASON, Analysis, Analyzer, Snapshot
from moireloop_broker.contract.events import AnalysisArray, AnalysisOutcome

log = logging.getLogger(__name__)


def outcome_of(name: str, analyzer: Analyzer, snapshot: Snapshot) -> AnalysisOutcome:
    """The message of what an analyzer makes of a snapshot; an error, or rubbish, becomes its reason."""
    try:
        found: Any = analyzer(snapshot)
    except (Exception, SystemExit) as error:
        log.exception("analyzer failed name=%s step=%d", name, snapshot.step)
        return failure(f"{type(error).__name__}: {error}")
    if not isinstance(found, Analysis):
        log.error("analyzer returned no Analysis name=%s type=%s", name, type(found).__name__)
        return failure(f"expected an Analysis from analyzer {name!r}, got {type(found).__name__}")
    try:
        return message_of(found)
    except ValueError as error:
        return failure(f"analyzer {name!r} returned what no message can hold: {error}")


def failure(reason: str) -> AnalysisOutcome:
    """An outcome that is nothing but a reason."""
    return AnalysisOutcome(reason=reason[:LONGEST_REASON])


def message_of(found: Analysis) -> AnalysisOutcome:
    """The message that carries an analysis."""
    return AnalysisOutcome(
        numbers=dict(found.numbers),
        arrays={name: _array(values) for name, values in found.arrays.items()},
        reasons=dict(found.reasons),
    )


def _array(values: npt.ArrayLike) -> AnalysisArray:
    array = np.asarray(values)
    return AnalysisArray(shape=list(array.shape), values=array.reshape(-1).tolist())
