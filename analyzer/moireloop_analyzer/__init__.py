"""From a frame to its layers, their twist and their order (pure).

What is public here is loaded at its first use: a program that only reads settings does not wait for the compiler.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from moireloop_analyzer.analysis import Analysis, Analyzer, Snapshot
    from moireloop_analyzer.estimate import Grain, TwistEstimate
    from moireloop_analyzer.twist import measure_twist

__all__ = ["Analysis", "Analyzer", "Grain", "Snapshot", "TwistEstimate", "measure_twist"]

_PLACES: Final = {
    "Analysis": "analysis",
    "Analyzer": "analysis",
    "Grain": "estimate",
    "Snapshot": "analysis",
    "TwistEstimate": "estimate",
    "measure_twist": "twist",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562). Raises MissingExtra."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from moireloop_broker.extras import extras_for

    with extras_for(f"{__name__}.{name}", ("analyzer",)):
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
