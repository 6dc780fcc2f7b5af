"""What the model predicts over the search space."""

from __future__ import annotations

import numpy as np

from moireloop.results.hit_maps import FEWEST, SIZE, hit_maps
from moireloop_broker.contract.events import Candidate, Measurement, Result, StageTimes
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.sobol import sobol_points

SPACE = SearchSpace.model_validate({"a": [0.0, 10.0], "b": [-1.0, 1.0], "c": [5.0, 6.0]})


def results(count: int) -> list[Result]:
    """Twists that rise along `a` alone, from 0 to 30 degrees."""
    points = SPACE.from_unit(sobol_points(count, 3, seed=2))
    return [
        Result(
            candidate=Candidate(candidate_id=f"c{n}", parameters=dict(point), seed=n, proposed_s=1.0),
            attempt=1,
            outcome="measured",
            measurement=Measurement(twist_deg=3.0 * point["a"], sigma_deg=0.1),
            times=StageTimes(proposed_s=1.0),
        )
        for n, point in enumerate(points)
    ]


def test_maps_are_high_where_the_twist_is_wanted() -> None:
    """Each pair has a map for each target; along `a` it is highest near the value that gives the target."""
    drawn = hit_maps(results(24), SPACE, [Target(twist_deg=6.0, tolerance_deg=1.0), Target(twist_deg=24.0)])
    assert [(pair["x"], pair["y"]) for pair in drawn["pairs"]] == [("a", "b"), ("a", "c"), ("b", "c")]
    maps = np.array(drawn["pairs"][0]["probability"]).reshape(2, SIZE, SIZE)
    assert ((maps >= 0) & (maps <= 1)).all()
    best = maps.max(axis=1).argmax(axis=1) * 10.0 / SIZE
    assert np.abs(best - [2.0, 8.0]).max() < 1.5


def test_too_few_runs_are_reported() -> None:
    """Without twists there is a reason instead of maps."""
    assert str(FEWEST) in hit_maps(results(1), SPACE, [Target(twist_deg=6.0)])["reason"]
    assert "reason" in hit_maps(results(5), SPACE, [])
