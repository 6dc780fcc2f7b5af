"""`python -m moireloop_broker --connection FILE`: the broker service (main)."""

from __future__ import annotations

import argparse
from pathlib import Path

from moireloop_broker.processes.exits import leave
from moireloop_broker.processes.service_loop import run_service, started


def run() -> int:
    """The broker until SIGTERM; returns its exit code."""
    from moireloop_broker.membership.heartbeats import Heartbeat
    from moireloop_broker.service.broker import open_broker

    parser = argparse.ArgumentParser(prog="moireloop_broker")
    parser.add_argument("--connection", type=Path, required=True)
    arguments = parser.parse_args()
    beat = Heartbeat(arguments.connection, "broker")
    return run_service("broker", lambda: open_broker(arguments.connection), beat)


if __name__ == "__main__":
    leave(started("moireloop_broker", "broker", run))
