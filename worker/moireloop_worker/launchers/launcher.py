"""What a launcher is, what it is given, and how a worker ended (adapter)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from moireloop_broker.processes.exits import CannotServe
from moireloop_worker.launchers.allocation import Allocation


class CannotLaunch(CannotServe):
    """A worker cannot be started here and now; the text says what is missing."""


Kind = Literal["stopped", "error", "signal", "fault", "lost", "cannot launch"]


@dataclass(frozen=True)
class Exit:
    """How a worker ended.

    `stopped`: on request or with exit code 0. `error`: by its own error. `signal`: killed by the system or a
    user. `fault`: something under it does not work, such as a disk or a library; its candidate is not to blame.
    `lost`: its machine or its allocation went away. `cannot launch`: it never began, since there was no place for it.
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
        interface: network interface for MPI between hosts; None leaves it to MPI, which within one host opens no port.
        options: what the campaign file passes through to the launcher.
        pool: name of the pool, for the names of jobs.
        cores: cores of one rank.
        gpus: GPUs of one rank.
        nodes: over how many nodes the ranks of one worker are spread.
    """

    command: tuple[str, ...]
    ranks: int
    log_folder: Path
    campaign: str = ""
    interface: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    pool: str = "main"
    cores: int = 1
    gpus: int = 0
    nodes: int = 1

    def job_name(self, worker: str) -> str:
        """What a scheduler calls this worker. No other worker of the scheduler's user has this name."""
        return f"moireloop-{self.campaign}-{self.pool}-{worker}"


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


@runtime_checkable
class Surveyor(Protocol):
    """An optional method of an entry point: it says before anything starts what there is for workers."""

    def survey(self) -> Allocation:
        """The allocation in which workers would be started. Raises CannotLaunch where there is none."""

    def why_refused(self, options: Mapping[str, str]) -> str | None:
        """What is wrong with `workers.launcher_options`, in words; None where they can be used."""


OpenLauncher = Callable[[Launch], Launcher]
"""What an entry point of the group `moireloop.launchers` names."""
