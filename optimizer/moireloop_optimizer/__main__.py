"""`python -m moireloop_optimizer --connection FILE`: the optimizer service (main)."""

from __future__ import annotations

import argparse
from pathlib import Path

from moireloop_broker.processes.exits import leave
from moireloop_broker.processes.service_loop import run_service, started


def run() -> int:
    """The optimizer until SIGTERM; returns its exit code."""
    from moireloop_broker.membership.heartbeats import Heartbeat
    from moireloop_optimizer.service.optimizer import open_optimizer

    parser = argparse.ArgumentParser(prog="moireloop_optimizer")
    parser.add_argument("--connection", type=Path, required=True)
    arguments = parser.parse_args()
    beat = Heartbeat(arguments.connection, "optimizer")
    return run_service("optimizer", lambda: open_optimizer(arguments.connection), beat)


if __name__ == "__main__":
    leave(started("moireloop_optimizer", "optimizer", run))
