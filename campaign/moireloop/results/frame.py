"""Results as a pandas DataFrame with the columns of results.parquet (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.extras import MissingExtra, extras_for

if TYPE_CHECKING:
    import pandas as pd

    from moireloop.results.recipes import Bounds


def results_frame(results: Sequence[Result], targets: Sequence[Target], bounds: Bounds) -> pd.DataFrame:
    """One row per candidate. Raises MissingExtra."""
    with extras_for("results_frame", ("figures", "optimizer")):
        from moireloop.results.table import results_table

        table = results_table(results, targets, bounds)
    try:
        frame: pd.DataFrame = table.to_pandas()
    except ModuleNotFoundError as error:
        raise MissingExtra("results_frame needs pandas: pip install pandas") from error
    return frame
