"""What a person touches: the campaign file, the service set, the CLI and the client (adapter).

What is public here is loaded at its first use: a controller waits for its sockets alone, not for models and figures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient, NotRunning, Received, RequestRefused, connect

__all__ = ["CampaignClient", "NotRunning", "Received", "RequestRefused", "connect"]

_PLACES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "CampaignClient": ("moireloop.client.client", ()),
    "NotRunning": ("moireloop.client.client", ()),
    "Received": ("moireloop.client.client", ()),
    "RequestRefused": ("moireloop.client.client", ()),
    "connect": ("moireloop.client.client", ()),
}
"""Each public name: the module that has it, and the extras that this module needs."""


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562). Raises MissingExtra."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from moireloop_broker.extras import extras_for

    module, extras = _PLACES[name]
    with extras_for(f"{__name__}.{name}", extras):
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
