"""`moireloop`, and `python -m moireloop`: the command line (main)."""

from __future__ import annotations

from typing import NoReturn

from moireloop.cli import main
from moireloop_broker.processes.exits import leave


def run() -> NoReturn:
    """Carry out the command of this process, and end with its exit code."""
    leave(main())


if __name__ == "__main__":
    run()
