"""Search space, strategies, the service that proposes candidates, and a generator for others to use (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moireloop_broker.extras import extras_for

if TYPE_CHECKING:
    from moireloop_optimizer.generators.twist_generator import TwistGenerator as TwistGenerator

__all__ = ["TwistGenerator"]


def __getattr__(name: str) -> Any:
    """The generator, imported when it is asked for: torch, which the strategies need, takes seconds to load.

    Raises:
        MissingExtra: torch, or another package of the extra 'optimizer', is not installed.
    """
    if name == "TwistGenerator":
        with extras_for(f"{__name__}.{name}", ("optimizer",)):
            from moireloop_optimizer.generators.twist_generator import TwistGenerator

        return TwistGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
