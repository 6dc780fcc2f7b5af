"""`python -m moireloop_broker --connection FILE`: the broker service (main)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from moireloop_broker.broker_service import open_broker
from moireloop_broker.service import run_service

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="moireloop_broker")
    parser.add_argument("--connection", type=Path, required=True)
    arguments = parser.parse_args()
    sys.exit(run_service("broker", lambda: open_broker(arguments.connection)))
