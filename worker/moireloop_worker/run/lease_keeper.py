"""Holds a worker's lease while LAMMPS runs, and reports the state of the lease and orders (adapter).

A separate thread renews the lease now and then, and whenever there is a message for the worker. It reports what the
worker does and looks up where frames go. LAMMPS runs outside Python's lock meanwhile. A worker that no longer makes
progress, because one of its ranks is stuck, must not hold its lease for ever: its attempt fails, and it ends itself
with all its ranks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

import redis

from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.state.instructions import Instruction, Instructions
from moireloop_broker.state.work_queue.leases import Lease, LeaseLost, Leases
from moireloop_worker.run.stillness import Stillness

log = logging.getLogger(__name__)

RENEWALS_PER_S: Final = 1000

SHORTEST_PERIOD_S: Final = 0.5

REASON_CHARACTERS: Final = 1000

Verdict = Literal["held", "lost"] | Instruction


def renewal_period_s(lease_s: float, workers: int) -> float:
    """Seconds between two renewals: a third of the lease or less, so that an order whose word was lost is heard soon.

    Many workers renew more rarely, so that Redis sees about a thousand renewals a second at most.
    """
    return min(lease_s / 3, max(SHORTEST_PERIOD_S, workers / RENEWALS_PER_S))


class LeaseKeeper:
    """Renews its lease until asked to drop it.

    Args:
        leases: used only by this object's thread, as are `instructions`.
        period_s: seconds between renewals.
        stall_s: seconds without progress after which the attempt fails and the worker ends.
        between: called in the thread after each renewal; may raise redis.RedisError.
        ends_s: when the allocation ends, in seconds since the epoch, as far as the launcher knew.
    """

    def __init__(
        self,
        worker: str,
        leases: Leases,
        instructions: Instructions,
        period_s: float,
        stall_s: float,
        between: Callable[[], None] = lambda: None,
        ends_s: float | None = None,
    ) -> None:
        self._worker = worker
        self._leases = leases
        self._instructions = instructions
        self._period_s = period_s
        self._stall_s = stall_s
        self._between = between
        self._ends_s = ends_s
        self._completed = 0
        self._fault: str | None = None
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._verdict: Verdict = "held"
        self._step = 0
        self._stillness = Stillness(period_s, time.monotonic())
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)
        self._thread.start()

    def hold(self, lease: Lease) -> None:
        """Renew this lease from now on."""
        with self._lock:
            self._lease, self._verdict, self._step = lease, "held", 0
            self._stillness.moved()

    def drop(self) -> None:
        """Stop renewing."""
        with self._lock:
            self._lease = None

    def verdict(self, step: int) -> Verdict:
        """What became of the lease by the last renewal; `step` is the progress to report.

        To ask is a sign of life: LAMMPS has come back from a chunk of steps, or waits for another's preparation.
        """
        self._step = step
        self.alive()
        return self._verdict

    def completed(self) -> int:
        """A candidate ended by itself; returns how many have since the worker's start."""
        self._completed += 1
        return self._completed

    def hold_off(self, fault: str | None) -> None:
        """Why no candidate is taken now, for the worker's status; None when candidates are taken."""
        self._fault = fault

    def status(self) -> WorkerStatus:
        """What the worker does now."""
        with self._lock:
            return self._status(self._lease)

    def alive(self) -> None:
        """The worker is not stuck."""
        self._stillness.moved()

    def close(self) -> None:
        """End the thread, which may wait for word from Redis."""
        self._closing.set()
        with contextlib.suppress(redis.RedisError):
            self._instructions.wake(self._worker)
        self._thread.join(timeout=5)

    def _keep(self) -> None:
        while not self._closing.is_set():
            try:
                self._instructions.wait(self._worker, self._period_s)
                if self._closing.is_set():
                    return
                self._renew()
                self._between()
            except redis.RedisError as error:
                log.warning("redis does not respond, trying again error=%s", error)
                self._closing.wait(self._period_s)
            except Exception:
                log.exception("lease keeper died, ending the worker")
                os.kill(os.getpid(), signal.SIGKILL)

    def _renew(self) -> None:
        with self._lock:
            lease = self._lease
        if lease is None:
            self._leases.report_worker(self._status(None))
            return
        self._end_if_stalled(lease)
        verdict = self._ask(lease)
        with self._lock:
            if self._lease is lease:
                self._verdict = verdict

    def _ask(self, lease: Lease) -> Verdict:
        try:
            return self._leases.renew(lease, self._step, self._status(lease)) or "held"
        except LeaseLost:
            return "lost"

    def _status(self, lease: Lease | None) -> WorkerStatus:
        return WorkerStatus(
            worker=self._worker,
            candidate_id=lease.candidate.candidate_id if lease else None,
            attempt=lease.attempt if lease else None,
            step=self._step if lease else 0,
            seen_s=time.time(),
            phase="held" if self._fault else "up",
            completed=self._completed,
            ends_s=self._ends_s,
            fault=self._fault[:REASON_CHARACTERS] if self._fault else None,
        )

    def _end_if_stalled(self, lease: Lease) -> None:
        silent_s = self._stillness.look(time.monotonic())
        if silent_s <= self._stall_s:
            return
        reason = f"stuck: no progress for {silent_s:.0f} s at step {self._step} (workers.stall_s = {self._stall_s:g})"
        log.critical("%s, ending the worker candidate=%s", reason, lease.candidate.candidate_id)
        self._leases.fail(lease, reason)
        os.kill(os.getpid(), signal.SIGKILL)  # the launcher ends the other ranks
