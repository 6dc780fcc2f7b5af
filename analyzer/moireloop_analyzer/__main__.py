"""`python -m moireloop_analyzer --connection FILE --name NAME`: the analyzer service (main)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from moireloop_analyzer.service.analyzer import open_analyzer
from moireloop_broker.processes.service_loop import run_service

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="moireloop_analyzer")
    parser.add_argument("--connection", type=Path, required=True)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    sys.exit(run_service(arguments.name, lambda: open_analyzer(arguments.connection, arguments.name)))
