"""The paper's strategies as its Methods put them, for comparisons in the bench (pure).

They share the model of `moireloop_optimizer.model` (single-task GP, Matern kernel) and differ from the strategies of
the same names there: a batch is optimized jointly, and nothing is drawn around the best points so far.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import torch

# The model module comes first: it imports BoTorch past the warnings of its imports.
from moireloop_optimizer.regret.model import DOUBLE, Fitted, fit, informative

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=DeprecationWarning)
    from botorch.acquisition.acquisition import AcquisitionFunction
    from botorch.acquisition.monte_carlo import qExpectedImprovement, qSimpleRegret
    from botorch.exceptions.warnings import NumericsWarning
    from botorch.generation.sampling import MaxPosteriorSampling
    from botorch.optim.optimize import optimize_acqf
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.utils.sampling import manual_seed

from moireloop_broker.contract.search import Points
from moireloop_optimizer.regret.strategies import Chosen
from moireloop_optimizer.runs import Observed
from moireloop_optimizer.sobol import sobol_points

PublishedName = Literal["qei", "thompson", "thompson-draws"]

MC_SAMPLES: Final = 128
RESTARTS: Final = 5
RAW_SAMPLES: Final = 20
"""Restarts and raw samples as in the one public script of MatEnsemble that optimizes a batch in this way."""

ITERATIONS: Final = 200
"""At most this many iterations of L-BFGS-B. On `smooth`, 30 took a quarter of the time and lost half of the hits."""

DRAWN_OVER: Final = 1024

SETTINGS: Final = f"{MC_SAMPLES} samples, {RESTARTS} of {RAW_SAMPLES}, {ITERATIONS} iterations, over {DRAWN_OVER}"
"""In a word what the points depend on besides the data."""


class Published:
    """A strategy as published. Pending points are not looked at: the seed waits for whole batches.

    qei: Monte Carlo expected improvement over the best value so far, of the whole batch at once; equations 1 and 2.
    thompson: what the Methods describe: as many Sobol normal draws as points from the joint posterior at the batch, and
        the batch whose best point is highest on average (simple regret, equation 3).
    thompson-draws: what the paper that the Methods cite describes: each point is the best of a separate draw, here over
        1024 Sobol points. Source: Kandasamy, Krishnamurthy, Schneider and Poczos (2018), arXiv:1705.09236.
    """

    def __init__(self, name: PublishedName, seed: int) -> None:
        self._name = name
        self._seed = seed

    def suggest(self, n: int, observed: Observed, pending: Points, *, index: int) -> Chosen:
        """The next n points; see seed_strategies.PaperStrategy. A Sobol set where there is nothing to learn from."""
        data = informative(observed)
        if data is None:
            return Chosen(sobol_points(n, observed.points.shape[1], seed=self._seed, index=index), "sobol")
        fitted = fit(data)
        seed = int(np.random.SeedSequence((self._seed, index)).generate_state(1)[0]) >> 1
        with manual_seed(seed):
            points = CHOOSE[self._name](fitted, n, seed).numpy()
        return Chosen(np.clip(points, 0.0, 1.0), self._name, fitted.fell_back)


def _improving(fitted: Fitted, n: int, seed: int) -> torch.Tensor:
    sampler = SobolQMCNormalSampler(torch.Size([MC_SAMPLES]), seed=seed)
    with warnings.catch_warnings():
        # BoTorch advises the logarithm of the improvement, which is not what equation 1 says.
        warnings.simplefilter("ignore", NumericsWarning)
        acquisition = qExpectedImprovement(fitted.gp, best_f=fitted.gp.train_targets.max(), sampler=sampler)
    return _jointly_best(acquisition, fitted, n, seed)


def _of_least_simple_regret(fitted: Fitted, n: int, seed: int) -> torch.Tensor:
    sampler = SobolQMCNormalSampler(torch.Size([n]), seed=seed)
    return _jointly_best(qSimpleRegret(fitted.gp, sampler=sampler), fitted, n, seed)


def _best_of_draws(fitted: Fitted, n: int, seed: int) -> torch.Tensor:
    pool = torch.as_tensor(sobol_points(DRAWN_OVER, fitted.points.shape[1], seed=seed), dtype=DOUBLE)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points: torch.Tensor = MaxPosteriorSampling(fitted.gp, replacement=False)(pool, num_samples=n)
    return points


def _jointly_best(acquisition: AcquisitionFunction, fitted: Fitted, n: int, seed: int) -> torch.Tensor:
    """(n, d) points that are best together."""
    dimension = fitted.points.shape[1]
    with warnings.catch_warnings():
        # Starts of no improvement at all, and ascents that end at the limit of iterations, are part of the method.
        warnings.simplefilter("ignore")
        points: torch.Tensor
        points, _ = optimize_acqf(
            acquisition,
            bounds=torch.stack([torch.zeros(dimension, dtype=DOUBLE), torch.ones(dimension, dtype=DOUBLE)]),
            q=n,
            num_restarts=RESTARTS,
            raw_samples=RAW_SAMPLES,
            options={"seed": seed, "maxiter": ITERATIONS},
        )
    return points.detach()


CHOOSE: Final[dict[PublishedName, Callable[[Fitted, int, int], torch.Tensor]]] = {
    "qei": _improving,
    "thompson": _of_least_simple_regret,
    "thompson-draws": _best_of_draws,
}
