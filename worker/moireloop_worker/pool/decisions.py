"""When to start workers and when to wait: decisions of the pool's supervisor (pure).

Events come in (a worker was started, it ended, what it held was given back), instructions go out (start these now).
Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from moireloop_broker.processes.backoff import Backoff

HEALTHY_S: Final = 60.0

STILL_BIRTHS: Final = 4


@dataclass
class _Slot:
    """One worker of the pool. It is started when it is not running, holds nothing and has waited long enough."""

    started_s: float | None = None
    start_at_s: float = 0.0
    released: bool = False
    still_births: int = 0
    backoff: Backoff = field(default_factory=Backoff)


class Pool:
    """Keeps so many workers alive; one that dies again and again waits 0.5, 1, 2 ... 30 s before it starts anew.

    A worker starts only after what its forerunner of the same name held was given back to the queue.
    """

    def __init__(self, workers: Sequence[str]) -> None:
        self._slots = {worker: _Slot() for worker in workers}
        self._any_came_up = False

    @property
    def workers(self) -> list[str]:
        """Names of all workers, running or not."""
        return list(self._slots)

    def due(self, now_s: float) -> list[str]:
        """Workers to start now."""
        return [w for w, slot in self._slots.items() if _ready(slot) and slot.start_at_s <= now_s]

    def started(self, worker: str, now_s: float) -> None:
        """A worker was started."""
        slot = self._slots[worker]
        slot.started_s, slot.released = now_s, False

    def ended(self, worker: str, now_s: float, *, productive: bool, came_up: bool = True, lost: bool = False) -> float:
        """A worker ended, after completing a candidate or not; returns for how many seconds it now waits.

        Args:
            came_up: whether it was ever ready to take a candidate.
            lost: whether its machine or its allocation went away, which says nothing of the worker.
        """
        slot = self._slots[worker]
        lived_s = now_s - (now_s if slot.started_s is None else slot.started_s)
        if productive or lived_s >= HEALTHY_S:
            slot.backoff.reset()
        self._any_came_up = self._any_came_up or came_up
        if came_up:
            slot.still_births = 0
        elif not lost:
            slot.still_births += 1
        wait_s = slot.backoff.next_s()
        slot.started_s, slot.start_at_s = None, now_s + wait_s
        return wait_s

    def released(self, worker: str) -> None:
        """What the worker held was given back to the queue."""
        self._slots[worker].released = True

    @property
    def cannot_start(self) -> bool:
        """Whether every worker has died STILL_BIRTHS times in a row before it was ready to take a candidate."""
        return all(slot.still_births >= STILL_BIRTHS for slot in self._slots.values())

    @property
    def is_hopeless(self) -> bool:
        """Whether no worker can start and none ever came up: what is missing here does not come by waiting."""
        return self.cannot_start and not self._any_came_up


def _ready(slot: _Slot) -> bool:
    return slot.started_s is None and slot.released
