"""The loop that every service runs in: signals, logging, and a truthful exit code (main)."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from moireloop_broker.extras import MissingExtra, extras_for
from moireloop_broker.processes.exits import EXIT_CANNOT_SERVE, EXIT_DIED, EXIT_GO_ON, CannotServe, GoOnLater, end_soon

log = logging.getLogger(__name__)


class Service(Protocol):
    """One unit of work at a time, each short, so that a signal is heard soon."""

    def step(self) -> None:
        """Do the pending work, waiting at most a second for it."""

    def close(self) -> None:
        """Let go of everything."""


class Beat(Protocol):
    """How a service says that it works."""

    def __call__(self) -> None:
        """After each step; fast, and never an error."""

    def close(self) -> None:
        """When the service has ended as it was asked to."""


class StopSignal:
    """Becomes true at SIGTERM, and at what else is named. SIGINT is left to the conductor, which passes it on.

    SIGHUP is the kernel's word to a process that was stopped and whose parent has gone.
    """

    def __init__(self, *others: signal.Signals) -> None:
        self.stopped = False
        for number in (signal.SIGTERM, signal.SIGHUP, *others):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopped = True
        end_soon()

    def __bool__(self) -> bool:
        return self.stopped


def started(module: str, extra: str, run: Callable[[], int]) -> int:
    """The exit code of a service; where its extra is missing, a line on stderr names it.

    Args:
        module: as for `python -m`.
        run: imports the service and runs it.
    """
    try:
        with extras_for(f"python -m {module}", (extra,)):
            return run()
    except MissingExtra as error:
        sys.stderr.write(f"{module}: {error}\n")
        return EXIT_CANNOT_SERVE


FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


def log_to_stderr() -> None:
    """Log lines on stderr, which the conductor sends into the campaign's folder."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=FORMAT)


def log_to(file: Path) -> None:
    """Log lines in a file of the campaign's folder: for a service that a person started, who reads what it says."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    logging.basicConfig(level=logging.INFO, filename=file, format=FORMAT, force=True)


def run_service(name: str, open_service: Callable[[], Service], beat: Beat | None = None) -> int:
    """Run a service until SIGTERM; returns its exit code.

    It is 0 when asked to stop, EXIT_CANNOT_SERVE when it cannot do its work here, EXIT_GO_ON when its allocation
    ends, EXIT_DIED when its loop died.
    """
    log_to_stderr()
    stop = StopSignal()
    service = None
    try:
        service = open_service()
        log.info("service started name=%s", name)
        while not stop:
            service.step()
            if beat is not None:
                beat()
        if beat is not None:
            beat.close()
    except CannotServe as error:
        log.critical("service cannot run name=%s reason=%s", name, error)
        return EXIT_CANNOT_SERVE
    except GoOnLater as ended:
        log.info("service gives back name=%s reason=%s", name, ended)
        return EXIT_GO_ON
    except Exception:
        log.exception("service died name=%s", name)
        return EXIT_DIED
    finally:
        if service is not None:
            service.close()
    log.info("service stopped name=%s", name)
    return 0
