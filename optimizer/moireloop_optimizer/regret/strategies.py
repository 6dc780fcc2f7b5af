"""The paper's strategies, on the regret against one target: expected improvement, Thompson sampling, random (pure)."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch

from moireloop_broker.contract.search import Points
from moireloop_optimizer.regret.model import DOUBLE, Fitted, fit, informative
from moireloop_optimizer.runs import Observed
from moireloop_optimizer.sobol import sobol_points

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=DeprecationWarning)
    from botorch.acquisition.logei import qLogExpectedImprovement
    from botorch.exceptions.warnings import OptimizationWarning
    from botorch.generation.gen import gen_candidates_scipy
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.sampling.qmc import NormalQMCEngine
    from linear_operator.utils.warnings import NumericalWarning

logger = logging.getLogger(__name__)

PaperName = Literal["qei", "thompson", "random"]

MC_SAMPLES = 128

RESTARTS = 3

ASCENT_ITERATIONS = 30

MOST_JOINT_PENDING = 16

MOST_GREEDY = 16

MOST_DRAWS = 256

SPREAD_POINTS = 512

LOCAL_POINTS = 128

RAW_SPREAD_POINTS = 96

RAW_LOCAL_POINTS = 32

CLOUD_WIDTHS = (0.02, 0.1)

LEAST_DISTANCE = 1e-6


@dataclass(frozen=True)
class Chosen:
    """Points (n, d) in the unit cube, and how they came about; see suggestion.Suggestion."""

    points: Points
    made_by: str
    fit_failed: bool = False
    fit_s: float = 0.0
    acquisition_s: float = 0.0


class PaperStrategy(Protocol):
    """Chooses the next points for one target."""

    def suggest(self, n: int, observed: Observed, pending: Points, *, index: int) -> Chosen:
        """The next n points, inside the unit cube and finite.

        Args:
            n: how many points.
            observed: what has been measured.
            pending: (m, d) points that are queued, running or not yet analysed.
            index: how many points have been proposed before; with the seed it fixes every random number.
        """
        ...


class RandomStrategy:
    """A scrambled Sobol sequence, whatever has been observed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def suggest(self, n: int, observed: Observed, pending: Points, *, index: int) -> Chosen:
        """The next n points of the sequence, from position `index`."""
        return Chosen(sobol_points(n, observed.points.shape[1], seed=self._seed, index=index), "random")


class QeiStrategy:
    """Expected improvement over the best posterior mean, with pending points integrated out.

    Batches are built greedily. Beyond 16 points a batch continues with Thompson draws, so that its time stays
    bounded; beyond 16 pending points the older ones count as observed at their posterior mean. Source: Ament,
    Daulton, Eriksson, Balandat and Bakshy, "Unexpected Improvements to Expected Improvement" (2023),
    arXiv:2310.20708.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def suggest(self, n: int, observed: Observed, pending: Points, *, index: int) -> Chosen:
        """The next n points; see PaperStrategy."""
        return _modelled(self._choose, "qei", n, observed, pending, (self._seed, index))

    def _choose(self, fitted: Fitted, pending: torch.Tensor, n: int, seed: int) -> torch.Tensor:
        greedy = min(n, MOST_GREEDY)
        chosen = _ascend_greedily(fitted, pending, greedy, seed)
        if greedy == n:
            return chosen
        return torch.cat([chosen, _thompson_draws(fitted, torch.cat([pending, chosen]), n - greedy, seed)])


class ThompsonStrategy:
    """Batch Thompson sampling: each point is the best one of its own draw from the joint posterior.

    The draws are quasi-random (Sobol), over a Sobol set and points around the best ones so far. Source:
    Kandasamy, Krishnamurthy, Schneider and Poczos, "Parallelised Bayesian Optimisation via Thompson Sampling"
    (2018), arXiv:1705.09236.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def suggest(self, n: int, observed: Observed, pending: Points, *, index: int) -> Chosen:
        """The next n points; see PaperStrategy. None of them is a pending point or another of them."""
        return _modelled(_thompson_draws, "thompson", n, observed, pending, (self._seed, index))


def paper_strategy(name: PaperName, seed: int) -> PaperStrategy:
    """The strategy of a name, drawing its random numbers from a seed."""
    strategies: dict[PaperName, type[RandomStrategy] | type[QeiStrategy] | type[ThompsonStrategy]] = {
        "random": RandomStrategy,
        "qei": QeiStrategy,
        "thompson": ThompsonStrategy,
    }
    return strategies[name](seed)


class _Choose(Protocol):
    def __call__(self, fitted: Fitted, pending: torch.Tensor, n: int, seed: int, /) -> torch.Tensor: ...


def _modelled(choose: _Choose, name: str, n: int, observed: Observed, pending: Points, seed: tuple[int, int]) -> Chosen:
    began = time.perf_counter()
    data = informative(observed)
    if data is None or n == 0:
        return _stand_in(n, observed, seed, failed=False)
    fitted = fit(data)
    fit_s = time.perf_counter() - began
    try:
        some = min(n, MOST_DRAWS)
        points = choose(fitted, torch.as_tensor(pending, dtype=DOUBLE), some, _torch_seed(seed)).numpy()
    except (RuntimeError, ValueError, ArithmeticError) as error:
        logger.warning("model unusable strategy=%s points=%d reason=%s", name, len(data.values), error)
        return _stand_in(n, observed, seed, failed=True)
    if not np.isfinite(points).all():
        logger.warning("model unusable strategy=%s points=%d reason=not finite", name, len(data.values))
        return _stand_in(n, observed, seed, failed=True)
    rest = sobol_points(n - some, points.shape[1], seed=seed[0], index=seed[1] + some)
    whole = np.clip(np.concatenate([points, rest]), 0.0, 1.0)
    return Chosen(whole, name, fitted.fell_back, fit_s, time.perf_counter() - began - fit_s)


def _stand_in(n: int, observed: Observed, seed: tuple[int, int], *, failed: bool) -> Chosen:
    points = sobol_points(n, observed.points.shape[1], seed=seed[0], index=seed[1])
    return Chosen(points, "sobol", failed)


def _torch_seed(seed: tuple[int, int]) -> int:
    return int(np.random.SeedSequence(seed).generate_state(1)[0]) >> 1


def _ascend_greedily(fitted: Fitted, pending: torch.Tensor, n: int, seed: int) -> torch.Tensor:
    """(n, d) points, each the best expected improvement given the ones before it and the pending ones."""
    if len(pending) > MOST_JOINT_PENDING:
        fitted = fitted.believing(pending[:-MOST_JOINT_PENDING])
        pending = pending[-MOST_JOINT_PENDING:]
    heights = fitted.mean(fitted.points)
    best, summits = heights.max(), _summits(fitted.points, heights)
    chosen = pending[:0]
    for k in range(n):
        acquisition = qLogExpectedImprovement(
            fitted.gp,
            best_f=best,
            sampler=SobolQMCNormalSampler(torch.Size([MC_SAMPLES]), seed=seed + k),
            X_pending=torch.cat([pending, chosen]),
        )
        raw = _pool(summits, RAW_SPREAD_POINTS, RAW_LOCAL_POINTS, seed + k)
        chosen = torch.cat([chosen, _ascend(acquisition, raw)])
    return chosen


def _ascend(acquisition: qLogExpectedImprovement, raw: torch.Tensor) -> torch.Tensor:
    """(1, d): the maximum of an acquisition function, climbed to from the best of (m, d) raw points."""
    with _expected_warnings(), torch.no_grad():
        starts = raw[acquisition(raw.unsqueeze(1)).topk(min(RESTARTS, len(raw))).indices]
    with _expected_warnings():
        points, heights = gen_candidates_scipy(
            starts.unsqueeze(1),
            acquisition,
            lower_bounds=0.0,
            upper_bounds=1.0,
            options={"maxiter": ASCENT_ITERATIONS},
        )
    found: torch.Tensor = points[heights.argmax()].detach()
    return found


@contextmanager
def _expected_warnings() -> Iterator[None]:
    """Keep back the two warnings that an ascent is expected to give, and no other.

    Nearly equal points make a joint covariance singular to rounding, and the jitter that linear_operator then
    adds (and reports) is the remedy. An ascent that stops early still has its best point; this one is recorded
    and dropped, since BoTorch sets its own filter, "always", around it.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", NumericalWarning)
        yield
    for warning in caught:
        if not issubclass(warning.category, OptimizationWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _thompson_draws(fitted: Fitted, pending: torch.Tensor, n: int, seed: int, /) -> torch.Tensor:
    """(n, d) points: the best of each of n draws from the joint posterior over a pool, no point twice."""
    summits = _summits(fitted.points, fitted.mean(fitted.points))
    pool = _pool(summits, max(SPREAD_POINTS, 4 * n), LOCAL_POINTS, seed)
    if len(pending):
        pool = pool[torch.cdist(pool, pending).amin(dim=1) > LEAST_DISTANCE]
    draws = _joint_draws(fitted, pool, n, seed)
    picked: list[int] = []
    for draw in draws:
        draw[picked] = -torch.inf
        picked.append(int(draw.argmax()))
    return pool[picked]


def _joint_draws(fitted: Fitted, pool: torch.Tensor, n: int, seed: int) -> torch.Tensor:
    """(n, m) draws from the joint posterior at (m, d) points, from a scrambled Sobol normal sequence."""
    with torch.no_grad():
        mean, covariance = fitted.joint(pool)
        normals = torch.empty(n, len(pool), dtype=DOUBLE)
        NormalQMCEngine(len(pool), seed=seed).draw(n, out=normals, dtype=DOUBLE)
        draws: torch.Tensor = mean + normals @ _cholesky(covariance).T
    return draws


def _cholesky(covariance: torch.Tensor) -> torch.Tensor:
    """Lower Cholesky factor of a covariance that is singular to rounding; the jitter grows until it succeeds."""
    identity = torch.eye(len(covariance), dtype=covariance.dtype)
    root: torch.Tensor
    for jitter in (1e-8, 1e-6):
        root, failed = torch.linalg.cholesky_ex(covariance + jitter * identity)
        if not failed:
            return root
    root = torch.linalg.cholesky(covariance + 1e-4 * identity)
    return root


def _summits(points: torch.Tensor, heights: torch.Tensor) -> Points:
    """(k, d): the at most four highest of (N, d) points."""
    summits: Points = points[heights.topk(min(4, len(points))).indices].numpy()
    return summits


def _pool(summits: Points, spread: int, local: int, seed: int) -> torch.Tensor:
    """Different points of the unit cube: a Sobol set, and Gaussian clouds around (k, d) summits."""
    dimension = summits.shape[1]
    rng = np.random.default_rng(seed)
    widths = rng.choice(CLOUD_WIDTHS, size=(local, 1))
    around = summits[rng.integers(len(summits), size=local)] + widths * rng.standard_normal((local, dimension))
    everything = np.concatenate([sobol_points(spread, dimension, seed=seed), np.clip(around, 0.0, 1.0)])
    return torch.as_tensor(np.unique(everything, axis=0), dtype=DOUBLE)
