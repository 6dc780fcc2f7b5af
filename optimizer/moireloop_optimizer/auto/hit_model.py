"""How likely a run at a point comes within the tolerance of a target, given all finished and pending runs (pure).

It combines a Gaussian process on the twist (twist_process), recurring twists seen nearby and twists predicted from
layers where these do better (repeated_twists, layer_pairs), and how often runs nearby had a twist at all. Where growths
of the chamber are given, the process has learnt from them too (joint). The number of runs decides what is fitted when,
so the same runs in the same order give the same model. Where many points are requested at once, as by thousands of
workers, time decides too: fits take a tenth of it at most.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import numpy as np
import torch
from scipy.spatial.distance import cdist

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.foresight import OF_LAYERS, OF_TWISTS, gains, trust
from moireloop_optimizer.auto.joint import JointModel
from moireloop_optimizer.auto.repeated_twists import Habits, RepeatedTwists, choose_habits
from moireloop_optimizer.auto.twist_process import Floats, Prediction, TwistProcess, fit_theta, mass_within
from moireloop_optimizer.growths import FEWEST_GROWTHS, Growths
from moireloop_optimizer.runs import Runs

logger = logging.getLogger(__name__)

MOST_FITTED: Final = 160
"""Runs that hyperparameters and habits are fitted to, evenly spaced in their order."""

MOST_HELD: Final = 1200
"""Runs that the model holds; beyond, the newest, those nearest to the targets, and some of the others."""

FEWEST_FOR_HABITS: Final = 5

FEWEST_FOR_GROWTHS: Final = 8
"""Runs with a twist below which growths of the chamber teach nothing."""

MOST_PENDING: Final = 64

GROWTH: Final = 1.12

FRESH_EVERY: Final = 3

REFIT_SHARE: Final = 0.1

REFUSAL_REACH: Final = 0.2


@dataclass(frozen=True)
class _Fitted:
    theta: torch.Tensor
    habits: Habits | None
    trust: float


@dataclass(frozen=True)
class _Latest:
    """The newest fit: to which runs, when by the monotonic clock, and in how many seconds."""

    key: tuple[int, bytes]
    fit: _Fitted
    at_s: float
    took_s: float


@dataclass
class FitCache:
    """Fits by the number of runs that they saw, so that each is begun from the one before it."""

    fits: dict[tuple[int, bytes], _Fitted] = field(default_factory=dict)
    latest: _Latest | None = None

    def at(self, runs: Runs, *, hurried: bool = False) -> _Fitted:
        """The fit for as many of the runs, all with a twist, as the schedule has; made now if not made before.

        Args:
            hurried: an earlier fit to the first of these runs will do while another would take more than REFIT_SHARE
                of the time.
        """
        latest = self.latest
        if hurried and latest is not None and _is_early(latest) and latest.key == _key(runs.first(latest.key[0])):
            return latest.fit
        return self._on_schedule(runs)

    def _on_schedule(self, runs: Runs) -> _Fitted:
        steps = schedule(len(runs))
        number = len(steps) - 1
        start = number - number % FRESH_EVERY
        earlier: _Fitted | None = None
        for count in steps[start:]:
            first = runs.first(count)
            key = _key(first)
            if key not in self.fits:
                began_s = time.monotonic()
                self.fits[key] = _fit(first, earlier)
                self.latest = _Latest(key, self.fits[key], time.monotonic(), time.monotonic() - began_s)
            earlier = self.fits[key]
        self.fits = {key: fit for key, fit in self.fits.items() if key[0] in steps[start:]}
        if earlier is None:
            raise ValueError("expected at least one run with a twist, got none")
        return earlier


def _is_early(latest: _Latest) -> bool:
    return (time.monotonic() - latest.at_s) * REFIT_SHARE < latest.took_s


def _key(runs: Runs) -> tuple[int, bytes]:
    """By number and content: results of other runs, or in other bounds, are another fit."""
    return len(runs), sha256(b"".join(each.tobytes() for each in _inputs_of_fit(runs))).digest()


def _inputs_of_fit(runs: Runs) -> list[Floats]:
    """All arrays that a fit depends on."""
    return [runs.points, runs.twist_deg, *([] if runs.lattices is None else [runs.lattices])]


def schedule(n: int) -> list[int]:
    """Numbers of runs at which there is a fit, up to n: each about an eighth more than the one before."""
    steps = [1]
    while (following := max(steps[-1] + 1, int(steps[-1] * GROWTH))) <= n:
        steps.append(following)
    return steps


class HitModel:
    """What N runs, at least one of them with a twist, predict for a further one.

    `trust` is the share of proposals, in [0, 1], that it should make (foresight). `joint` has simulation and chamber in
    one posterior, None where too little is known or nothing is to be learnt from the chamber.

    Args:
        runs: what was measured.
        pending: (m, d) points on their way; beyond 64 the newest.
        targets: wanted twists; those that the model is held small for.
        cache: fits made before.
        hurried: as of `FitCache.at`.
    """

    def __init__(
        self, runs: Runs, pending: Points, targets: Sequence[Target], cache: FitCache, *, hurried: bool = False
    ) -> None:
        measured = np.isfinite(runs.twist_deg)
        known = runs.where(measured)
        fitted = cache.at(known, hurried=hurried)
        in_model = known.where(_is_in_model(known.twist_deg, targets))
        self._all_points, self._measured = runs.points[-MOST_HELD:], measured[-MOST_HELD:]
        self._process = TwistProcess(in_model.points, in_model.twist_deg, fitted.theta)
        self.joint = _joint(self._process, len(known), runs.growths)
        self._repeats: RepeatedTwists | None = None
        if fitted.habits is not None:
            self._repeats = RepeatedTwists(in_model.points, in_model.twist_deg, fitted.habits, in_model.lattices)
        self.trust = fitted.trust
        self._pending = pending[:0]
        self._at_pending: Prediction | None = None
        self.wait_for(pending)

    def wait_for(self, points: Points) -> None:
        """Take in (j, d) further points on their way."""
        self._pending = np.concatenate([self._pending, points])[-MOST_PENDING:]
        self._at_pending = self.twist_at(self._pending) if len(self._pending) else None

    def probability(self, points: Points, targets: Sequence[Target]) -> Floats:
        """(T, m) probabilities that a run at (m, d) points comes within the tolerance of each of T targets."""
        at = self.twist_at(points)
        found = np.stack([self._of(points, at, target) for target in targets])
        return found * self._measured_share(points)

    def twist_at(self, points: Points) -> Prediction:
        """What the Gaussian process expects of the twist at (m, d) points."""
        return self._process.at(points) if self.joint is None else self.joint.at(points)

    def _of(self, points: Points, at: Prediction, target: Target) -> Floats:
        probability = mass_within(target.twist_deg, target.tolerance_deg, at.mean_deg, at.total_deg)
        if self._at_pending is not None:
            probability = probability * self._novelty(points, at, self._at_pending, target)
        if self._repeats is None:
            return probability
        return self._repeats.mass(points, target.twist_deg, target.tolerance_deg, probability, self._pending)

    def _novelty(self, points: Points, at: Prediction, at_pending: Prediction, target: Target) -> Floats:
        """(m,) probability that a hit there would be news: that no pending run would have hit as well."""
        covariance = self._process.covariance_deg2(points, at, self._pending, at_pending)
        total = (at.total_deg**2)[:, None]
        mean = at_pending.mean_deg + covariance / total * (target.twist_deg - at.mean_deg)[:, None]
        left = np.maximum(at_pending.variance_deg2 - covariance**2 / total, 1e-12)
        spread = np.sqrt(left + at_pending.noise_deg2)
        untold: Floats = np.prod(1.0 - mass_within(target.twist_deg, target.tolerance_deg, mean, spread), axis=1)
        return untold

    def _measured_share(self, points: Points) -> Floats | float:
        if self._measured.all():
            return 1.0
        nearness = np.exp(-0.5 * cdist(points, self._all_points, "sqeuclidean") / REFUSAL_REACH**2)
        share: Floats = (nearness @ self._measured + self._measured.mean()) / (nearness.sum(axis=1) + 1.0)
        return share


def _joint(process: TwistProcess, twists: int, growths: Growths | None) -> JointModel | None:
    if growths is None or len(growths) < FEWEST_GROWTHS or twists < FEWEST_FOR_GROWTHS:
        return None
    try:
        return JointModel(process, growths)
    except (ValueError, ArithmeticError) as error:
        logger.warning("growths left out growths=%d reason=%s", len(growths), error)
        return None


def _fit(runs: Runs, earlier: _Fitted | None) -> _Fitted:
    some = np.linspace(0, len(runs) - 1, min(len(runs), MOST_FITTED)).round().astype(int)
    few = runs.where(np.isin(np.arange(len(runs)), some))
    x, y = few.points, few.twist_deg
    theta = fit_theta(x, y, seed=len(runs), start=earlier.theta if earlier else None)
    if len(few) < FEWEST_FOR_HABITS:
        bar = OF_TWISTS if few.lattices is None else OF_LAYERS
        return _Fitted(theta, None, trust(np.zeros(0), bar))
    process = TwistProcess(x, y, theta)
    habits = choose_habits(x, y, process.left_out_density(), few.lattices)
    bar = OF_TWISTS if habits is None or habits.reaches is None else OF_LAYERS
    return _Fitted(theta, habits, trust(gains(x, y, process, habits, few.lattices), bar))


def _is_in_model(twist_deg: Floats, targets: Sequence[Target]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(N,) which rows the model holds."""
    count = len(twist_deg)
    if count <= MOST_HELD:
        return np.ones(count, dtype=np.bool_)
    third = MOST_HELD // 3
    distance = np.min([np.abs(twist_deg - target.twist_deg) for target in targets], axis=0)
    is_held_out = np.arange(count) >= count - third
    is_held_out[np.argsort(distance, kind="stable")[:third]] = True
    is_held_out[np.linspace(0, count - 1, third).astype(int)] = True
    return is_held_out
