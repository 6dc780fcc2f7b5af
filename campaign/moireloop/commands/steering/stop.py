"""`moireloop stop`: asks a running campaign to drain (main)."""

from __future__ import annotations

from pathlib import Path

from moireloop.commands.started import started
from moireloop.commands.steering.requests import client_of
from moireloop.session.lock import is_running
from moireloop.terminal.console import console
from moireloop_broker.folder import CampaignFolder


def stop(path: Path) -> int:
    """Let running candidates finish, then stop; `moireloop resume` continues from there."""
    if path.suffix != ".json" and not is_running(CampaignFolder(started(path).folder)):
        console.print("the campaign is not running")
        return 0
    with client_of(path) as client:
        client.stop("moireloop stop")
    console.print("draining: no more candidates are leased, running ones finish")
    return 0
