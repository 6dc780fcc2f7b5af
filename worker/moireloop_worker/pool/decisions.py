"""When to start workers and when to wait: decisions of the pool's supervisor (pure).

Events come in (a worker was started, it ended, what it held was given back), instructions go out (start these now).
Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from moireloop_broker.processes.backoff import Revival

HEALTHY_S: Final = 60.0

STILL_BIRTHS: Final = 4


@dataclass
class _Slot:
    """One worker of the pool. It is started when it is not running, holds nothing and has waited long enough."""

    released: bool = False
    still_births: int = 0
    revival: Revival = field(default_factory=Revival)


class Pool:
    """Keeps a number of workers alive; a worker that keeps dying backs off 0.5, 1, 2 ... 30 s before it restarts.

    A worker starts only after its predecessor of the same name has given back what it held to the queue.
    """

    def __init__(self, workers: Sequence[str]) -> None:
        self._slots = {worker: _Slot() for worker in workers}
        self._any_came_up = False

    @property
    def workers(self) -> list[str]:
        """Names of all workers, running or not."""
        return list(self._slots)

    def resize(self, workers: Sequence[str]) -> tuple[list[str], list[str]]:
        """Keep these workers from now on; returns those that are new, and those that are to end."""
        new = [worker for worker in workers if worker not in self._slots]
        leaving = [worker for worker in self._slots if worker not in workers]
        self._slots = {worker: self._slots.get(worker) or _Slot() for worker in workers}
        return new, leaving

    def due(self, now_s: float) -> list[str]:
        """Workers to start now."""
        return [w for w, slot in self._slots.items() if slot.released and slot.revival.is_due(now_s)]

    def started(self, worker: str, now_s: float) -> None:
        """A worker was started."""
        slot = self._slots[worker]
        slot.revival.started(now_s)
        slot.released = False

    def ended(self, worker: str, now_s: float, *, productive: bool, came_up: bool = True, lost: bool = False) -> float:
        """A worker ended, after completing a candidate or not; returns for how many seconds it now waits.

        Args:
            came_up: whether it was ever ready to take a candidate.
            lost: whether its machine or its allocation went away, which says nothing about the worker.
        """
        self._any_came_up = self._any_came_up or came_up
        slot = self._slots.get(worker)
        if slot is None:
            return 0.0
        if came_up:
            slot.still_births = 0
        elif not lost:
            slot.still_births += 1
        return slot.revival.ended(now_s, healthy_s=HEALTHY_S, is_productive=productive)

    def released(self, worker: str) -> None:
        """What the worker held was given back to the queue. A worker that is none of this pool's is not to start."""
        if worker in self._slots:
            self._slots[worker].released = True

    @property
    def cannot_start(self) -> bool:
        """Whether every worker has died STILL_BIRTHS times in a row before it was ready to take a candidate."""
        return bool(self._slots) and all(slot.still_births >= STILL_BIRTHS for slot in self._slots.values())

    @property
    def is_hopeless(self) -> bool:
        """Whether no worker can start and none ever came up: what is missing here does not come by waiting."""
        return self.cannot_start and not self._any_came_up
