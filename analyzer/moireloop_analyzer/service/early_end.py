"""Decides whether a run ends before its schedule: its twist has settled, or it is hopeless (pure).

A periodic cell admits only discrete coherent twists. As a rule, a layer that has locked into one of them keeps it
through the quench, so the rest of the schedule adds nothing to the twist. A layer that is still molten, or lies far
from every target, may be given up in favour of another candidate.

Equal twists alone do not distinguish a locked layer from a wandering one: three frames with a standard error of 0.5
degrees lie within 0.05 degrees of each other by chance in one of 360 windows, and a run has many windows. So the mean
of the window must be known well enough, and the order must have stopped rising. The policy `learnt` needs no window: it
learns from whole runs of the campaign how likely a twist is to stay (moireloop_analyzer.settling).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from moireloop_analyzer.settings import EarlyEndSettings, HopelessPolicy, SettledPolicy
from moireloop_analyzer.settling.landmarks import REACH
from moireloop_analyzer.settling.sureness import Sureness, Verdict
from moireloop_broker.state.series import SeriesPoint

LEAST_SIGMA_DEG: Final = 1e-6

LEAST_SPREAD_DEG: Final = 0.0005


@dataclass(frozen=True)
class Decision:
    """The decision to end a run at this step, with its reason; `verdict` comes from the policy `learnt`."""

    ending: Literal["settled", "hopeless"]
    reason: str
    step: int
    verdict: Verdict | None = None


def frames_needed(policies: EarlyEndSettings) -> int:
    """How many of the newest points a decision needs; 0 if all policies are off."""
    windows = [policy.frames for policy in (policies.settled, policies.hopeless) if policy]
    return max([*windows, REACH if policies.learnt else 0])


def decide(
    points: Sequence[SeriesPoint],
    policies: EarlyEndSettings,
    targets_deg: Sequence[float],
    sureness: Sureness | None = None,
) -> Decision | None:
    """The decision to end a run now; None while it continues.

    Args:
        points: the newest points of one attempt by step, oldest first: all, or at least `frames_needed`. Dropped
            frames are missing, so a window then spans more of the run, never fewer frames.
        policies: which policies are on, with their settings.
        targets_deg: the wanted twists in degrees.
        sureness: what the policy `learnt` has learnt so far; None while that is too little.
    """
    if not points or points[-1].final or points[-1].fraction is None:
        return None
    if policies.settled is not None and (reason := _why_settled(points, policies.settled)):
        return Decision("settled", reason, points[-1].step)
    if policies.learnt is not None and sureness is not None and (verdict := sureness.verdict(points)) is not None:
        return Decision("settled", _why_sure(verdict, points), points[-1].step, verdict)
    if policies.hopeless is not None and (reason := _why_hopeless(points, policies.hopeless, targets_deg)):
        return Decision("hopeless", reason, points[-1].step)
    return None


def decide_at(
    step: int,
    points: Sequence[SeriesPoint],
    policies: EarlyEndSettings,
    targets_deg: Sequence[float],
    sureness: Sureness | None = None,
) -> Decision | None:
    """The decision after the frame of this step has arrived; `points` as for `decide`.

    A frame that arrives after newer ones leads to no decision, so the order of arrival does not matter; later frames
    see it in its place.
    """
    return decide(points, policies, targets_deg, sureness) if points and points[-1].step == step else None


def decide_along(
    points: Sequence[SeriesPoint],
    policies: EarlyEndSettings,
    targets_deg: Sequence[float],
    sureness: Sureness | None = None,
) -> Decision | None:
    """The first decision along the whole series of a run; None if it would have run to its end."""
    needed = frames_needed(policies)
    ends = range(1, len(points) + 1)
    decisions = (decide(points[max(0, end - needed) : end], policies, targets_deg, sureness) for end in ends)
    return next((decision for decision in decisions if decision is not None), None)


def _window(points: Sequence[SeriesPoint], frames: int, after_fraction: float) -> Sequence[SeriesPoint]:
    """The newest points of the window; empty before that part of the schedule or if there are too few."""
    is_due = len(points) >= frames and (points[-1].fraction or 0.0) >= after_fraction
    return points[-frames:] if is_due else ()


def _why_settled(points: Sequence[SeriesPoint], policy: SettledPolicy) -> str | None:
    window = _window(points, policy.frames, policy.after_fraction)
    twists = [point.twist_deg for point in window if point.twist_deg is not None and _is_ordered(point, policy)]
    if not window or len(twists) < len(window):
        return None
    spread, sigma_deg = max(twists) - min(twists), standard_error_deg(window)
    if spread > policy.within_deg or sigma_deg > policy.sigma_deg or _order_spread(window) > policy.order_within:
        return None
    still = f"twist within {round(spread, 3):g} degrees" if spread >= LEAST_SPREAD_DEG else "twist unchanged"
    words = f"{still}, standard error {round(sigma_deg, 3):g},"
    return f"{words} over {len(window)} frames {_where(window)}"


def _why_sure(verdict: Verdict, points: Sequence[SeriesPoint]) -> str:
    what = f"twist {round(verdict.claim_deg, 2):g} degrees stays with probability {round(verdict.probability, 3):g}"
    return f"{what} by {verdict.runs} whole runs, {_where(points)}"


def standard_error_deg(points: Iterable[SeriesPoint]) -> float:
    """Standard error of the mean twist, each frame weighted by its own error; infinite if one is unknown."""
    sigmas = [point.sigma_deg for point in points]
    known = [max(sigma, LEAST_SIGMA_DEG) for sigma in sigmas if sigma is not None]
    if not known or len(known) < len(sigmas):
        return math.inf
    return math.sqrt(1 / sum(1 / sigma**2 for sigma in known))


def _order_spread(window: Sequence[SeriesPoint]) -> float:
    """The range of |psi6| over the window, in the layer with the larger one."""
    orders = ([p.order_lower or 0.0 for p in window], [p.order_upper or 0.0 for p in window])
    return max(max(layer) - min(layer) for layer in orders)


def _is_ordered(point: SeriesPoint, policy: SettledPolicy) -> bool:
    return min(point.order_lower or 0.0, point.order_upper or 0.0) >= policy.min_order


def _why_hopeless(points: Sequence[SeriesPoint], policy: HopelessPolicy, targets_deg: Sequence[float]) -> str | None:
    window = _window(points, policy.frames, policy.after_fraction)
    why_frames = [_why_no_good(point, policy, targets_deg) for point in window]
    reasons = sorted({reason for reason in why_frames if reason is not None})
    if not window or None in why_frames:
        return None
    return f"{' or '.join(reasons)} in {len(window)} frames {_where(window)}"


def _why_no_good(point: SeriesPoint, policy: HopelessPolicy, targets_deg: Sequence[float]) -> str | None:
    if point.twist_deg is None:
        return "no twist" if policy.without_twist else None
    if policy.distance_deg is None:
        return None
    beyond_deg = policy.distance_deg + (point.sigma_deg or 0.0)
    if all(abs(point.twist_deg - target) > beyond_deg for target in targets_deg):
        return f"twist more than {policy.distance_deg:g} degrees off every target"
    return None


def _where(window: Sequence[SeriesPoint]) -> str:
    return f"up to step {window[-1].step} of {window[-1].planned_steps}"
