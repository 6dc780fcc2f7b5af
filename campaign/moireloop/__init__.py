"""The user's side: campaigns in files and in Python, the service set, the CLI and the client (adapter).

Public names are loaded at their first use: a controller waits only for its sockets, not for models and figures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from moireloop.campaign import Campaign
    from moireloop.campaign_file.errors import CampaignFileError
    from moireloop.cells.admitted import AdmittedTwist, admitted_twists
    from moireloop.client.aio import AsyncCampaignClient, connect_async
    from moireloop.client.client import CampaignClient, connect
    from moireloop.client.received import NotRunning, Received, RequestRefused
    from moireloop.client.requests import BadArgument
    from moireloop.client.running import CampaignRun, Outcome
    from moireloop.stored import StoredCampaign
    from moireloop.stored import open_campaign as open
    from moireloop_analyzer.twist import measure_twist
    from moireloop_optimizer.generators.twist_generator import TwistGenerator

__all__ = [
    "AdmittedTwist",
    "AsyncCampaignClient",
    "BadArgument",
    "Campaign",
    "CampaignClient",
    "CampaignFileError",
    "CampaignRun",
    "NotRunning",
    "Outcome",
    "Received",
    "RequestRefused",
    "StoredCampaign",
    "TwistGenerator",
    "admitted_twists",
    "connect",
    "connect_async",
    "measure_twist",
    "open",
]

_PLACES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "AdmittedTwist": ("moireloop.cells.admitted", ("optimizer",)),
    "AsyncCampaignClient": ("moireloop.client.aio", ()),
    "BadArgument": ("moireloop.client.requests", ()),
    "Campaign": ("moireloop.campaign", ("worker", "analyzer", "optimizer", "figures")),
    "CampaignClient": ("moireloop.client.client", ()),
    "CampaignFileError": ("moireloop.campaign_file.errors", ()),
    "CampaignRun": ("moireloop.client.running", ()),
    "NotRunning": ("moireloop.client.received", ()),
    "Outcome": ("moireloop.client.running", ()),
    "Received": ("moireloop.client.received", ()),
    "RequestRefused": ("moireloop.client.received", ()),
    "TwistGenerator": ("moireloop_optimizer.generators.twist_generator", ("optimizer",)),
    "admitted_twists": ("moireloop.cells.admitted", ("optimizer",)),
    "connect": ("moireloop.client.client", ()),
    "connect_async": ("moireloop.client.aio", ()),
    "measure_twist": ("moireloop_analyzer.twist", ("analyzer",)),
    "open": ("moireloop.stored", ("worker", "analyzer", "optimizer")),
    "StoredCampaign": ("moireloop.stored", ("worker", "analyzer", "optimizer")),
}
"""Each public name: the module that has it, and the extras that this module needs."""

_OTHER_NAMES: Final = {"open": "open_campaign"}
"""What a public name is called in its module, where it would hide a name of Python's there."""


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562). Raises MissingExtra."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from moireloop_broker.extras import extras_for

    module, extras = _PLACES[name]
    with extras_for(f"{__name__}.{name}", extras):
        return getattr(import_module(module), _OTHER_NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)
