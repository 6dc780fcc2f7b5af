"""When to start workers and when to wait: decisions of the pool's supervisor. Pure.

Events come in (a worker was started, it ended), instructions go out (start this worker now). Times are seconds of any
monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
HEALTHY_S: Final = 60.0


@dataclass(frozen=True)
class Slot:
    """One worker of the pool: running since `started_s`, or to be started at `start_at_s`."""

    worker: str
    started_s: float | None = None
    start_at_s: float = 0.0
    deaths: int = 0


class Pool:
    """Keeps so many workers alive; one that dies again and again waits 0.5, 1, 2 ... 30 s before it starts anew."""

    def __init__(self, count: int) -> None:
        self._slots = {name: Slot(name) for name in worker_names(count)}
        self._stopping = False

    @property
    def workers(self) -> list[str]:
        """Names of all workers, running or not."""
        return list(self._slots)

    def due(self, now_s: float) -> list[str]:
        """Workers to start now."""
        if self._stopping:
            return []
        return [s.worker for s in self._slots.values() if s.started_s is None and s.start_at_s <= now_s]

    def started(self, worker: str, now_s: float) -> None:
        """A worker was started."""
        slot = self._slots[worker]
        self._slots[worker] = Slot(worker, started_s=now_s, deaths=slot.deaths)

    def ended(self, worker: str, now_s: float, *, completed: int = 0) -> float:
        """A worker ended, after it had completed so many candidates; answers for how many seconds it now waits."""
        slot = self._slots[worker]
        lived_s = now_s - (slot.started_s if slot.started_s is not None else now_s)
        deaths = 0 if completed or lived_s >= HEALTHY_S else slot.deaths
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(deaths, 16))
        self._slots[worker] = Slot(worker, start_at_s=now_s + wait_s, deaths=deaths + 1)
        return wait_s

    def stop(self) -> None:
        """Start no more workers."""
        self._stopping = True

    def next_s(self, now_s: float) -> float | None:
        """Seconds until a worker is due, None when none is waiting."""
        waits = [s.start_at_s - now_s for s in self._slots.values() if s.started_s is None]
        return None if self._stopping or not waits else max(0.0, min(waits))


def worker_names(count: int) -> list[str]:
    """Names of the workers of a pool: worker-0, worker-1 ..."""
    return [f"worker-{number}" for number in range(count)]
