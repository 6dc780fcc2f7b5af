"""What a launcher is, and how a worker ended (adapter)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from moireloop_broker.processes.exits import CannotServe


class CannotLaunch(CannotServe):
    """A worker cannot be started here; the text says what is missing."""


@dataclass(frozen=True)
class Exit:
    """How a worker ended.

    `stopped`: on request or with exit code 0. `error`: by an error of its own. `signal`: killed, by the system or by
    somebody. `lost`: its machine went away, which is not its candidate's fault. `productive` is whether it completed
    a candidate, `came_up` whether it was ever ready for one.
    """

    kind: Literal["stopped", "error", "signal", "lost"]
    reason: str
    productive: bool = False
    came_up: bool = False

    @property
    def charged(self) -> bool:
        """Whether the end uses up an attempt of the candidate that the worker held."""
        return self.kind in ("error", "signal")


class Handle(Protocol):
    """One worker that was started."""

    def poll(self) -> Exit | None:
        """How the worker ended, None while it runs."""

    def terminate(self) -> None:
        """Ask it to give its candidate back and end."""

    def kill(self) -> None:
        """End it at once, with all its ranks."""


class Launcher(Protocol):
    """Starts workers in one kind of place."""

    def start(self, worker: str) -> Handle:
        """Start a worker. Raises CannotLaunch."""


STARTED_WORDS: Final = "worker started"
"""What a worker's log says when it is ready for its first candidate."""

COMPLETED_WORDS: Final = "candidate finished"
"""What a worker's log says for each candidate that it completed."""
