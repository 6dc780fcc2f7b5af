"""Search space, strategies, the service that proposes candidates, and a generator for others to use (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moireloop_optimizer.generators.twist_generator import TwistGenerator as TwistGenerator

__all__ = ["TwistGenerator"]


def __getattr__(name: str) -> Any:
    """The generator, imported when it is asked for: torch, which the strategies need, takes seconds to load."""
    if name == "TwistGenerator":
        from moireloop_optimizer.generators.twist_generator import TwistGenerator

        return TwistGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
