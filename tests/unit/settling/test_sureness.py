"""What whole runs teach, and that it holds for runs that were not among them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from moireloop_analyzer.settings import LearntPolicy
from moireloop_analyzer.settling.reliability import reliability, wilson
from moireloop_analyzer.settling.sureness import (
    Ends,
    Sureness,
    came_to_deg,
    ends_at,
    folds,
    held_out_scores,
    is_kept_whole,
    learn,
    threshold_of,
    whole_run,
)
from tests.unit.settling.made_up import TOLERANCE_DEG, series, whole_runs

POLICY = LearntPolicy(level=0.9, tolerance_deg=TOLERANCE_DEG)


@cache
def learnt() -> Sureness:
    """What 80 made-up runs teach."""
    found = learn(whole_runs(80), POLICY)
    assert found is not None
    return found


def test_level_is_kept_on_fresh_runs() -> None:
    """Of 100 other runs that would be ended nine tenths are right, as far as 100 can show, and a third is saved."""
    fresh = whole_runs(100, first=1000)
    scores = [learnt().trees.probability(np.array([each.features for each in run.landmarks])) for run in fresh]
    ends = ends_at(fresh, scores, [learnt().threshold] * len(fresh), TOLERANCE_DEG)
    assert wilson(1 - ends.wrong / ends.ended, ends.runs)[1] > 0.9
    assert ends.ended > 0.5
    assert ends.saved > 0.3


def test_newest_frame_tells() -> None:
    """What is predicted of a run in flight is what its landmark there says; a run that has just begun is not sure."""
    points = series(1003, jumps=0.0)
    verdict = next(found for end in range(30, len(points)) if (found := learnt().verdict(points[:end])))
    assert abs(verdict.claim_deg - (points[-1].twist_deg or 0.0)) <= TOLERANCE_DEG
    assert 0.9 <= verdict.probability < 1
    assert verdict.runs == 80
    assert learnt().verdict(points[:2]) is None


def test_too_few_runs_teach_nothing() -> None:
    """Below least_runs, and where so few right ones do not show the level yet."""
    assert learn(whole_runs(39), POLICY) is None
    assert learn(whole_runs(45, jumps=0.0), LearntPolicy(level=0.99, tolerance_deg=TOLERANCE_DEG)) is None
    assert LearntPolicy(level=0.99).whole_runs_needed == 99
    assert LearntPolicy(level=0.98).whole_runs_needed == 49
    assert LearntPolicy(level=0.9).whole_runs_needed == 40


def test_runs_that_end_anywhere_are_never_sure() -> None:
    """Where the last frame has nothing to do with those before it, no run is ended."""
    rng = np.random.default_rng(3)
    runs = [type(run)(run.candidate_id, run.landmarks, float(rng.uniform(0, 30)), run.weight) for run in whole_runs(60)]
    assert learn(runs, POLICY) is None


def test_runs_kept_to_their_end_stand_for_those_that_were_not() -> None:
    """Ten runs of weight 10 that were wrong outweigh fifty that were right: censoring makes nothing look better."""
    runs = whole_runs(60, jumps=0.0)
    odd = [type(run)(run.candidate_id, run.landmarks, None, 10.0) for run in whole_runs(10, first=500, jumps=0.0)]
    plain = [type(run)(run.candidate_id, run.landmarks, None, 1.0) for run in odd]
    scores = [np.append(np.zeros(len(run.landmarks) - 1), 0.95) for run in [*runs, *odd]]
    light, heavy = (threshold_of([*runs, *wrong], scores, 0.5, TOLERANCE_DEG) for wrong in (plain, odd))
    assert light is not None
    assert heavy is None


def test_share_right_is_never_certain() -> None:
    """One more wrong run is counted than there was."""
    assert Ends(ended=1.0, wrong=0.0, saved=0.5, runs=49).right_share == pytest.approx(0.98)
    assert Ends(ended=0.5, wrong=0.01, saved=0.5, runs=100).right_share == pytest.approx(1 - 3 / 101)


def test_held_out_runs_are_in_no_fit_of_theirs() -> None:
    """Parts are of one size, whatever the names; and the scores differ from the scores of a fit to all."""
    runs = whole_runs(40)
    assert sorted(np.bincount(folds(runs))) == [8] * 5
    every = learn(runs, LearntPolicy(level=0.5, tolerance_deg=TOLERANCE_DEG))
    assert every is not None
    own = every.trees.probability(np.array([each.features for each in runs[0].landmarks]))
    assert not np.allclose(own, held_out_scores(runs, TOLERANCE_DEG)[0])


def test_same_runs_teach_the_same() -> None:
    """Each analyzer comes to the same by itself."""
    loose = LearntPolicy(level=0.7, tolerance_deg=TOLERANCE_DEG)
    first, second = learn(whole_runs(40), loose), learn(whole_runs(40), loose)
    assert first is not None
    assert second is not None
    assert (first.threshold, first.ends) == (second.threshold, second.ends)


def test_share_of_runs_goes_to_its_end() -> None:
    """A tenth of the names, always the same ones."""
    kept = [name for name in (f"c{number:05d}" for number in range(2000)) if is_kept_whole(name, 0.1)]
    assert 150 < len(kept) < 250
    assert all(is_kept_whole(name, 0.2) for name in kept)
    assert is_kept_whole("c00001", 1.0)


def test_reliability_of_made_up_runs() -> None:
    """Scores of held-out runs are right about as often as they say, and a higher level saves less."""
    found = reliability(whole_runs(60), TOLERANCE_DEG, (0.7, 0.85))
    assert found is not None
    inside = [part.low - 0.1 <= part.predicted <= part.high + 0.1 for part in found.curve if part.runs >= 15]
    assert len(inside) >= 3
    assert all(inside)
    (_, loose), (_, tight) = found.levels
    assert loose.saved >= tight.saved > 0.1
    assert reliability(whole_runs(3), TOLERANCE_DEG) is None


def test_wilson() -> None:
    """Bounds of 0, a half and all of 10, by the formula evaluated independently."""
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_one_noisy_last_frame_does_not_teach_that_a_run_turned() -> None:
    """A run came to the median of its last three frames; a twist that two of them show, it really has."""
    points = [point._replace(twist_deg=8.2) for point in series(1)]
    noisy = [*points[:-1], points[-1]._replace(twist_deg=8.4)]
    turned = [*points[:-2], *(point._replace(twist_deg=13.9) for point in points[-2:])]
    gap = [*points[:-2], points[-2]._replace(twist_deg=None), points[-1]._replace(twist_deg=8.4)]
    assert came_to_deg(noisy, 8.4) == 8.2
    assert came_to_deg(turned, 13.9) == 13.9
    assert came_to_deg(gap, 8.4) == 8.4
    assert came_to_deg(points, None) is None
    assert whole_run("c1", noisy, 8.4, 0.1).final_deg == 8.2
