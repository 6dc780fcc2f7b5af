"""The bench of learnt early end: the runs that it keeps, and what it makes of a campaign."""

from __future__ import annotations

import numpy as np
import pytest

from bench.early_learnt import REAXFF, series_of, through_a_campaign, whole_runs, wrong_of_ended
from moireloop_analyzer.settings import LearntPolicy
from moireloop_analyzer.settling.sureness import Ends
from tests.unit.settling.made_up import TOLERANCE_DEG
from tests.unit.settling.made_up import whole_runs as made_up_runs


def test_reaxff_runs_are_whole() -> None:
    """Eight runs of 200 frames; seven come to a twist that the cell admits: 0, 16.1 or 25.28 degrees."""
    found = series_of(REAXFF)
    assert [len(series.points) for series in found] == [200] * 8
    finals = np.array([run.final_deg for run in whole_runs(found, TOLERANCE_DEG)])
    assert finals == pytest.approx([0, 0, 0, 25.28, 5.28, 25.28, 25.28, 16.1], abs=0.01)


def test_campaign_ends_no_run_before_it_has_a_basis() -> None:
    """Below least_runs nothing is learnt, and all runs go to their end."""
    ends = through_a_campaign(made_up_runs(39), LearntPolicy(level=0.9, tolerance_deg=TOLERANCE_DEG))
    assert ends == Ends(0.0, 0.0, 0.0, 0.0)
    assert wrong_of_ended(ends) == 0.0
