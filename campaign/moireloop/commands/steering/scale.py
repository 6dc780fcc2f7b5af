"""`moireloop scale`: more or fewer workers in a pool of a running campaign (main)."""

from __future__ import annotations

from pathlib import Path

from moireloop.commands.steering.requests import client_of
from moireloop.terminal.console import say


def scale(path: Path, *, workers: int, pool: str) -> int:
    """Change the number of workers in a pool."""
    with client_of(path) as client:
        client.scale(workers, pool)
    number = f"{workers} worker{'s' * (workers != 1)}"
    say(f"pool {pool} keeps {number} from now on; surplus workers give back their candidates")
    return 0
