"""Simulation and experiment in one posterior, with a discrepancy that is learnt (pure).

The model of Kennedy and O'Hagan (J. R. Statist. Soc. B 63, 425 (2001)): an experiment's twist is the simulation's twist
at the same growth parameters, eta(x), plus a discrepancy delta(z), a separate Gaussian process over all parameters of
the chamber, plus noise. Hyperparameters of eta come only from the simulation (Liu, Bayarri and Berger, Bayesian
Analysis 4, 119 (2009)); hyperparameters of delta come from the residuals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import ndtri

from moireloop_broker.contract.search import Points
from moireloop_optimizer.auto.twist_process import Floats, Prediction, TwistProcess
from moireloop_optimizer.growths import Growths
from moireloop_optimizer.sobol import sobol_points

DRAWS: Final = 512

MOST_FITTED: Final = 40
"""Growths that hyperparameters are fitted to, evenly spaced in their order."""

SPREAD_MEDIAN_DEG, SPREAD_WIDTH = 1.0, 1.2

LENGTH_MEDIAN, LENGTH_WIDTH = 0.7, 0.8

NOISE_MEDIAN_DEG, NOISE_WIDTH = 0.1, 1.0
"""Log-normal priors: of the discrepancy's spread, its length scales in sides of the cube, the chamber's own scatter."""

OFFSET_DEG: Final = 3.0
"""Prior standard deviation of the discrepancy's mean over the whole space."""


@dataclass(frozen=True)
class Expected:
    """Means and standard deviations (m,) in degrees, without the scatter of a single run or growth."""

    mean_deg: Floats
    sigma_deg: Floats


class JointModel:
    """Simulation and experiment in one posterior.

    `theta` (D + 2,) has the logarithms of the discrepancy's spread, of the chamber's scatter and of the length scales.

    Args:
        process: of the simulation's twist.
        growths: twists of the chamber, one at least.
    """

    def __init__(self, process: TwistProcess, growths: Growths) -> None:
        self._process, self._growths, self._chamber = process, growths, growths.chamber
        self._at: Prediction = process.at(growths.points)
        self._left = growths.twist_deg - self._at.mean_deg
        self._shared = process.covariance_deg2(growths.points, self._at, growths.points, self._at)
        self.theta = self._fitted()
        self._root: Floats = np.asarray(np.linalg.cholesky(self._covariance(self.theta, np.arange(len(growths)))))
        self._weights: Floats = cho_solve((self._root, True), self._left)

    @property
    def scatter_deg(self) -> float:
        """Scatter of one growth in the chamber beside the error of its twist, in degrees."""
        return float(math.exp(self.theta[1]))

    def at(self, points: Points) -> Prediction:
        """The simulation's twist at places (m, d), by what the chamber has shown too."""
        at, cross = self._cross(points)
        return self._process.informed(at, cross @ self._weights, self._whitened(cross))

    def experiment(self, points: Points, chamber: Floats) -> Expected:
        """The chamber's twist at places (m, d) of the search space, with all its parameters (m, D)."""
        at, cross = self._cross(points)
        prior = at.variance_deg2 + self._delta_variance
        return self._conditioned(at.mean_deg, prior, cross + _kernel(chamber, self._chamber, self.theta))

    def discrepancy(self, chamber: Floats) -> Expected:
        """What the chamber adds to the simulation's twist, at its parameters (m, D)."""
        prior = np.full(len(chamber), self._delta_variance)
        return self._conditioned(np.zeros(len(chamber)), prior, _kernel(chamber, self._chamber, self.theta))

    @property
    def _delta_variance(self) -> float:
        return float(math.exp(2.0 * self.theta[0])) + OFFSET_DEG**2

    def _cross(self, points: Points) -> tuple[Prediction, Floats]:
        at = self._process.at(points)
        return at, self._process.covariance_deg2(points, at, self._growths.points, self._at)

    def _whitened(self, cross: Floats) -> Floats:
        return np.asarray(solve_triangular(self._root, cross.T, lower=True))

    def _conditioned(self, mean: Floats, prior: Floats, cross: Floats) -> Expected:
        variance = np.maximum(prior - (self._whitened(cross) ** 2).sum(axis=0), 1e-12)
        return Expected(mean + cross @ self._weights, np.sqrt(variance))

    def _covariance(self, theta: Floats, some: npt.NDArray[np.intp]) -> Floats:
        own = self._growths.sigma_deg[some] ** 2 + math.exp(2.0 * theta[1]) + 1e-9
        chamber = self._chamber[some]
        return np.asarray(self._shared[np.ix_(some, some)] + _kernel(chamber, chamber, theta) + np.diag(own))

    def _fitted(self) -> Floats:
        """The likeliest of many sets: logarithms of spread, scatter and length scales of the discrepancy."""
        count, dimension = self._chamber.shape
        some = np.linspace(0, count - 1, min(count, MOST_FITTED)).round().astype(np.intp)
        middle = np.log([SPREAD_MEDIAN_DEG, NOISE_MEDIAN_DEG, *[LENGTH_MEDIAN] * dimension])
        width = np.array([SPREAD_WIDTH, NOISE_WIDTH, *[LENGTH_WIDTH] * dimension])
        uniform = sobol_points(DRAWS, len(middle), seed=0)
        sets = middle + width * ndtri(np.clip(uniform, 1e-3, 1.0 - 1e-3))
        scores = [self._score(theta, some) - 0.5 * (((theta - middle) / width) ** 2).sum() for theta in sets]
        return np.asarray(sets[int(np.argmax(scores))])

    def _score(self, theta: Floats, some: npt.NDArray[np.intp]) -> float:
        root = np.linalg.cholesky(self._covariance(theta, some))
        whitened = solve_triangular(root, self._left[some], lower=True)
        return float(-0.5 * whitened @ whitened - np.log(np.diag(root)).sum())


def _kernel(one: Floats, other: Floats, theta: Floats) -> Floats:
    """Matern-5/2 of the discrepancy, and its mean over the whole space."""
    lengths = np.exp(theta[2:])
    apart = math.sqrt(5.0) * np.linalg.norm(one[:, None] / lengths - other[None] / lengths, axis=-1)
    rough = (1.0 + apart + apart**2 / 3.0) * np.exp(-apart)
    return np.asarray(math.exp(2.0 * theta[0]) * rough + OFFSET_DEG**2)
