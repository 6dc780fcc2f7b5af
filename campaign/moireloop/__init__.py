"""What a person touches: the campaign file, the service set, the CLI and the client (adapter)."""

from __future__ import annotations

from moireloop.client.client import CampaignClient, NotRunning, Received, RequestRefused, connect

__all__ = ["CampaignClient", "NotRunning", "Received", "RequestRefused", "connect"]
