"""What the tests of launchers need of a scheduler, whichever it is; Slurm and Flux each have theirs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Held:
    """An allocation that a test holds: the environment of a process in it, and its nodes, of one core each."""

    environment: Mapping[str, str]
    nodes: tuple[str, ...]


class Scheduler(Protocol):
    """A scheduler that was started for tests on this machine, with two nodes of one core each."""

    launcher: str
    """The launcher for it, which "auto" is to find."""

    tells_a_dead_rank_s: float
    """How long it may take until the death of a rank is seen."""

    def allocation(self) -> AbstractContextManager[Held]:
        """Hold all nodes for a while. What a test broke of them is whole again afterwards."""

    def node_of(self, pid: int) -> str:
        """The node that a rank runs on, by its environment."""

    def cancel(self, held: Held, job_name: str) -> None:
        """Cancel a worker, as somebody else would do it."""

    def lose(self, held: Held, node: str) -> None:
        """Take a node away, with what runs on it."""

    def occupy(self, held: Held) -> AbstractContextManager[None]:
        """Have something else take all cores of the allocation."""
