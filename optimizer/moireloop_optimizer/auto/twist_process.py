"""A Gaussian process on the twist itself (pure).

It has a Matern-5/2 kernel with a length scale for each dimension, noise in proportion to the signal, a constant mean
and a linear trend; mean, trend and variance of the signal are integrated out or taken at their maximum in closed form
(Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), section 2.7 and chapter 5). Length scales and
noise are searched for by sampling, many sets at once, and the most likely set is taken: a mixture of the best few was
measured to be no better (docs/search.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtr, ndtri

from moireloop_broker.contract.search import Points
from moireloop_optimizer.sobol import sobol_points

Floats = npt.NDArray[np.float64]

DOUBLE: Final = torch.float64

LENGTH_MEDIAN, LENGTH_WIDTH = 0.3, 0.9

NOISE_MEDIAN, NOISE_WIDTH = 1e-4, 2.5
"""Log-normal priors: of length scales, in sides of the unit cube, and of the noise variance over the signal's."""

TREND_PRIOR: Final = 3.0
"""Prior variance of the slope along each axis, in the signal's, per side of the unit cube."""

SIGNAL_PRIOR: Final = 2.0
"""Runs that the prior of the signal's variance (the variance of the observed twists) counts for."""

FIRST_DRAWS: Final = 64

FURTHER_DRAWS: Final = 24

ROUNDS: Final = 3

JITTER: Final = 1e-8

LEAST_SPREAD_DEG: Final = 1e-3

LEAST_VARIANCE: Final = 1e-10
"""In the signal's."""


@dataclass(frozen=True)
class Prediction:
    """At m points: means and variances (m,) of the twist, and the variance of the noise of one run."""

    mean_deg: Floats
    variance_deg2: Floats
    noise_deg2: float
    whitened: torch.Tensor

    @property
    def total_deg(self) -> Floats:
        """(m,) standard deviations of one run at each point, in degrees."""
        total: Floats = np.sqrt(self.variance_deg2 + self.noise_deg2)
        return total


class TwistProcess:
    """The process, given runs.

    Args:
        points: (N, d) points of the unit cube, N at least 1.
        twist_deg: (N,) their twists in degrees, all finite.
        theta: (d + 1,) logarithms of length scales and noise, as from `fit_theta`.
    """

    def __init__(self, points: Points, twist_deg: Floats, theta: torch.Tensor) -> None:
        self._center_deg, self._scale_deg = float(twist_deg.mean()), max(float(twist_deg.std()), LEAST_SPREAD_DEG)
        self._x = torch.as_tensor(points, dtype=DOUBLE)
        self._y = torch.as_tensor((twist_deg - self._center_deg) / self._scale_deg, dtype=DOUBLE)
        self._solved = _solve(self._x, self._y, theta[None])

    def at(self, points: Points) -> Prediction:
        """The prediction at (m, d) points."""
        solved, x = self._solved, torch.as_tensor(points, dtype=DOUBLE)
        kernel = _covariance(x, self._x, solved.lengths)[0]
        mean = kernel @ solved.alpha[0] + solved.mean[0]
        whitened = torch.linalg.solve_triangular(solved.root[0], kernel.T, upper=False)
        prior = 1.0 + TREND_PRIOR * _inside(x).square().sum(1)
        variance = (prior - (whitened * whitened).sum(0)).clamp_min(LEAST_VARIANCE) * solved.signal[0]
        square = self._scale_deg**2
        return Prediction(
            mean.numpy() * self._scale_deg + self._center_deg,
            variance.numpy() * square,
            float(solved.noise[0] * solved.signal[0]) * square,
            whitened,
        )

    def covariance_deg2(self, points: Points, at: Prediction, others: Points, at_others: Prediction) -> Floats:
        """(m, j) posterior covariances of the twist at (m, d) points and at (j, d) others."""
        x, o = (torch.as_tensor(rows, dtype=DOUBLE) for rows in (points, others))
        prior = _covariance(x, o, self._solved.lengths)[0]
        shared = at.whitened.T @ at_others.whitened
        covariance: Floats = ((prior - shared) * self._solved.signal[0]).numpy() * self._scale_deg**2
        return covariance

    def informed(self, at: Prediction, shift_deg: Floats, whitened_deg: Floats) -> Prediction:
        """A prediction after further observations of the same process.

        Args:
            at: what the process predicts without them.
            shift_deg: (m,) by how much they move the means.
            whitened_deg: (j, m) covariances with the j observations, solved by the Cholesky root of theirs.
        """
        unit_deg = math.sqrt(float(self._solved.signal[0])) * self._scale_deg
        new = torch.as_tensor(whitened_deg / unit_deg, dtype=DOUBLE)
        variance = np.maximum(at.variance_deg2 - (whitened_deg**2).sum(axis=0), LEAST_VARIANCE * unit_deg**2)
        return Prediction(at.mean_deg + shift_deg, variance, at.noise_deg2, torch.cat([at.whitened, new]))

    def left_out_density(self) -> Floats:
        """(N,) density, per degree, of each run's twist as the process predicts it from the other runs.

        Source: Sundararajan and Keerthi, "Predictive Approaches for Choosing Hyperparameters in Gaussian Processes",
        Neural Computation 13, 1103 (2001).
        """
        solved = self._solved
        precision = torch.cholesky_inverse(solved.root[0]).diagonal()
        off = (solved.alpha[0] / precision).numpy() * self._scale_deg
        spread = (solved.signal[0] / precision).sqrt().numpy() * self._scale_deg
        return normal_density(off, spread)

    def density_without(self, some: Sequence[npt.NDArray[np.bool_]], twist_deg: Floats) -> Floats:
        """(V, N) density, per degree, of each of (V,) twists at the point of each run, without that run and others.

        Args:
            some: V masks (N,) of the runs that are left out with it.
            twist_deg: (V,) twists in degrees.
        """
        solved = self._solved
        precision, alpha = torch.cholesky_inverse(solved.root[0]).numpy(), solved.alpha[0].numpy()
        wanted = (twist_deg - self._center_deg) / self._scale_deg
        rows = [
            self._without(precision, alpha, np.flatnonzero(out), twist) for out, twist in zip(some, wanted, strict=True)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(some), len(alpha)) / self._scale_deg

    def _without(self, precision: Floats, alpha: Floats, out: npt.NDArray[np.intp], twist: float) -> Floats:
        """(N,) density of a standardized twist, by the inverse of the covariance without some of its rows."""
        own = np.linalg.inv(precision[np.ix_(out, out)])
        left_over = own @ precision[out]
        diagonal = precision.diagonal() - (precision[out] * left_over).sum(axis=0)
        weight = alpha - left_over.T @ alpha[out]
        diagonal[out], weight[out] = 1.0 / own.diagonal(), own @ alpha[out] / own.diagonal()
        diagonal = np.maximum(diagonal, JITTER)
        mean = self._y.numpy() - weight / diagonal
        return normal_density(twist - mean, np.sqrt(float(self._solved.signal[0]) / diagonal))


def fit_theta(points: Points, twist_deg: Floats, *, seed: int, start: torch.Tensor | None = None) -> torch.Tensor:
    """The most likely set of hyperparameters, (d + 1,): logarithms of length scales and of the noise.

    Drawn from their prior (a Sobol set) and then around the best, in rounds.

    Args:
        points: (N, d) points of the unit cube.
        twist_deg: (N,) their twists in degrees.
        seed: of the draws around the best.
        start: (d + 1,) another set to begin with, such as an earlier fit's.
    """
    dimension = points.shape[1]
    x = torch.as_tensor(points, dtype=DOUBLE)
    y = torch.as_tensor((twist_deg - twist_deg.mean()) / max(twist_deg.std(), LEAST_SPREAD_DEG), dtype=DOUBLE)
    middle, width = _prior(dimension)
    uniform = sobol_points(FIRST_DRAWS, dimension + 1, seed=0)
    theta = middle + width * torch.as_tensor(ndtri(np.clip(uniform, 1e-3, 1.0 - 1e-3)), dtype=DOUBLE)
    theta = theta if start is None else torch.cat([theta, start[None]])
    score = _solve(x, y, theta).score
    rng = np.random.default_rng(seed)
    for number in range(ROUNDS):
        step = torch.as_tensor(rng.standard_normal((FURTHER_DRAWS, dimension + 1)), dtype=DOUBLE)
        drawn = theta[score.argmax()] + 0.4 * 0.6**number * width * step
        theta, score = torch.cat([theta, drawn]), torch.cat([score, _solve(x, y, drawn).score])
    return theta[score.argmax()]


def normal_density(off: Floats, spread: Floats | float) -> Floats:
    """Density of a normal distribution at a distance from its mean."""
    density: Floats = np.exp(-0.5 * (off / spread) ** 2) / (spread * math.sqrt(2.0 * math.pi))
    return density


def mass_within(target_deg: float, tolerance_deg: float, mean_deg: Floats, spread_deg: Floats | float) -> Floats:
    """Probability that normal twists lie within the tolerance of a target."""
    high = (target_deg + tolerance_deg - mean_deg) / spread_deg
    low = (target_deg - tolerance_deg - mean_deg) / spread_deg
    mass: Floats = ndtr(high) - ndtr(low)
    return mass


@dataclass(frozen=True)
class _Solved:
    """Of K processes: score (K,), Cholesky root (K, N, N), weights of the data (K, N), parameters (K,) or (K, d)."""

    score: torch.Tensor
    root: torch.Tensor
    alpha: torch.Tensor
    mean: torch.Tensor
    signal: torch.Tensor
    noise: torch.Tensor
    lengths: torch.Tensor


def _solve(x: torch.Tensor, y: torch.Tensor, theta: torch.Tensor) -> _Solved:
    """Condition K processes on standardized twists; the score is the log evidence and log prior of theta."""
    lengths, noise, n = theta[:, :-1].exp(), theta[:, -1].exp(), len(y)
    identity = torch.eye(n, dtype=DOUBLE)
    covariance = _covariance(x, x, lengths) + (noise[:, None, None] + JITTER) * identity
    root, failed = torch.linalg.cholesky_ex(covariance)
    columns = torch.stack([y, torch.ones_like(y)], dim=-1).expand(len(theta), n, 2)
    by_y, by_one = torch.cholesky_solve(columns, root).unbind(-1)
    mean = by_y.sum(1) / (by_one.sum(1) + 1.0)
    alpha = by_y - mean[:, None] * by_one
    misfit = (alpha * (y - mean[:, None])).sum(1) + mean**2
    signal = (misfit + SIGNAL_PRIOR) / (n + SIGNAL_PRIOR)
    evidence = -0.5 * (n + SIGNAL_PRIOR) * signal.log() - torch.diagonal(root, dim1=1, dim2=2).log().sum(1)
    middle, width = _prior(x.shape[1])
    score = evidence - 0.5 * (((theta - middle) / width) ** 2).sum(1)
    usable = (failed == 0) & score.isfinite()
    return _Solved(
        torch.where(usable, score, torch.full_like(score, -1e300)), root, alpha, mean, signal, noise, lengths
    )


def _prior(dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    middle = [math.log(LENGTH_MEDIAN)] * dimension + [math.log(NOISE_MEDIAN)]
    return torch.tensor(middle, dtype=DOUBLE), torch.tensor([LENGTH_WIDTH] * dimension + [NOISE_WIDTH], dtype=DOUBLE)


def _covariance(x: torch.Tensor, others: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(K, m, j) covariances under (K, d) length scales, in the signal's variance: Matern-5/2 and the trend."""
    scaled = math.sqrt(5.0) * torch.cdist(x / lengths[:, None], others / lengths[:, None])
    rough = (1.0 + scaled + scaled * scaled / 3.0) * torch.exp(-scaled)
    covariance: torch.Tensor = rough + TREND_PRIOR * _inside(x) @ _inside(others).T
    return covariance


def _inside(x: torch.Tensor) -> torch.Tensor:
    """Points as seen from the middle of the cube; those outside count as those at the face before them."""
    return x.clamp(0.0, 1.0) - 0.5
