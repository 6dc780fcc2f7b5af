"""The Gaussian process."""

from __future__ import annotations

import numpy as np
import torch

from moireloop_optimizer.regret.model import MAX_FIT_POINTS, fit
from moireloop_optimizer.runs import Observed
from moireloop_optimizer.sobol import sobol_points


def smooth(n: int) -> Observed:
    points = sobol_points(n, 2, seed=1)
    return Observed(points, np.sin(3.0 * points[:, 0]) + points[:, 1] ** 2)


def standardized(observed: Observed, values: np.ndarray) -> np.ndarray:
    result: np.ndarray = (values - observed.values.mean()) / observed.values.std()
    return result


def test_it_predicts_a_smooth_function() -> None:
    """To a few per cent of its spread between the 40 points that it has seen."""
    observed = smooth(40)
    unseen = sobol_points(32, 2, seed=2)
    expected = standardized(observed, np.sin(3.0 * unseen[:, 0]) + unseen[:, 1] ** 2)
    fitted = fit(observed)
    assert not fitted.fell_back
    np.testing.assert_allclose(fitted.mean(torch.as_tensor(unseen)).numpy(), expected, atol=0.1)


def test_it_is_double_precision() -> None:
    """Everywhere."""
    assert {parameter.dtype for parameter in fit(smooth(8)).gp.parameters()} == {torch.float64}


def test_points_beyond_those_fitted_to_still_count() -> None:
    """Hyperparameters come from some of many points, predictions from all of them."""
    observed = smooth(MAX_FIT_POINTS + 60)
    fitted = fit(observed)
    assert len(fitted.points) == MAX_FIT_POINTS + 60
    errors = fitted.mean(fitted.points).numpy() - standardized(observed, observed.values)
    assert np.abs(errors).max() < 0.1


def test_a_fit_that_fails_falls_back_to_the_priors() -> None:
    """Distances that overflow make the likelihood NaN; there is a model anyway, and it says so."""
    observed = smooth(6)
    assert fit(Observed(observed.points * 1e200, observed.values)).fell_back


def test_a_believed_point_is_certain() -> None:
    """The variance at a believed point falls, the mean there stays."""
    fitted = fit(smooth(10))
    point = torch.tensor([[0.33, 0.77]], dtype=torch.float64)
    believing = fitted.believing(point)
    torch.testing.assert_close(believing.mean(point), fitted.mean(point), atol=1e-3, rtol=0.0)
    assert believing.joint(point)[1].item() < 0.9 * fitted.joint(point)[1].item()
