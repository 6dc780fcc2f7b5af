"""When a run is sure enough of its twist to be ended, learnt from runs that went to their full end (pure).

Trees estimate for each landmark how likely its claim is right. Trees that fit their own training runs say nothing about
new ones, so each whole run is scored by trees that never saw it. A run is ended at the lowest score at which the
held-out runs would have been right often enough, each taken at the first landmark that reaches it. Taking the first
landmark favours lucky scores, so the share is counted over runs ended this way, not over landmarks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from moireloop_analyzer.settings import LearntPolicy
from moireloop_analyzer.settling.landmarks import Landmark, landmark, landmarks
from moireloop_analyzer.settling.trees import Trees, fit_trees
from moireloop_broker.contract.events import EarlyEndWithheld, Result
from moireloop_broker.state.series import SeriesPoint

Numbers = NDArray[np.float64]

FOLDS: Final = 5

RUNS_KEPT: Final = 1000
"""Newest whole runs that are learnt from; the time for it, some seconds, is bounded by them."""

LEAST_POINTS: Final = 5
"""Frames below which a series is no evidence: they were dropped."""

FINAL_FRAMES: Final = 3
"""Frames at the end of a run whose median twist is what it came to: a single one is off by its noise too often."""

THRESHOLDS: Final[Numbers] = 1 / (1 + np.exp(-np.linspace(0.0, 7.0, 281)))
"""Scores at which runs may be ended: from a half to 0.999."""


@dataclass(frozen=True)
class WholeRun:
    """A run that went to its full end: its landmarks, its final twist (None: there is none), and its weight.

    The weight is how many runs it stands for: those that were ended early have no end to learn from, and the ones that
    were sure as well but kept to their end stand for them.
    """

    candidate_id: str
    landmarks: tuple[Landmark, ...]
    final_deg: float | None
    weight: float = 1.0

    def right(self, tolerance_deg: float) -> Numbers:
        """(landmarks,) of 1 where the claim was within the tolerance of the final twist, else 0."""
        if self.final_deg is None:
            return np.zeros(len(self.landmarks))
        off = np.array([each.claim_deg for each in self.landmarks]) - self.final_deg
        return np.asarray(np.abs(off) <= tolerance_deg, dtype=np.float64)


@dataclass(frozen=True)
class Ends:
    """What a threshold would have done to whole runs, by their weights.

    `ended` and `wrong` are shares of all runs, `saved` is the share of all steps; `runs` is how many equally weighted
    ones those that were ended are worth.
    """

    ended: float
    wrong: float
    saved: float
    runs: float

    @property
    def right_share(self) -> float:
        """Share of those ended that were right, with one more wrong one counted among them: never 1."""
        wrong = self.runs * self.wrong / self.ended if self.ended else 0.0
        return 1 - (wrong + 1) / (self.runs + 1)


@dataclass(frozen=True)
class Verdict:
    """What is reported of a run that is sure: its twist now in degrees, and how likely that is right."""

    claim_deg: float
    probability: float
    runs: int


@dataclass(frozen=True)
class Sureness:
    """What was learnt: trees, the score at which a run is ended, and what that did to the held-out runs."""

    trees: Trees
    threshold: float
    ends: Ends
    basis: int
    tolerance_deg: float

    def verdict(self, points: Sequence[SeriesPoint]) -> Verdict | None:
        """The verdict at the newest point of a series; None while the run is not sure.

        Args:
            points: the newest points by step, oldest first, as `landmark` takes them.
        """
        present = landmark(points, self.tolerance_deg)
        if present is None or float(self.trees.probability(np.array([present.features]))[0]) < self.threshold:
            return None
        return Verdict(present.claim_deg, self.ends.right_share, self.basis)


def whole_run(
    candidate_id: str,
    points: Sequence[SeriesPoint],
    final_deg: float | None,
    tolerance_deg: float,
    weight: float = 1.0,
) -> WholeRun:
    """A whole run of its series and its result's twist."""
    return WholeRun(candidate_id, tuple(landmarks(points, tolerance_deg)), came_to_deg(points, final_deg), weight)


def came_to_deg(points: Sequence[SeriesPoint], final_deg: float | None) -> float | None:
    """The median twist of the last FINAL_FRAMES frames; the result's where it has none or one of these has none."""
    shown = [point.twist_deg for point in points[-FINAL_FRAMES:] if point.twist_deg is not None]
    return final_deg if final_deg is None or len(shown) < FINAL_FRAMES else median(shown)


def whole_runs_of(
    results: Iterable[Result],
    series: Mapping[tuple[str, int], Sequence[SeriesPoint]],
    withheld: Mapping[tuple[str, int], EarlyEndWithheld],
    tolerance_deg: float,
) -> list[WholeRun]:
    """The whole runs among these results, each with the series of its attempt."""
    found = []
    for result in results:
        key = result.candidate.candidate_id, result.attempt
        if went_to_its_end(result) and len(series.get(key, ())) >= LEAST_POINTS:
            weight = weight_of(withheld.get(key))
            found.append(whole_run(key[0], series[key], result.twist_deg, tolerance_deg, weight))
    return found


def went_to_its_end(result: Result) -> bool:
    """Whether a run went to its full end, with a twist or without."""
    report = result.report
    return result.informs_model and report is not None and report.ended == "completed" and report.planned_steps > 0


def weight_of(withheld: EarlyEndWithheld | None) -> float:
    """How many runs one that went to its end stands for."""
    return 1.0 if withheld is None else 1 / withheld.share


def learn(runs: Sequence[WholeRun], policy: LearntPolicy) -> Sureness | None:
    """What these runs teach; None while they are too few, or none of their scores is right often enough."""
    if len(runs) < policy.least_runs or sum(bool(run.landmarks) for run in runs) < 2 * FOLDS:
        return None
    scores = held_out_scores(runs, policy.tolerance_deg)
    if (threshold := threshold_of(runs, scores, policy.level, policy.tolerance_deg)) is None:
        return None
    return Sureness(_fitted(runs, policy.tolerance_deg), threshold[0], threshold[1], len(runs), policy.tolerance_deg)


def held_out_scores(runs: Sequence[WholeRun], tolerance_deg: float) -> list[Numbers]:
    """The scores of each run's landmarks by trees that were fitted without this run, (landmarks,) each.

    Which runs are left out together depends only on their names.
    """
    fold = folds(runs)
    scores = [np.zeros(len(run.landmarks)) for run in runs]
    for number in range(FOLDS):
        others = [run for run, its in zip(runs, fold, strict=True) if its != number]
        trees = _fitted(others, tolerance_deg)
        for place, run in enumerate(runs):
            if fold[place] == number and run.landmarks:
                scores[place] = trees.probability(_features_of([run]))
    return scores


def folds(runs: Sequence[WholeRun]) -> list[int]:
    """Which of FOLDS parts each run belongs to: equal in size, in an order unrelated to the runs."""
    ordered = sorted(range(len(runs)), key=lambda place: _digest(runs[place].candidate_id))
    part = {place: number % FOLDS for number, place in enumerate(ordered)}
    return [part[place] for place in range(len(runs))]


def threshold_of(
    runs: Sequence[WholeRun], scores: Sequence[Numbers], level: float, tolerance_deg: float
) -> tuple[float, Ends] | None:
    """The lowest score at which runs ended there are right with at least this probability, and what it does."""
    firsts = _firsts(runs, scores, tolerance_deg)
    for number, threshold in enumerate(THRESHOLDS):
        ends = _ends(firsts[:, number], runs)
        if ends.ended and ends.right_share >= level:
            return float(threshold), ends
    return None


def ends_at(
    runs: Sequence[WholeRun], scores: Sequence[Numbers], thresholds: Sequence[float | None], tolerance_deg: float
) -> Ends:
    """What it does to end each run at the first landmark that reaches its own threshold; None: at none."""
    found = [
        (np.nan, 0.0) if threshold is None else _first(run, its, np.array([threshold]), run.right(tolerance_deg))[0]
        for run, its, threshold in zip(runs, scores, thresholds, strict=True)
    ]
    return _ends(np.array(found), runs)


def is_kept_whole(candidate_id: str, full_share: float) -> bool:
    """Whether a run goes to its full end however sure it is; every analyzer says the same of it."""
    return _digest(candidate_id) < full_share


def _digest(name: str) -> float:
    """A number in [0, 1) that only the name decides."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48


def _fitted(runs: Sequence[WholeRun], tolerance_deg: float) -> Trees:
    weights = np.concatenate([np.full(len(run.landmarks), run.weight) for run in runs])
    return fit_trees(_features_of(runs), np.concatenate([run.right(tolerance_deg) for run in runs]), weights)


def _features_of(runs: Sequence[WholeRun]) -> Numbers:
    return np.array([each.features for run in runs for each in run.landmarks])


def _firsts(runs: Sequence[WholeRun], scores: Sequence[Numbers], tolerance_deg: float) -> Numbers:
    """(runs, THRESHOLDS, 2): share of the plan done where a run is ended, NaN if it is not; whether that is wrong."""
    return np.array(
        [_first(run, its, THRESHOLDS, run.right(tolerance_deg)) for run, its in zip(runs, scores, strict=True)]
    )


def _first(run: WholeRun, scores: Numbers, thresholds: Numbers, right: Numbers) -> Numbers:
    """(thresholds, 2) of one run."""
    best = np.maximum.accumulate(scores)
    at = np.searchsorted(best, thresholds, side="left")
    done = np.array([each.fraction for each in run.landmarks] + [np.nan])
    return np.stack([done[at], 1 - np.append(right, 1.0)[at]], axis=1)


def _ends(firsts: Numbers, runs: Sequence[WholeRun]) -> Ends:
    weights = np.array([run.weight for run in runs])
    is_ended = ~np.isnan(firsts[:, 0])
    mine, total = weights[is_ended], weights.sum()
    if not len(mine):
        return Ends(0.0, 0.0, 0.0, 0.0)
    wrong, saved = mine @ firsts[is_ended, 1], mine @ (1 - firsts[is_ended, 0])
    return Ends(mine.sum() / total, wrong / total, saved / total, float(mine.sum() ** 2 / (mine @ mine)))
