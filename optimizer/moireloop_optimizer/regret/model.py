"""The Gaussian process: Matern-5/2 with one length scale a dimension, on standardized objective values (pure)."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from moireloop_broker.contract.search import Points
from moireloop_optimizer.runs import Observed

with warnings.catch_warnings():
    # linear_operator and gpytorch still call torch.jit.script while they are imported; not ours to fix.
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=DeprecationWarning)
    from botorch.exceptions.warnings import OptimizationWarning
    from botorch.models import SingleTaskGP
    from botorch.models.utils import gpt_posterior_settings
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.settings import skip_posterior_variances

logger = logging.getLogger(__name__)

MAX_ITERATIONS = 60

MAX_FIT_S = 20.0

MAX_FIT_POINTS = 300

FARTHEST = 100.0

LEAST_SPREAD_DEG = 1e-9

DOUBLE = torch.float64


@dataclass(frozen=True)
class Fitted:
    """A model of the standardized objective. `fell_back`: its hyperparameters come from the priors."""

    gp: SingleTaskGP
    fell_back: bool

    @property
    def points(self) -> torch.Tensor:
        """(N, d) training points in the unit cube."""
        points: torch.Tensor = self.gp.train_inputs[0]
        return points

    def mean(self, points: torch.Tensor) -> torch.Tensor:
        """(N,) posterior mean at (N, d) points, in standard deviations of the objective."""
        with torch.no_grad(), gpt_posterior_settings(), skip_posterior_variances():
            mean: torch.Tensor = self.gp(points).mean
        return mean

    def joint(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(m,) mean and (m, m) covariance of the joint posterior at (m, d) points, standardized."""
        with torch.no_grad(), gpt_posterior_settings():
            posterior = self.gp(points)
            return posterior.mean, posterior.covariance_matrix

    def believing(self, points: torch.Tensor) -> Fitted:
        """The model as if the objective at (m, d) points had been observed at its posterior mean.

        A "kriging believer": Ginsbourger, Le Riche and Carraro (2010), doi:10.1007/978-3-642-10701-6_6.
        """
        values = torch.cat([self.gp.train_targets, self.mean(points)])
        gp = _process(torch.cat([self.points, points]), values)
        gp.load_state_dict(self.gp.state_dict())
        return Fitted(gp.eval(), self.fell_back)


def informative(observed: Observed) -> Observed | None:
    """What a model can learn from: None where there are not two different points with two different values.

    Points more than 100 widths of the search space away from it (a campaign resumed with far narrower bounds)
    say nothing about it, only hurt the numerics, and are left out.
    """
    near = np.isfinite(observed.points).all(axis=1) & (np.abs(observed.points - 0.5) < FARTHEST).all(axis=1)
    keep = near & np.isfinite(observed.values)
    points, values = observed.points[keep], observed.values[keep]
    if len(points) < 2 or np.ptp(values) < LEAST_SPREAD_DEG or not np.ptp(points, axis=0).any():
        return None
    return Observed(points, values)


def fit(observed: Observed) -> Fitted:
    """Fit the model by maximum marginal likelihood with BoTorch's dimension-scaled priors.

    Hyperparameters are fitted to at most 300 of the points, evenly spaced in their order, so that a fit takes a
    bounded time; the model then holds all points. A fit that fails leaves the hyperparameters at the modes of
    their priors, is logged, and is marked in the answer. Source of the priors: Hvarfner, Hellsten and Nardi,
    "Vanilla Bayesian Optimization Performs Great in High Dimensions" (2024), arXiv:2402.02229.
    """
    x = torch.as_tensor(observed.points, dtype=DOUBLE)
    y = torch.as_tensor(_standardized(observed.values), dtype=DOUBLE)
    some = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_FIT_POINTS)).round().astype(int))
    gp = _process(x[some], y[some])
    fell_back = not _fit_hyperparameters(gp)
    whole = _process(x, y)
    if not fell_back:
        whole.load_state_dict(gp.state_dict())
    return Fitted(whole.eval(), fell_back)


def _standardized(values: npt.NDArray[np.float64]) -> Points:
    standardized: Points = (values - values.mean()) / values.std()
    return standardized


def _process(x: torch.Tensor, y: torch.Tensor) -> SingleTaskGP:
    kernel = get_covar_module_with_dim_scaled_prior(ard_num_dims=x.shape[-1], use_rbf_kernel=False)
    return SingleTaskGP(x, y.unsqueeze(-1), covar_module=kernel, outcome_transform=None)


def _fit_hyperparameters(gp: SingleTaskGP) -> bool:
    try:
        with warnings.catch_warnings():
            # Stopping at the limit of iterations or time is our own budget, not an error.
            warnings.simplefilter("ignore", OptimizationWarning)
            fit = fit_gpytorch_mll_scipy(
                ExactMarginalLogLikelihood(gp.likelihood, gp),
                options={"maxiter": MAX_ITERATIONS},
                timeout_sec=MAX_FIT_S,
            )
    except (RuntimeError, ValueError, ArithmeticError) as error:
        logger.warning("fit failed points=%d reason=%s", len(gp.train_targets), error)
        return False
    if not (np.isfinite(fit.fval) and all(bool(torch.isfinite(p).all()) for p in gp.parameters())):
        logger.warning("fit failed points=%d reason=likelihood not finite", len(gp.train_targets))
        return False
    return True
