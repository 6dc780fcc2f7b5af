"""Many workers in one process that run no MD, and speak the real protocol: leases, renewals, frames, ends, losses.

Called by `bench.scale` as a separate process: one thread goes from one worker's next deed to another's. Commands go
over a few connections to Redis. Besides, each worker holds an idle connection, as a real one does while LAMMPS runs.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import math
import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import redis
import zmq

from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import RunReport
from moireloop_broker.contract.frames import Frame, FrameHeader
from moireloop_broker.membership.pools import PoolMembership
from moireloop_broker.state.campaign_state import frame_endpoints
from moireloop_broker.state.work_queue.leases import Lease, LeaseLost, Leases
from moireloop_broker.streams.frames import FramePublisher
from moireloop_worker.models.noop import Noop
from moireloop_worker.models.settings import NoopSettings
from moireloop_worker.run.lease_keeper import renewal_period_s

ATOMS_CELLS: Final = (18, 24)
"""Two layers of 432 atoms."""

STEPS: Final = 20_000

SPREAD: Final = 0.3
"""Of the logarithm of the times that runs take."""

LOOK_AGAIN_S: Final = 0.05
"""A real worker that finds the queue empty blocks in Redis; these look again after so long."""

AWAY_S: Final = 5.0

LONGEST_WARM: Final = 6

BEAT_S: Final = 1.0

LATE_S: Final = 0.1

Deed = Literal["begin", "end", "renew", "frame"]


@dataclass(frozen=True)
class Plan:
    """What is simulated, for how many seconds; only the seconds after `warm_s` count.

    They count later where workers still wait for their first candidate: at most LONGEST_WARM times `warm_s`.
    The workers are a share of `all_workers`, which several processes simulate. Runs take `run_s` in the mean. The
    shares are of runs whose worker crashes, or hangs and no longer renews its lease. An allocation of the share
    `allocation` of the workers leaves each time `leave_every_s` have gone by. With `each_publishes` every worker has a
    separate frame stream, as a real one has, else one serves the process.
    """

    connection: str
    workers: int
    all_workers: int
    seconds: float
    warm_s: float
    run_s: float
    lease_s: float = 30.0
    frame_every_s: float | None = 20.0
    crash: float = 0.005
    hang: float = 0.001
    allocation: float = 0.05
    leave_every_s: float = 20.0
    seed: int = 1
    pool: str = "simulated"
    each_publishes: bool = False


@dataclass
class Figures:
    """What was seen: seconds from an end to the next lease, idle seconds, and how often things happened."""

    next_lease_s: list[float] = field(default_factory=list)
    idle_s: float = 0.0
    late_s: float = 0.0
    counted: Counter[str] = field(default_factory=Counter)
    frames_sent: int = 0
    frames_dropped: int = 0
    cpu_s: float = 0.0
    counted_s: float = 0.0


@dataclass
class Worker:
    """One simulated worker. Deeds of an earlier `turn` are void."""

    name: str
    number: int
    lease: Lease | None = None
    turn: int = 0
    free_s: float | None = None
    begun_s: float = 0.0
    hangs: bool = False
    frames: int = 0


class Simulation:
    """All workers, the deeds that they have before them, and what was seen of them."""

    def __init__(self, plan: Plan) -> None:
        connection = read_connection(Path(plan.connection))
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._client = connection.open_redis()
        self._leases = Leases(self._client, connection.keys, lease_s=plan.lease_s)
        self._pool = PoolMembership(
            self._client, connection.keys, plan.pool, host="simulated", launcher="local", workers=plan.workers
        )
        self._pool.take_over()
        self._idle_connections = _connections(connection, plan.workers)
        self._workers = [Worker(f"{plan.pool}.worker-{number}", number) for number in range(plan.workers)]
        self._keys = connection.keys
        self._endpoints = frame_endpoints(self._client, self._keys)
        self._publishers = self._opened_publishers()
        self._frame_parts = _frame_parts()
        self._period_s = renewal_period_s(plan.lease_s, plan.all_workers)
        self._order = itertools.count()
        self._deeds: list[tuple[float, int, Deed, Worker, int]] = []
        self._idle: deque[Worker] = deque()
        self.seen = Figures()
        self._counts = False
        self._counts_from_s = 0.0

    def run(self) -> Figures:
        """Simulate until the time is over; the leases are given back at the end."""
        plan, began_s = self._plan, time.monotonic()
        for worker in self._workers:
            self._later(began_s + self._random.uniform(0.0, plan.warm_s / 2), "begin", worker)
        ends_s = leave_s = math.inf
        look_s, beat_s, cpu_s = 0.0, 0.0, 0.0
        while (now_s := time.monotonic()) < ends_s:
            if not self._counts and self._is_warm(now_s - began_s):
                self._counts, self._counts_from_s, cpu_s = True, now_s, time.process_time()
                ends_s, leave_s = now_s + plan.seconds - plan.warm_s, now_s + plan.leave_every_s
                print("counts", flush=True)
            if now_s >= leave_s:
                leave_s += plan.leave_every_s
                self._leave(now_s)
            if now_s >= look_s:
                look_s = now_s + LOOK_AGAIN_S
                self._look_again()
            if now_s >= beat_s:
                beat_s = now_s + BEAT_S
                self._pool.beat()
                self._endpoints = frame_endpoints(self._client, self._keys)
            self._do_next(now_s)
        self.seen.cpu_s, self.seen.counted_s = time.process_time() - cpu_s, plan.seconds - plan.warm_s
        now_s = time.monotonic()
        self.seen.idle_s += sum(now_s - max(worker.free_s or now_s, self._counts_from_s) for worker in self._idle)
        print("done", flush=True)
        self._close()
        return self.seen

    def _is_warm(self, elapsed_s: float) -> bool:
        """Whether every worker has had a candidate, and time enough has gone by."""
        if elapsed_s < self._plan.warm_s:
            return False
        waits = any(worker.lease is None and not worker.turn for worker in self._workers)
        return not waits or elapsed_s >= self._plan.warm_s * LONGEST_WARM

    def _do_next(self, now_s: float) -> None:
        if not self._deeds or self._deeds[0][0] > now_s:
            time.sleep(min(0.005, max(0.0, self._deeds[0][0] - now_s)) if self._deeds else 0.005)
            return
        due_s, _, deed, worker, turn = heapq.heappop(self._deeds)
        if turn != worker.turn:
            return
        if self._counts:
            self.seen.late_s = max(self.seen.late_s, now_s - due_s)
            self.seen.counted[f"{deed}, more than {LATE_S:g} s late"] += now_s - due_s > LATE_S
        getattr(self, f"_{deed}")(worker)

    def _later(self, due_s: float, deed: Deed, worker: Worker) -> None:
        heapq.heappush(self._deeds, (due_s, next(self._order), deed, worker, worker.turn))

    def _begin(self, worker: Worker) -> None:
        worker.free_s = worker.free_s or time.monotonic()
        self._take(worker, self._leases.take(worker.name, 0.0))

    def _take(self, worker: Worker, lease: Lease | None) -> None:
        now_s = time.monotonic()
        if lease is None:
            self._count("queue found empty")
            worker.free_s = worker.free_s or now_s
            self._idle.append(worker)
            return
        if worker.free_s is not None and self._counts:
            self.seen.next_lease_s.append(now_s - worker.free_s)
            self.seen.idle_s += now_s - max(worker.free_s, self._counts_from_s)
        self._count("leases")
        self._hold(worker, lease, now_s)

    def _hold(self, worker: Worker, lease: Lease, now_s: float) -> None:
        plan, lot = self._plan, self._random.random()
        worker.turn, worker.lease, worker.free_s = worker.turn + 1, lease, None
        worker.begun_s, worker.frames, worker.hangs = time.time(), 0, lot < plan.hang
        run_s = self._random.lognormvariate(math.log(plan.run_s) - SPREAD**2 / 2, SPREAD)
        if not self._counts:
            run_s *= self._random.random()
        if worker.hangs:
            self._later(now_s + plan.lease_s + AWAY_S, "end", worker)
            return
        crashes = lot < plan.hang + plan.crash
        self._later(now_s + run_s * (self._random.random() if crashes else 1.0), "end", worker)
        worker.hangs = False
        worker.frames = -1 if crashes else 0
        self._later(now_s + self._period_s * self._random.random(), "renew", worker)
        if plan.frame_every_s is not None:
            self._later(now_s + plan.frame_every_s * self._random.random(), "frame", worker)

    def _end(self, worker: Worker) -> None:
        lease, crashes = worker.lease, worker.frames < 0
        if lease is None:
            return
        if worker.hangs or crashes:
            self._lose(worker, lease)
            return
        now_s = time.time()
        report = RunReport(
            worker=worker.name, started_s=worker.begun_s, finished_s=now_s, steps=STEPS, planned_steps=STEPS,
            md_s=now_s - worker.begun_s, frames_sent=worker.frames,
        )  # fmt: skip
        worker.free_s = time.monotonic()
        counts, after = self._leases.finish_and_take(lease, report, self._frame_of(lease, STEPS, final=True))
        self._count("finished" if counts else "leases lost by overload")
        worker.turn, worker.lease = worker.turn + 1, None
        self._take(worker, after)

    def _lose(self, worker: Worker, lease: Lease) -> None:
        """A worker that crashed is seen to be gone by its pool, one that hung by its lease."""
        self._count("hung" if worker.hangs else "crashed")
        if not worker.hangs:
            self._leases.fail(lease, "simulated crash")
        worker.turn, worker.lease = worker.turn + 1, None
        worker.free_s = None
        self._later(time.monotonic() + 1.0, "begin", worker)

    def _renew(self, worker: Worker) -> None:
        if worker.lease is None:
            return
        held = worker.lease
        status = WorkerStatus(
            worker=worker.name, candidate_id=held.candidate.candidate_id, attempt=held.attempt, step=1, seen_s=0.0
        )
        try:
            self._leases.renew(held, 1, status)
        except LeaseLost:
            self._count("leases lost by overload")
            worker.turn, worker.lease = worker.turn + 1, None
            self._begin(worker)
            return
        self._count("renewals")
        self._later(time.monotonic() + self._period_s, "renew", worker)

    def _frame(self, worker: Worker) -> None:
        if worker.lease is None or self._plan.frame_every_s is None:
            return
        publisher = self._publishers[worker.number % len(self._publishers)]
        publisher.look_up()
        publisher.publish(self._frame_of(worker.lease, self._step_of(worker), final=False))
        if worker.frames >= 0:
            worker.frames += 1
        self._count("frames")
        self._later(time.monotonic() + self._plan.frame_every_s, "frame", worker)

    def _step_of(self, worker: Worker) -> int:
        """A step that no other frame of the run has."""
        return max(1, min(STEPS - 1, round(1000 * (time.time() - worker.begun_s))))

    def _leave(self, now_s: float) -> None:
        """An allocation ends: its workers give back what they hold, and as many others come a little later."""
        gone = self._random.sample(self._workers, max(1, round(self._plan.allocation * len(self._workers))))
        for worker in gone:
            if worker.lease is None or worker.hangs:
                continue
            self._leases.give_back(worker.lease, "simulated end of the allocation")
            self._count("given back")
            worker.turn, worker.lease = worker.turn + 1, None
            self._later(now_s + AWAY_S * self._random.random(), "begin", worker)

    def _look_again(self) -> None:
        """Those that found the queue empty, the first one first, until it is empty again."""
        for _ in range(len(self._idle)):
            worker = self._idle.popleft()
            self._take(worker, self._leases.take(worker.name, 0.0))
            if worker.lease is None:
                self._idle.rotate(1)
                return

    def _opened_publishers(self) -> list[FramePublisher]:
        """Ends of the frame stream; on one machine they need no keys."""
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        count = len(self._workers) if self._plan.each_publishes else 1
        return [FramePublisher(lambda: self._endpoints, context=context) for _ in range(count)]

    def _count(self, what: str) -> None:
        if self._counts:
            self.seen.counted[what] += 1

    def _frame_of(self, lease: Lease, step: int, *, final: bool) -> Frame:
        header, positions, types = self._frame_parts
        update = {"candidate_id": lease.candidate.candidate_id, "attempt": lease.attempt, "step": step, "final": final}
        return Frame(header.model_copy(update=update), positions, types)

    def _close(self) -> None:
        for worker in self._workers:
            if worker.lease is not None and not worker.hangs:
                self._leases.give_back(worker.lease, "the simulation is over")
        self._pool.leave()
        for publisher in self._publishers:
            self.seen.frames_sent += publisher.sent
            self.seen.frames_dropped += publisher.dropped + publisher.waiting
            publisher.close()
        for client in self._idle_connections:
            client.close()
        self._client.close()


def _connections(connection: Connection, count: int) -> list[redis.Redis]:
    """Idle connections."""
    found = []
    for _ in range(count):
        client = redis.Redis.from_url(connection.redis_url, single_connection_client=True)
        client.ping()
        found.append(client)
    return found


def _frame_parts() -> tuple[FrameHeader, Any, Any]:
    """The header, positions and types of a frame of 864 atoms."""
    plan = Noop(NoopSettings(cells=ATOMS_CELLS)).plan({}, 1, None)
    found = plan.snapshot
    header = FrameHeader(
        candidate_id="none", attempt=1, step=0, time_ps=0.0, cell=found.cell.tolist(), periodic=[True, True, False],
        shape=list(found.positions.shape), lattice_types=[1, 2], temperature_k=300.0, planned_steps=STEPS,
    )  # fmt: skip
    return header, found.positions, found.types


def main() -> int:
    """Simulate what the first argument says, as JSON, and print what was seen, as JSON, in the last line."""
    with contextlib.suppress(BrokenPipeError):
        seen = Simulation(Plan(**json.loads(sys.argv[1]))).run()
        print(json.dumps(vars(seen)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
