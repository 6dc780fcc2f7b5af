"""`python -m moireloop_analyzer --connection FILE --name NAME`: the analyzer service (main)."""

from __future__ import annotations

import argparse
from pathlib import Path

from moireloop_broker.processes.exits import leave
from moireloop_broker.processes.service_loop import run_service, started


def run() -> int:
    """One analyzer until SIGTERM; returns its exit code."""
    from moireloop_analyzer.service.analyzer import open_analyzer
    from moireloop_broker.membership.heartbeats import Heartbeat

    parser = argparse.ArgumentParser(prog="moireloop_analyzer")
    parser.add_argument("--connection", type=Path, required=True)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    beat = Heartbeat(arguments.connection, arguments.name)
    return run_service(arguments.name, lambda: open_analyzer(arguments.connection, arguments.name), beat)


if __name__ == "__main__":
    leave(started("moireloop_analyzer", "analyzer", run))
