"""The Gaussian process on the twist, against an independent calculation."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import multivariate_normal, norm

from moireloop_broker.contract.search import Points
from moireloop_optimizer.auto.twist_process import TwistProcess, fit_theta, mass_within
from moireloop_optimizer.sobol import sobol_points

POINTS = sobol_points(14, 2, seed=3)
TWISTS = 12.0 + 6.0 * np.sin(4.0 * POINTS[:, 0]) + 3.0 * POINTS[:, 1]
THETA = torch.log(torch.tensor([0.4, 0.7, 0.01], dtype=torch.float64))


def correlation(x: Points, others: Points) -> Points:
    """Matern-5/2 with length scales 0.4 and 0.7, and slopes of variance 3, written out."""
    r = np.sqrt(5.0 * (((x[:, None] - others) / [0.4, 0.7]) ** 2).sum(-1))
    found: Points = (1.0 + r + r**2 / 3.0) * np.exp(-r) + 3.0 * (x - 0.5) @ (others - 0.5).T
    return found


def joint(points: Points) -> tuple[Points, Points, float]:
    """Mean and covariance, in degrees, of the twist at points given the runs; and the variance of the noise."""
    y = (TWISTS - TWISTS.mean()) / TWISTS.std()
    precision = np.linalg.inv(correlation(POINTS, POINTS) + (0.01 + 1e-8) * np.eye(len(y)))
    mean = (precision @ y).sum() / (precision.sum() + 1.0)
    signal = ((y - mean) @ precision @ (y - mean) + mean**2 + 2.0) / (len(y) + 2.0)
    across = correlation(points, POINTS)
    found = mean + across @ precision @ (y - mean)
    covariance = signal * (correlation(points, points) - across @ precision @ across.T)
    return found * TWISTS.std() + TWISTS.mean(), covariance * TWISTS.std() ** 2, 0.01 * signal * TWISTS.std() ** 2


def test_mean_and_covariance_are_those_of_the_textbook() -> None:
    """By inverse matrices instead of factors."""
    process, points = TwistProcess(POINTS, TWISTS, THETA), sobol_points(5, 2, seed=9)
    at = process.at(points)
    mean, covariance, noise = joint(points)
    np.testing.assert_allclose(at.mean_deg, mean, rtol=1e-9)
    np.testing.assert_allclose(process.covariance_deg2(points, at, points, at), covariance, atol=1e-9)
    np.testing.assert_allclose(at.variance_deg2, np.diag(covariance), atol=1e-9)
    np.testing.assert_allclose(at.noise_deg2, noise, rtol=1e-9)


def test_what_is_left_out_is_predicted_without_it() -> None:
    """The density of each run under the process without it, apart from mean and signal variance."""
    density = TwistProcess(POINTS, TWISTS, THETA).left_out_density()
    y = (TWISTS - TWISTS.mean()) / TWISTS.std()
    precision = np.linalg.inv(correlation(POINTS, POINTS) + (0.01 + 1e-8) * np.eye(len(y)))
    mean = (precision @ y).sum() / (precision.sum() + 1.0)
    signal = ((y - mean) @ precision @ (y - mean) + mean**2 + 2.0) / (len(y) + 2.0)
    for left_out in range(len(y)):
        rest = np.arange(len(y)) != left_out
        inside = np.linalg.inv(correlation(POINTS[rest], POINTS[rest]) + (0.01 + 1e-8) * np.eye(len(y) - 1))
        across = correlation(POINTS[[left_out]], POINTS[rest])[0]
        expected = mean + across @ inside @ (y[rest] - mean)
        own = correlation(POINTS[[left_out]], POINTS[[left_out]])[0, 0]
        variance = signal * (own + 0.01 + 1e-8 - across @ inside @ across)
        np.testing.assert_allclose(
            density[left_out], norm.pdf(y[left_out], expected, np.sqrt(variance)) / TWISTS.std(), rtol=1e-6
        )


def test_length_scales_are_found() -> None:
    """Of draws from a process whose twist changes along one axis only, that axis has the shorter length scale."""
    x = sobol_points(60, 2, seed=1)
    r = np.sqrt(5.0) * np.abs(x[:, None, 0] - x[None, :, 0]) / 0.2
    covariance = (1.0 + r + r**2 / 3.0) * np.exp(-r) + 1e-6 * np.eye(60)
    twists = 15.0 + 4.0 * multivariate_normal(np.zeros(60), covariance, seed=2).rvs()
    along, across = fit_theta(x, twists, seed=0)[:2].exp().tolist()
    assert along < 0.5
    assert across > 2.0 * along


def test_mass_within_is_the_integral_of_the_density() -> None:
    """Between target and tolerance on both sides."""
    grid = np.linspace(7.9, 8.1, 2001)
    expected = np.trapezoid(norm.pdf(grid, 8.3, 0.2), grid)
    np.testing.assert_allclose(mass_within(8.0, 0.1, np.array(8.3), 0.2), expected, rtol=1e-5)


def test_a_slope_is_followed_beyond_the_runs() -> None:
    """Over waves across it, where runs cover half of the cube and the twist is far from their mean in the other."""
    points = 0.5 * sobol_points(20, 2, seed=4)
    twists = 5.0 + 20.0 * points[:, 0] + 2.0 * np.sin(25.0 * points[:, 1])
    beyond = TwistProcess(points, twists, fit_theta(points, twists, seed=0)).at(np.array([[0.9, 0.25]]))
    np.testing.assert_allclose(beyond.mean_deg, 23.0, atol=2.0)


def test_a_run_far_outside_does_not_tilt_the_trend() -> None:
    """It counts as one at the face before it, so that the slope inside still comes from the runs inside."""
    far = np.concatenate([POINTS, [[80.0, 0.5]]])
    inside, both = (
        TwistProcess(points, twists, THETA).at(POINTS).mean_deg
        for points, twists in ((POINTS, TWISTS), (far, np.append(TWISTS, TWISTS.mean())))
    )
    np.testing.assert_allclose(both, inside, atol=0.5)
