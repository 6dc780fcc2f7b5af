"""When a run in flight is settled or hopeless, from its series alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moireloop_analyzer.service.early_end import (
    Decision,
    decide,
    decide_along,
    decide_at,
    frames_needed,
    standard_error_deg,
)
from moireloop_analyzer.settings import EarlyEndSettings, HopelessPolicy, SettledPolicy
from moireloop_broker.state.series import SeriesPoint

PLANNED = 2000
SETTLED = EarlyEndSettings(settled=SettledPolicy(frames=3, within_deg=0.1, after_fraction=0.25, min_order=0.6))
HOPELESS = EarlyEndSettings(hopeless=HopelessPolicy(frames=3, after_fraction=0.25, distance_deg=5.0))
TARGETS = [8.2, 21.8]


def points(
    *twists: float | None, planned: int = PLANNED, every: int = 100, order: float = 0.9, sigma: float = 0.05
) -> list[SeriesPoint]:
    """A frame each `every` steps with these twists; None is a molten layer."""
    return [
        SeriesPoint(
            step=every * number, time_ps=0.0, temperature_k=None, twist_deg=twist,
            sigma_deg=sigma if twist is not None else None, order_lower=0.95,
            order_upper=order if twist is not None else 0.2, reason=None if twist is not None else "molten",
            planned_steps=planned, final=False,
        )
        for number, twist in enumerate(twists, start=1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("twists", "ends_at"),
    [
        ([8.2] * 20, 500),
        ([None, 8.2, None, 8.2, None, 8.2, 8.2, 8.25], 800),
        ([8.2, 8.4, 8.6, 8.8, 9.0, 9.2, 9.4], None),
        ([None] * 20, None),
        ([8.2, 8.2], None),
    ],
    ids=["from the first frame on", "after a molten start", "drifting", "molten", "too few frames"],
)
def test_twist_that_keeps_still_is_settled(twists: list[float | None], ends_at: int | None) -> None:
    """So many frames in a row have a twist, all within the limit, and the run is far enough in its schedule."""
    decision = decide_along(points(*twists), SETTLED, TARGETS)
    assert (decision.step if decision else None) == ends_at
    assert decision is None or decision.ending == "settled"


def test_reason_says_what_was_seen() -> None:
    """Spread, frames and step stand in the reason."""
    decision = decide_along(points(8.2, 8.2, 8.2, 8.2, 8.25, 8.25), SETTLED, TARGETS)
    assert decision == Decision(
        "settled", "twist within 0.05 degrees, standard error 0.029, over 3 frames up to step 500 of 2000", 500
    )


def test_reason_of_equal_twists_has_no_zero() -> None:
    """Twists that are the same are unchanged, not within 0 degrees."""
    decision = decide_along(points(*[8.2] * 6), SETTLED, TARGETS)
    assert decision is not None
    assert decision.reason.startswith("twist unchanged, standard error ")


def test_layer_that_is_hardly_ordered_is_not_settled() -> None:
    """A still twist counts only where both layers are ordered in each frame."""
    assert decide(points(*[8.2] * 10, order=0.55), SETTLED, TARGETS) is None
    assert decide(points(*[8.2] * 10, order=0.65), SETTLED, TARGETS) is not None


@pytest.mark.parametrize(("sigma", "is_settled"), [(0.86, True), (0.87, False)])
def test_still_twist_of_uncertain_frames_is_not_settled(sigma: float, is_settled: bool) -> None:
    """The mean of three frames is as uncertain as each over the square root of three; the limit is 0.5 degrees."""
    assert (decide(points(*[8.2] * 10, sigma=sigma), SETTLED, TARGETS) is not None) is is_settled


def test_uncertainties_are_weighted() -> None:
    """One certain frame makes the mean certain; one whose error is unknown leaves it unknown."""
    vague = points(*[8.2] * 10, sigma=5.0)
    certain = [*vague[:-1], vague[-1]._replace(sigma_deg=0.01)]
    unknown = [*certain[:-2], certain[-2]._replace(sigma_deg=None), certain[-1]]
    assert standard_error_deg(certain[-3:]) == pytest.approx(0.01, rel=1e-4)
    assert decide(certain, SETTLED, TARGETS) is not None
    assert decide(unknown, SETTLED, TARGETS) is None


@pytest.mark.parametrize("layer", ["order_lower", "order_upper"])
def test_layer_whose_order_still_changes_is_not_settled(layer: str) -> None:
    """Twist still, but |psi6| of one layer rises or falls by more than 0.1 over the window."""
    still = points(*[8.2] * 10)
    for step in (0.04, 0.06, -0.06):
        orders = [0.8 + step * number for number in range(3)]
        changing = [
            p._replace(order_lower=order) if layer == "order_lower" else p._replace(order_upper=order)
            for p, order in zip(still[-3:], orders, strict=True)
        ]
        assert (decide(changing, SETTLED, TARGETS) is not None) is (abs(step) < 0.05)


def test_dropped_frames_make_the_window_longer() -> None:
    """Of every three frames two were dropped: three that are there are asked for anyway."""
    sparse = points(*[8.2] * 12)[2::3]
    decision = decide_along(sparse, SETTLED, TARGETS)
    assert decision is not None
    assert decision.step == 900


def test_a_frame_that_comes_late_counts() -> None:
    """The window is one by step: an outlier in its middle keeps the run going, whenever it came."""
    without, outlier = points(*[8.2] * 6), points(*[8.2] * 4, 9.9, 8.2)
    assert decide(without[3:4] + without[5:] + without[5:], SETTLED, TARGETS) is not None
    assert decide(outlier[3:], SETTLED, TARGETS) is None


@pytest.mark.parametrize(
    ("twists", "reason"),
    [
        ([None] * 6, "no twist in 3 frames up to step 500 of 2000"),
        ([1.0] * 6, "twist more than 5 degrees off every target in 3 frames up to step 500 of 2000"),
        (
            [None, None, None, None, 1.0, 1.0],
            "no twist or twist more than 5 degrees off every target in 3 frames up to step 500 of 2000",
        ),
        ([8.2, 25.0] * 6, None),
        ([None, None, 8.2] * 4, None),
    ],
    ids=["molten", "far off", "molten and far off", "near one target", "now and then"],
)
def test_hopeless_runs(twists: list[float | None], reason: str | None) -> None:
    """All frames of the window have no twist, or one far from every target."""
    decision = decide_along(points(*twists), HOPELESS, TARGETS)
    assert (decision.reason if decision else None) == reason
    assert decision is None or decision.ending == "hopeless"


def test_without_a_distance_no_twist_is_hopeless() -> None:
    """By default only frames without a twist are; and without_twist = false leaves those alone."""
    default = EarlyEndSettings(hopeless=HopelessPolicy(frames=3, after_fraction=0.0))
    only_far = EarlyEndSettings(
        hopeless=HopelessPolicy(frames=3, after_fraction=0.0, without_twist=False, distance_deg=5.0)
    )
    assert decide(points(*[1.0] * 9), default, TARGETS) is None
    assert decide(points(*[None] * 9), only_far, TARGETS) is None


@pytest.mark.parametrize(("sigma", "is_hopeless"), [(1.9, True), (2.1, False)])
def test_frame_that_is_far_only_by_its_error_is_not_hopeless(sigma: float, is_hopeless: bool) -> None:
    """A twist of 1.2 is 7 degrees off, 5 are allowed: beyond that by more than its standard error, or not."""
    assert (decide(points(*[1.2] * 9, sigma=sigma), HOPELESS, TARGETS) is not None) is is_hopeless


def frames_strategy() -> st.SearchStrategy[list[SeriesPoint]]:
    """A run: molten, near a target or far from all, certain or not."""
    twist = st.sampled_from([None, 1.0, 8.2, 8.22, 8.3, 21.8])
    return st.lists(twist, min_size=1, max_size=14).map(lambda twists: points(*twists))


@dataclass
class Arrivals:
    """What the store and the service do with frames as they arrive, in plain Python."""

    policies: EarlyEndSettings
    stored: dict[int, SeriesPoint]
    decisions: list[Decision]

    def arrive(self, point: SeriesPoint) -> Decision | None:
        """Take a frame; the decision that it led to."""
        self.stored.setdefault(point.step, point)
        window = sorted(self.stored.values())[-frames_needed(self.policies) :]
        decision = decide_at(point.step, window, self.policies, TARGETS)
        self.decisions += [decision] if decision is not None else []
        return decision


BOTH = EarlyEndSettings(settled=SETTLED.settled, hopeless=HOPELESS.hopeless)
bounded = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@bounded
@given(run=frames_strategy(), data=st.data())
def test_duplicates_in_order_change_no_decision(run: list[SeriesPoint], data: st.DataObject) -> None:
    """Repeated frames give the same first decision as each frame once, and as the whole series afterwards."""
    once, often = Arrivals(BOTH, {}, []), Arrivals(BOTH, {}, [])
    for point in run:
        once.arrive(point)
        for _ in range(data.draw(st.integers(1, 3))):
            often.arrive(point)
    assert once.stored == often.stored
    assert once.decisions[:1] == often.decisions[:1]
    assert next(iter(once.decisions), None) == decide_along(run, BOTH, TARGETS)


@bounded
@given(run=frames_strategy(), data=st.data())
def test_late_frames_neither_trigger_nor_prevent(run: list[SeriesPoint], data: st.DataObject) -> None:
    """In any order, with duplicates: a frame that newer ones have overtaken decides nothing, the series comes out the
    same, and the newest frame, when it comes last, decides as it does in order."""
    older, newest = run[:-1], run[-1]
    arrivals = Arrivals(BOTH, {}, [])
    for point in data.draw(st.permutations([*older, *older[::2]])):
        is_late = any(step > point.step for step in arrivals.stored)
        decision = arrivals.arrive(point)
        assert not (is_late and decision is not None)
    last = arrivals.arrive(newest)
    assert sorted(arrivals.stored.values()) == run
    assert last == decide(run[-frames_needed(BOTH) :], BOTH, TARGETS)
    assert arrivals.arrive(run[0]) is (last if len(run) == 1 else None)


def test_policies_are_off_by_default() -> None:
    """Without them nothing ends early and no window is asked for."""
    assert frames_needed(EarlyEndSettings()) == 0
    assert decide(points(*[8.2] * 20), EarlyEndSettings(), TARGETS) is None
    assert frames_needed(EarlyEndSettings(settled=SettledPolicy(frames=4), hopeless=HopelessPolicy(frames=9))) == 9


def test_final_frame_and_unknown_plan_decide_nothing() -> None:
    """A run that is over is not ended; without its planned steps nobody knows where in its schedule it is."""
    still = points(*[8.2] * 10)
    assert decide([*still[:-1], still[-1]._replace(final=True)], SETTLED, TARGETS) is None
    assert decide(points(*[8.2] * 10, planned=0), SETTLED, TARGETS) is None
    assert decide([], SETTLED, TARGETS) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"settled": {"frames": 1}},
        {"settled": {"within_deg": 0.0}},
        {"settled": {"after_fraction": 1.1}},
        {"settled": {"min_order": float("nan")}},
        {"settled": {"within": 0.1}},
        {"settled": {"sigma_deg": 0.0}},
        {"settled": {"order_within": 1.5}},
        {"hopeless": {"without_twist": False}},
        {"hopeless": {"distance_deg": -1.0}},
        {"settle": {}},
    ],
)
def test_senseless_policies_are_refused(wrong: dict[str, dict[str, float]]) -> None:
    """Values out of bounds, unknown keys, and a hopeless policy that asks for nothing."""
    with pytest.raises(ValidationError):
        EarlyEndSettings.model_validate(wrong)
