"""What a launcher is, what it is given, and how a worker ended (adapter)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from moireloop_broker.processes.exits import CannotServe


class CannotLaunch(CannotServe):
    """A worker cannot be started here and now; the text says what is missing."""


Kind = Literal["stopped", "error", "signal", "fault", "lost", "cannot launch"]


@dataclass(frozen=True)
class Exit:
    """How a worker ended.

    `stopped`: on request or with exit code 0. `error`: by an error of its own. `signal`: killed, by the system or by
    somebody. `fault`: something under it does not work, such as a disk or a library, which is not its candidate's
    fault. `lost`: its machine or its allocation went away. `cannot launch`: it never began, since there was no place
    for it.
    """

    kind: Kind
    reason: str

    @property
    def charged(self) -> bool:
        """Whether the end uses up an attempt of the candidate that the worker held."""
        return self.kind in ("error", "signal")


@dataclass(frozen=True)
class Launch:
    """What every launcher is given: the worker's command line, and where and how wide it runs.

    Args:
        command: command line of one rank, to which `--name NAME` is added.
        ranks: MPI ranks of one worker.
        log_folder: gets one log file for each worker, appended to.
        campaign: name of the campaign, for the names of jobs.
        interface: network interface for MPI between hosts; None keeps MPI within one host.
        options: what the campaign file passes through to the launcher.
    """

    command: tuple[str, ...]
    ranks: int
    log_folder: Path
    campaign: str = ""
    interface: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


class Handle(Protocol):
    """One worker that was started."""

    def poll(self) -> Exit | None:
        """How the worker ended, None while it runs or waits."""

    @property
    def waiting(self) -> bool:
        """Whether it waits for a place, as in the queue of a scheduler, and has not begun."""

    def hand_back(self) -> None:
        """Ask it to give its candidate back and end."""

    def kill(self) -> None:
        """End it at once, with all its ranks."""


class Launcher(Protocol):
    """Starts workers in one kind of place."""

    def start(self, worker: str) -> Handle:
        """Start a worker. Raises CannotLaunch."""

    def ends_s(self) -> float | None:
        """When the allocation ends, in seconds since the epoch, as far as is known now; None without an end."""


OpenLauncher = Callable[[Launch], Launcher]
"""What an entry point of the group `moireloop.launchers` names."""
