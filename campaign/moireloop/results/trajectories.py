"""The series of all runs as one table (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import pyarrow as pa

from moireloop_broker.state.series import COLUMNS, Series, SeriesPoint


def trajectories_table(all_series: Sequence[Series]) -> pa.Table:
    """One row for each frame that was analysed, in the order of the series and in each by step; missing is null.

    `final` marks the last frame of a run, `planned_steps` is 0 where the plan is not known.
    """
    points = [point for series in all_series for point in series.points]
    counts = np.array([len(series.points) for series in all_series], dtype=np.intp)
    candidates = np.repeat(np.array([series.candidate_id for series in all_series], dtype=object), counts)
    attempts = np.repeat(np.array([series.attempt for series in all_series], dtype=np.int64), counts)
    identity = {"candidate_id": pa.array(candidates, pa.string()), "attempt": pa.array(attempts, pa.int64())}
    values = {
        name: pa.array(list(map(itemgetter(SeriesPoint._fields.index(name)), points)), pa.type_for_alias(kind))
        for name, kind in COLUMNS.items()
    }
    return pa.table(identity | values)
