"""The strategies by their names (pure)."""

from __future__ import annotations

from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.regret.per_target import PerTarget
from moireloop_optimizer.regret.strategies import paper_strategy
from moireloop_optimizer.strategy import Strategy
from moireloop_optimizer.strategy_names import OWN_NAMES


def strategy_named(name: str, seed: int) -> Strategy:
    """The strategy of a name, drawing its random numbers from a seed.

    Raises:
        ValueError: there is no strategy of this name.
    """
    match name:
        case "auto":
            return AutoStrategy(seed)
        case "qei" | "thompson" | "random":
            return PerTarget(paper_strategy(name, seed))
        case _:
            raise ValueError(f"expected one of the strategies {', '.join(OWN_NAMES)}, got {name!r}")
