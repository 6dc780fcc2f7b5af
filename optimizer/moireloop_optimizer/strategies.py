"""The strategies by their names (pure)."""

from __future__ import annotations

from moireloop_optimizer.auto import AutoStrategy
from moireloop_optimizer.per_target import PerTarget
from moireloop_optimizer.seed_strategies import seed_strategy
from moireloop_optimizer.strategy_names import OWN_NAMES
from moireloop_optimizer.suggestion import Strategy


def strategy_named(name: str, seed: int) -> Strategy:
    """The strategy of a name, drawing its random numbers from a seed.

    Raises:
        ValueError: there is no strategy of this name.
    """
    match name:
        case "auto":
            return AutoStrategy(seed)
        case "qei" | "thompson" | "random":
            return PerTarget(seed_strategy(name, seed))
        case _:
            raise ValueError(f"expected a strategy out of {', '.join(OWN_NAMES)}, got {name!r}")
