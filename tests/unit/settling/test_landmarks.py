"""What a run shows at one of its frames, and the twist that it claims there."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_analyzer.settling.landmarks import FEATURES, claimed_by, densest, landmark, landmarks
from tests.unit.settling.made_up import EVERY, FRAMES, TOLERANCE_DEG, series


@pytest.mark.parametrize(
    ("twists", "claim_deg"),
    [
        ([8.2, 8.9, 8.21, 7.5, 8.2], 8.2),
        ([0.0, 30.0], 0.0),
        ([8.2, 8.21, 14.4, 14.4, 14.41], 14.4),
        ([5.0, 5.02, 5.04, 5.06], 5.0),
    ],
    ids=["most frames", "no group", "the larger group", "lower one of two"],
)
def test_claim_is_the_middle_of_the_densest_group(twists: list[float], claim_deg: float) -> None:
    """Not the mean, and not the last one: a closed layer shows one twist again and again."""
    assert densest(np.array(twists), 0.03) == claim_deg


def test_each_frame_but_the_final_one_has_its_landmark() -> None:
    """All features are finite, and there are as many as have names."""
    found = landmarks(series(1), TOLERANCE_DEG)
    assert [each.step for each in found] == [EVERY * number for number in range(2, FRAMES)]
    assert {len(each.features) for each in found} == {len(FEATURES)}
    assert np.isfinite([each.features for each in found]).all()


def test_more_frames_give_no_more_chances() -> None:
    """A run of a thousand frames has a landmark at each hundredth of its plan."""
    assert len(landmarks(series(1, frames=1000), TOLERANCE_DEG)) == 99


def test_landmark_needs_a_twist_and_a_plan() -> None:
    """A frame without a twist has none, and neither has a run of unknown length."""
    points = series(1)[:20]
    assert landmark([*points[:-1], points[-1]._replace(twist_deg=None)], TOLERANCE_DEG) is None
    assert landmark([point._replace(planned_steps=0) for point in points], TOLERANCE_DEG) is None
    assert landmark([], TOLERANCE_DEG) is None


def test_what_is_missing_is_not_a_fault() -> None:
    """Frames of other growth models may have neither temperature, nor error, nor confidence."""
    bare = [p._replace(temperature_k=None, sigma_deg=None, confidence=None, order_lower=None) for p in series(1)[:20]]
    found = landmark(bare, TOLERANCE_DEG)
    assert found is not None
    assert np.isfinite(found.features).all()


def test_claim_is_made_by_the_frames_that_show_it() -> None:
    """Recent frames within the group, the newest share of the plan alone."""
    points = [p._replace(twist_deg=8.2 if p.step % 1000 else 9.0) for p in series(1)[:20]]
    shown = claimed_by([*points[:-1], points[-1]._replace(twist_deg=8.2)], TOLERANCE_DEG)
    assert {point.twist_deg for point in shown} == {8.2}
    assert min(point.step for point in shown) > 10_000 - 0.2 * EVERY * FRAMES
    assert claimed_by([], TOLERANCE_DEG) == []


def test_flicker_does_not_begin_a_state_anew() -> None:
    """A warm frame 0.3 degrees off ends the row of equal twists, not the state; a frame of another state ends both."""
    points = [p._replace(twist_deg=8.2) for p in series(1)[:20]]
    names = ("share of the plan for which the claim stands", "how long no twist was 0.5 degrees off")
    equal, state = (FEATURES.index(name) for name in names)
    for off_deg, stands in ((0.3, 19 / FRAMES), (3.0, 4 / FRAMES)):
        seen = [*points[:15], points[15]._replace(twist_deg=8.2 + off_deg), *points[16:]]
        found = landmark(seen, TOLERANCE_DEG)
        assert found is not None
        assert found.features[equal] == pytest.approx(4 / FRAMES)
        assert found.features[state] == pytest.approx(stands)


def test_gaps_do_not_hide_how_often_a_claim_was_shown() -> None:
    """Frames without a twist count against the share of frames, and only one of the three durations allows them."""
    points = [p._replace(twist_deg=None if n % 2 else 8.2) for n, p in enumerate(series(1)[:21])]
    found = landmark(points, TOLERANCE_DEG)
    assert found is not None
    of = dict(zip(FEATURES, found.features, strict=True))
    assert of["share of all frames in the group"] == pytest.approx(11 / 21)
    assert of["how long none was 1 degree off"] == pytest.approx(1 / FRAMES)
    assert of["how long, gaps allowed"] == pytest.approx(20 / FRAMES)
