"""`python -m moireloop_broker --connection FILE`: the broker service (main)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from moireloop_broker.processes.service_loop import run_service
from moireloop_broker.service.broker import open_broker

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="moireloop_broker")
    parser.add_argument("--connection", type=Path, required=True)
    arguments = parser.parse_args()
    sys.exit(run_service("broker", lambda: open_broker(arguments.connection)))
