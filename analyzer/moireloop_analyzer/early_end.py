"""When a run in flight is over before its schedule is: its twist has settled, or it is hopeless (pure).

A periodic cell admits only discrete coherent twists. A layer that has locked into one of them keeps it through
the quench as a rule, so the rest of the schedule adds nothing to the twist; one that is still molten, or lies far from
all that is wanted, may be given up in favour of another candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moireloop_analyzer.settings import EarlyEndSettings, HopelessPolicy, SettledPolicy
from moireloop_broker.series import SeriesPoint


@dataclass(frozen=True)
class Decision:
    """To end a run at this step, and why."""

    ending: Literal["settled", "hopeless"]
    reason: str
    step: int


def frames_needed(policies: EarlyEndSettings) -> int:
    """The newest points of a series that a decision looks at; 0 where both policies are off."""
    return max((policy.frames for policy in (policies.settled, policies.hopeless) if policy), default=0)


def decide(points: Sequence[SeriesPoint], policies: EarlyEndSettings, targets_deg: Sequence[float]) -> Decision | None:
    """Whether a run is to end now; None while it goes on.

    Args:
        points: the newest points of one attempt by step, oldest first, as many as there are or more than
            `frames_needed`. Frames that were dropped are simply not there: a window of so many frames then spans
            more of the run, never fewer frames.
        policies: which of the two are on, and their numbers.
        targets_deg: the wanted twists in degrees.
    """
    if not points or points[-1].final or points[-1].fraction is None:
        return None
    if policies.settled is not None and (reason := _why_settled(points, policies.settled)):
        return Decision("settled", reason, points[-1].step)
    if policies.hopeless is not None and (reason := _why_hopeless(points, policies.hopeless, targets_deg)):
        return Decision("hopeless", reason, points[-1].step)
    return None


def decide_along(
    points: Sequence[SeriesPoint], policies: EarlyEndSettings, targets_deg: Sequence[float]
) -> Decision | None:
    """The first decision that a run with this whole series would have met; None if it would have run to its end."""
    needed = frames_needed(policies)
    ends = range(1, len(points) + 1)
    decisions = (decide(points[max(0, end - needed) : end], policies, targets_deg) for end in ends)
    return next((decision for decision in decisions if decision is not None), None)


def _window(points: Sequence[SeriesPoint], frames: int, after_fraction: float) -> Sequence[SeriesPoint]:
    """The newest so many points; empty before that part of the schedule, or while there are fewer."""
    is_due = len(points) >= frames and (points[-1].fraction or 0.0) >= after_fraction
    return points[-frames:] if is_due else ()


def _why_settled(points: Sequence[SeriesPoint], policy: SettledPolicy) -> str | None:
    window = _window(points, policy.frames, policy.after_fraction)
    twists = [point.twist_deg for point in window if point.twist_deg is not None and _is_ordered(point, policy)]
    if not window or len(twists) < len(window):
        return None
    spread = max(twists) - min(twists)
    if spread > policy.within_deg:
        return None
    return f"twist within {round(spread, 3):g} degrees over {len(window)} frames {_where(window)}"


def _is_ordered(point: SeriesPoint, policy: SettledPolicy) -> bool:
    return min(point.order_lower or 0.0, point.order_upper or 0.0) >= policy.min_order


def _why_hopeless(points: Sequence[SeriesPoint], policy: HopelessPolicy, targets_deg: Sequence[float]) -> str | None:
    window = _window(points, policy.frames, policy.after_fraction)
    found = [_why_no_good(point, policy, targets_deg) for point in window]
    reasons = sorted({reason for reason in found if reason is not None})
    if not window or None in found:
        return None
    return f"{' or '.join(reasons)} in {len(window)} frames {_where(window)}"


def _why_no_good(point: SeriesPoint, policy: HopelessPolicy, targets_deg: Sequence[float]) -> str | None:
    if point.twist_deg is None:
        return "no twist" if policy.without_twist else None
    if policy.distance_deg is None:
        return None
    if all(abs(point.twist_deg - target) > policy.distance_deg for target in targets_deg):
        return f"twist more than {policy.distance_deg:g} degrees off every target"
    return None


def _where(window: Sequence[SeriesPoint]) -> str:
    return f"up to step {window[-1].step} of {window[-1].planned_steps}"
