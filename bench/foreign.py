"""Optuna's TPE and Ax's default beside ours, on the same landscapes and budgets (adapter).

Both minimise the distance from the target, one sample at a time, and choose their first samples themselves. They are
needed for this comparison only: `pip install optuna ax-platform` (see bench/requirements.txt).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from bench.landscapes import Floats, Landscape
from bench.scattered import DIMENSION
from moireloop_broker.contract.search import Target

NO_TWIST_DEG: Final = 30.0
"""Regret of a run without a twist: the largest possible."""

Evaluate = Callable[[Floats], float | None]
"""From a point of the unit cube to its regret in degrees, None where there was no twist."""


class NotInstalled(RuntimeError):
    """A package that the comparison needs is missing."""


def tpe_samples(
    evaluate: Evaluate, budget: int, seed: int, is_hit: Callable[[float], bool], dimension: int = DIMENSION
) -> int | None:
    """Samples that Optuna's TPE sampler with its defaults needs up to the first hit; None within the budget."""
    try:
        import optuna
    except ImportError as error:
        raise NotInstalled("expected optuna, found none: pip install -r bench/requirements.txt") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for number in range(budget):
        trial = study.ask()
        point = np.array([trial.suggest_float(name, 0.0, 1.0) for name in _names(dimension)])
        regret_deg = evaluate(point)
        if regret_deg is not None and is_hit(regret_deg):
            return number + 1
        study.tell(trial, NO_TWIST_DEG if regret_deg is None else regret_deg)
    return None


def ax_samples(
    evaluate: Evaluate, budget: int, seed: int, is_hit: Callable[[float], bool], dimension: int = DIMENSION
) -> int | None:
    """Samples that Ax's default generation strategy needs up to the first hit; None within the budget."""
    client = _ax_client(seed, dimension)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(budget):
            ((index, parameters),) = client.get_next_trials(max_trials=1).items()
            regret_deg = evaluate(np.array([float(parameters[name]) for name in _names(dimension)]))
            if regret_deg is not None and is_hit(regret_deg):
                return number + 1
            client.complete_trial(index, {"regret": NO_TWIST_DEG if regret_deg is None else regret_deg})
    return None


def _ax_client(seed: int, dimension: int) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ax.api.client import Client
            from ax.api.configs import RangeParameterConfig
    except ImportError as error:
        raise NotInstalled("expected ax-platform, found none: pip install -r bench/requirements.txt") from error
    logging.getLogger("ax").setLevel(logging.ERROR)
    client = Client(random_seed=seed)
    client.configure_experiment(
        parameters=[
            RangeParameterConfig(name=name, parameter_type="float", bounds=(0.0, 1.0)) for name in _names(dimension)
        ]
    )
    client.configure_optimization(objective="-regret")
    return client


def _names(dimension: int) -> list[str]:
    return [f"x{axis}" for axis in range(dimension)]


def regret_on(landscape: Landscape, target: Target, seed: int) -> Evaluate:
    """What a landscape returns for points, with the same random numbers of runs as `search` has."""
    done = 0

    def evaluate(point: Floats) -> float | None:
        nonlocal done
        twist_deg = landscape.draw(point, np.random.default_rng((seed, done)))
        done += 1
        return None if twist_deg is None else abs(twist_deg - target.twist_deg)

    return evaluate
