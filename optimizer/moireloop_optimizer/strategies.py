"""The strategies by their names (pure)."""

from __future__ import annotations

from typing import Literal, get_args

from moireloop_optimizer.per_target import PerTarget
from moireloop_optimizer.seed_strategies import seed_strategy
from moireloop_optimizer.suggestion import Strategy

StrategyName = Literal["qei", "thompson", "random"]


def strategy_named(name: str, seed: int) -> Strategy:
    """The strategy of a name, drawing its random numbers from a seed.

    Raises:
        ValueError: there is no strategy of this name.
    """
    match name:
        case "qei" | "thompson" | "random":
            return PerTarget(seed_strategy(name, seed))
        case _:
            raise ValueError(f"expected a strategy out of {', '.join(get_args(StrategyName))}, got {name!r}")
