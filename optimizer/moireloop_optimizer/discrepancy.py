"""What the growth chamber does otherwise than the simulation, learnt from measured twists (pure).

The model of Kennedy and O'Hagan (J. R. Statist. Soc. B 63, 425 (2001)): an experiment's twist is the simulation's twist
at the same growth parameters, eta(x), plus a discrepancy delta(z), a separate Gaussian process over all parameters of
the chamber, plus noise. Hyperparameters of eta come only from the simulation (Liu, Bayarri and Berger, Bayesian
Analysis 4, 119 (2009)); hyperparameters of delta come from the residuals. Given them, simulation and experiment have
one joint posterior. It proposes places both for the chamber and for the computer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.auto.twist_process import Prediction, TwistProcess, fit_theta, mass_within
from moireloop_optimizer.runs import runs_of
from moireloop_optimizer.sobol import sobol_points

Floats = npt.NDArray[np.float64]

FEWEST_RUNS: Final = 8

FEWEST_PATTERNS: Final = 3

MOST_RUNS: Final = 400
"""The newest ones: a fit takes a bounded time."""

DRAWS: Final = 512

PLACES: Final = 1024

SPREAD_MEDIAN_DEG, SPREAD_WIDTH = 1.0, 1.2

LENGTH_MEDIAN, LENGTH_WIDTH = 0.7, 0.8

NOISE_MEDIAN_DEG, NOISE_WIDTH = 0.1, 1.0
"""Log-normal priors: of the discrepancy's spread, its length scales in sides of the cube, the chamber's own scatter."""

OFFSET_DEG: Final = 3.0
"""Prior standard deviation of the discrepancy's mean over the whole space."""


@dataclass(frozen=True)
class Measured:
    """Twists of the chamber: places in the search space (M, d), all its parameters (M, D), twists and errors (M,)."""

    points: Floats
    chamber: Floats
    twist_deg: Floats
    sigma_deg: Floats


@dataclass(frozen=True)
class Expected:
    """Means and standard deviations (m,) in degrees, without the scatter of a single run or growth."""

    mean_deg: Floats
    sigma_deg: Floats


class JointModel:
    """Simulation and experiment in one posterior.

    Args:
        process: of the simulation's twist.
        measured: twists of the chamber.
    """

    def __init__(self, process: TwistProcess, measured: Measured) -> None:
        self._process, self._measured = process, measured
        self._at: Prediction = process.at(measured.points)
        self._left = measured.twist_deg - self._at.mean_deg
        self._shared = process.covariance_deg2(measured.points, self._at, measured.points, self._at)
        self._theta = self._fitted()
        self._root: Floats = np.linalg.cholesky(self._covariance(self._theta)).astype(np.float64)
        self._weights = _solve(self._root, self._left)

    @property
    def scatter_deg(self) -> float:
        """Scatter of one growth in the chamber beside the error of its twist, in degrees."""
        return float(math.exp(self._theta[1]))

    def experiment(self, points: Floats, chamber: Floats) -> Expected:
        """The chamber's twist at places (m, d) of the search space, with all its parameters (m, D)."""
        at, cross = self._cross(points)
        delta = self._delta(chamber, self._measured.chamber)
        prior = at.variance_deg2 + self._delta_variance
        return self._conditioned(at.mean_deg, prior, cross + delta)

    def simulation(self, points: Floats) -> Expected:
        """The simulation's twist at places (m, d), by what the chamber has shown too."""
        at, cross = self._cross(points)
        return self._conditioned(at.mean_deg, at.variance_deg2, cross)

    def discrepancy(self, chamber: Floats) -> Expected:
        """What the chamber adds to the simulation's twist, at its parameters (m, D)."""
        prior = np.full(len(chamber), self._delta_variance)
        return self._conditioned(np.zeros(len(chamber)), prior, self._delta(chamber, self._measured.chamber))

    @property
    def _delta_variance(self) -> float:
        return float(math.exp(2.0 * self._theta[0])) + OFFSET_DEG**2

    def _cross(self, points: Floats) -> tuple[Prediction, Floats]:
        at = self._process.at(points)
        return at, self._process.covariance_deg2(points, at, self._measured.points, self._at)

    def _delta(self, chamber: Floats, others: Floats) -> Floats:
        return _kernel(chamber, others, self._theta)

    def _conditioned(self, mean: Floats, prior: Floats, cross: Floats) -> Expected:
        whitened = np.linalg.solve(self._root, cross.T)
        variance = np.maximum(prior - (whitened**2).sum(axis=0), 1e-12)
        return Expected(mean + cross @ self._weights, np.sqrt(variance))

    def _covariance(self, theta: Floats) -> Floats:
        own = self._measured.sigma_deg**2 + math.exp(2.0 * theta[1]) + 1e-9
        known = self._measured.chamber
        return np.asarray(self._shared + _kernel(known, known, theta) + np.diag(own))

    def _fitted(self) -> Floats:
        """The likeliest of many sets: logarithms of spread, scatter and length scales of the discrepancy."""
        dimension = self._measured.chamber.shape[1]
        middle = np.log([SPREAD_MEDIAN_DEG, NOISE_MEDIAN_DEG, *[LENGTH_MEDIAN] * dimension])
        width = np.array([SPREAD_WIDTH, NOISE_WIDTH, *[LENGTH_WIDTH] * dimension])
        uniform = sobol_points(DRAWS, len(middle), seed=0)
        sets = middle + width * ndtri(np.clip(uniform, 1e-3, 1.0 - 1e-3))
        scores = [self._score(theta) - 0.5 * (((theta - middle) / width) ** 2).sum() for theta in sets]
        return np.asarray(sets[int(np.argmax(scores))])

    def _score(self, theta: Floats) -> float:
        root = np.linalg.cholesky(self._covariance(theta))
        whitened = np.linalg.solve(root, self._left)
        return float(-0.5 * whitened @ whitened - np.log(np.diag(root)).sum())


@dataclass(frozen=True)
class ChamberAdvice:
    """Where chamber and computer should go next for one target; either `reason` or all else is given.

    `chamber` has all parameters of the chamber, `computer` only the search space's. `discrepancy_deg` is what the
    chamber is expected to add to the simulation's twist there. Probabilities are of one growth, and of one run.
    """

    target: Target
    chamber: dict[str, float] | None = None
    probability: float | None = None
    twist_deg: float | None = None
    sigma_deg: float | None = None
    discrepancy_deg: float | None = None
    discrepancy_sigma_deg: float | None = None
    computer: dict[str, float] | None = None
    computer_probability: float | None = None
    patterns: int = 0
    reason: str | None = None


def chamber_advice(
    results: Iterable[Result], patterns: Sequence[PatternMeasured], space: SearchSpace, target: Target
) -> ChamberAdvice:
    """Where the chamber, and the computer, are likeliest to give a target's twist, by both together.

    A pattern counts where it has a twist and a value of each parameter of the search space. Further parameters of the
    chamber count where every such pattern has them; their values are searched between those that were seen.
    """
    runs = runs_of(results, space)
    has_twist = np.flatnonzero(np.isfinite(runs.twist_deg))[-MOST_RUNS:]
    counted = [event for event in patterns if _counts(event, space)]
    if len(has_twist) < FEWEST_RUNS or len(counted) < FEWEST_PATTERNS:
        return ChamberAdvice(target, patterns=len(counted), reason=_too_few(len(has_twist), len(counted), space))
    points, twists = runs.points[has_twist], runs.twist_deg[has_twist]
    chamber = _Chamber(counted, space)
    try:
        process = TwistProcess(points, twists, fit_theta(points, twists, seed=0))
        model = JointModel(process, chamber.measured)
    except (RuntimeError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        return ChamberAdvice(target, patterns=len(counted), reason=f"the model could not be fitted: {error}")
    return _advised(model, process, chamber, space, target)


class _Chamber:
    """Parameters of the chamber as a cube: first the search space's, then its own."""

    def __init__(self, events: Sequence[PatternMeasured], space: SearchSpace) -> None:
        common = set.intersection(*(set(event.parameters) for event in events))
        self.names = sorted(common - set(space.names))
        own = np.array([[event.parameters[name] for name in self.names] for event in events]).reshape(len(events), -1)
        self._low, high = own.min(axis=0, initial=np.inf), own.max(axis=0, initial=-np.inf)
        self._range = np.where(high > self._low, high - self._low, 1.0)
        self.varies = high > self._low
        points = space.to_unit([event.parameters for event in events])
        self.measured = Measured(
            points,
            np.concatenate([points, (own - self._low) / self._range], axis=1),
            np.array([event.analysis.twist_deg for event in events], dtype=np.float64),
            np.array([event.analysis.sigma_deg or 0.0 for event in events], dtype=np.float64),
        )

    def values(self, own: Floats) -> dict[str, float]:
        """The chamber's own parameters at a place of the cube."""
        return dict(zip(self.names, (self._low + own * self._range).tolist(), strict=True))


def _advised(
    model: JointModel, process: TwistProcess, chamber: _Chamber, space: SearchSpace, target: Target
) -> ChamberAdvice:
    own = len(chamber.names)
    cube = sobol_points(PLACES, space.dimension + own, seed=1)
    cube[:, space.dimension :] *= chamber.varies
    places = cube[:, : space.dimension]
    there, simulated = model.experiment(places, cube), model.simulation(places)
    growth = np.hypot(there.sigma_deg, model.scatter_deg)
    hits = mass_within(target.twist_deg, target.tolerance_deg, there.mean_deg, growth)
    one_run = np.sqrt(simulated.sigma_deg**2 + process.at(places).noise_deg2)
    computed = mass_within(target.twist_deg, target.tolerance_deg, simulated.mean_deg, one_run)
    best, best_run = int(np.argmax(hits)), int(np.argmax(computed))
    added = model.discrepancy(cube[best : best + 1])
    recipe, run = space.from_unit(places[[best, best_run]])
    return ChamberAdvice(
        target,
        chamber={**recipe, **chamber.values(cube[best, space.dimension :])},
        probability=float(hits[best]),
        twist_deg=float(there.mean_deg[best]),
        sigma_deg=float(growth[best]),
        discrepancy_deg=float(added.mean_deg[0]),
        discrepancy_sigma_deg=float(added.sigma_deg[0]),
        computer=run,
        computer_probability=float(computed[best_run]),
        patterns=len(chamber.measured.points),
    )


def _counts(event: PatternMeasured, space: SearchSpace) -> bool:
    return event.analysis.twist_deg is not None and set(space.names) <= event.parameters.keys()


def _too_few(runs: int, patterns: int, space: SearchSpace) -> str:
    if runs < FEWEST_RUNS:
        return f"the model needs at least {FEWEST_RUNS} results with a twist, and there are {runs}"
    names = ", ".join(space.names)
    return (
        f"the model needs at least {FEWEST_PATTERNS} patterns with a twist and the parameters {names}, and there are "
        f"{patterns}"
    )


def _kernel(one: Floats, other: Floats, theta: Floats) -> Floats:
    """Matern-5/2 of the discrepancy, and its mean over the whole space."""
    lengths = np.exp(theta[2:])
    apart = math.sqrt(5.0) * np.linalg.norm(one[:, None] / lengths - other[None] / lengths, axis=-1)
    rough = (1.0 + apart + apart**2 / 3.0) * np.exp(-apart)
    return np.asarray(math.exp(2.0 * theta[0]) * rough + OFFSET_DEG**2)


def _solve(root: Floats, values: Floats) -> Floats:
    return np.asarray(np.linalg.solve(root.T, np.linalg.solve(root, values)))
