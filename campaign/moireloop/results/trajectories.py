"""The series of all runs as one table (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from moireloop_broker.state.series import Series

COLUMNS: Final = {
    "step": pa.int64(),
    "planned_steps": pa.int64(),
    "time_ps": pa.float64(),
    "temperature_k": pa.float64(),
    "twist_deg": pa.float64(),
    "sigma_deg": pa.float64(),
    "reason": pa.string(),
    "order_lower": pa.float64(),
    "order_upper": pa.float64(),
    "confidence": pa.float64(),
    "final": pa.bool_(),
}


def trajectories_table(all_series: Sequence[Series]) -> pa.Table:
    """One row for each frame that was analysed, in the order of the series and in each by step; missing is null.

    `final` marks the last frame of a run, `planned_steps` is 0 where the plan is not known.
    """
    rows = [(series, point) for series in all_series for point in series.points]
    identity = {
        "candidate_id": pa.array([series.candidate_id for series, _ in rows], pa.string()),
        "attempt": pa.array([series.attempt for series, _ in rows], pa.int64()),
    }
    values = {name: pa.array([getattr(point, name) for _, point in rows], kind) for name, kind in COLUMNS.items()}
    return pa.table(identity | values)
