"""The worker: takes candidates one after another and runs them in one LAMMPS process (main).

Rank 0 (`Leader`) talks to Redis and ZeroMQ; the others (`follow`) do with a candidate what rank 0 broadcasts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import redis
from mpi4py import MPI

from moireloop_broker.contract.events import RunReport
from moireloop_broker.contract.frames import Frame
from moireloop_broker.processes.clock import boot_s
from moireloop_broker.state.work_queue.leases import Lease, LeaseLost, Leases
from moireloop_worker.lammps.engine import LammpsError, Watch
from moireloop_worker.lammps.writable import why_unusable
from moireloop_worker.launchers.last_runs import LastRuns
from moireloop_worker.models.growth_model import Configuration, GrowthModel, ParametersRefused
from moireloop_worker.run.evaluation import Evaluated, Evaluator
from moireloop_worker.run.faults import Hold, is_infrastructure, lammps_blames_the_system
from moireloop_worker.run.frame_outlet import FrameOutlet
from moireloop_worker.run.frames import RunFrames, frame_of
from moireloop_worker.run.lease_keeper import LeaseKeeper
from moireloop_worker.run.molten import NotMolten
from moireloop_worker.run.preparation import PreparationStopped
from moireloop_worker.run.ranks import CannotWrite, quiet_broadcast

log = logging.getLogger(__name__)

TAKE_WAIT_S: Final = 0.5

HOLD_POLL_S: Final = 0.1


class Before(NamedTuple):
    """Before a run: seconds in LAMMPS and those for which callbacks held it up, frames sent and dropped, seconds since
    the epoch, seconds of the boot clock."""

    md_s: float
    held_up_s: float
    sent: int
    dropped: int
    started_s: float
    began_s: float


class FrameWatch(Watch):
    """Publishes the frames of one run, or this rank's parts of them."""

    def __init__(self, lease: Lease, model: GrowthModel, outlet: FrameOutlet) -> None:
        self._frames = RunFrames(lease.candidate.candidate_id, lease.attempt, model)
        self._outlet = outlet

    def begin(self, planned_steps: int) -> None:
        """Note what is planned, for the frames."""
        self._frames.planned_steps = planned_steps

    def frame(self, snapshot: Configuration) -> None:
        """Publish it; never waits."""
        self._outlet.send(self._frames.message(snapshot), snapshot.parts)

    def ended(self) -> None:
        """Let go of what waits."""
        self._outlet.ended()


class RunWatch(FrameWatch):
    """Stops a run, too: by order, when its lease is gone, or when the worker is to end."""

    def __init__(
        self,
        lease: Lease,
        model: GrowthModel,
        outlet: FrameOutlet,
        keeper: LeaseKeeper,
        stopping: Callable[[], bool],
        *,
        within_a_frame: bool,
    ) -> None:
        super().__init__(lease, model, outlet)
        self.within_a_frame = within_a_frame
        self._keeper = keeper
        self._stopping = stopping

    def stop(self, step: int) -> bool:
        """Whether there is a reason to stop."""
        return self._keeper.verdict(step) != "held" or self._stopping()

    def goes_on(self, step: int) -> bool:
        """Whether the run was stopped only because the worker is to end."""
        return self._keeper.verdict(step) == "held"

    def concludes(self, step: int) -> bool:
        """Whether what it led to stands beside the structures of whole runs. A cancelled run ends as it is, at once."""
        return self._keeper.verdict(step) in ("settled", "hopeless")


class Leader:
    """Rank 0: takes a candidate, has all ranks run it, and hands in what came of it.

    Args:
        stopping: whether the worker was asked to end; asked after each chunk of a run.
        provenance: what is the same for all runs of this worker.
        begin: called with each lease before it is run.
        within_a_frame: hear an order to end a run before its next frame is due.
        last_runs: say whether another run is worth beginning.
    """

    def __init__(
        self,
        communicator: MPI.Intracomm,
        worker: str,
        evaluator: Evaluator,
        leases: Leases,
        keeper: LeaseKeeper,
        outlet: FrameOutlet,
        stopping: Callable[[], bool],
        provenance: Mapping[str, str],
        begin: Callable[[Lease], None],
        within_a_frame: bool,
        last_runs: LastRuns,
    ) -> None:
        self._last_runs = last_runs
        self._comm = communicator
        self._worker = worker
        self._evaluator = evaluator
        self._leases = leases
        self._keeper = keeper
        self._outlet = outlet
        self._stopping = stopping
        self._provenance = provenance
        self._begin = begin
        self._within_a_frame = within_a_frame
        self._hold = Hold()
        self._late_drops = 0
        self._next: Lease | None = None

    def announce(self) -> None:
        """Write the worker's status to Redis at once."""
        self._leases.report_worker(self._keeper.status())

    def step(self) -> None:
        """Run one candidate; return after TAKE_WAIT_S when there is none, or when none is to be taken now."""
        lease, self._next = self._next or self._next_lease(), None
        if lease is None:
            return
        self._count_late_drops()
        self._keeper.hold(lease)
        self._begin(lease)
        try:
            quiet_broadcast(self._comm, lease)
            self._run(lease)
        finally:
            self._keeper.drop()

    def _next_lease(self) -> Lease | None:
        """The next candidate, where one is to be taken and there is one."""
        if self._hold.reason is not None and not self._mended():
            time.sleep(HOLD_POLL_S)
            return None
        if not self._last_runs.may_begin():
            self._outlet.idle()
            time.sleep(TAKE_WAIT_S)
            return None
        lease = self._leases.take(self._worker, TAKE_WAIT_S)
        if lease is None:
            self._outlet.idle()
        return lease

    def close(self) -> None:
        """Give back what is not begun, and let ranks and thread end. Not after an error: then MPI ends the ranks."""
        lease, self._next = self._next, None
        if lease is not None:
            self._insist(lambda: self._leases.give_back(lease, f"{self._worker} ended before the run began"))
        quiet_broadcast(self._comm, None)
        self._keeper.close()
        self._outlet.close()
        self._evaluator.scratch.close()
        self._evaluator.engine.close()

    def _run(self, lease: Lease) -> None:
        model = self._evaluator.model
        within_a_frame = self._within_a_frame
        watch = RunWatch(lease, model, self._outlet, self._keeper, self._stopping, within_a_frame=within_a_frame)
        self._outlet.settle()
        engine, outlet = self._evaluator.engine, self._outlet
        before = Before(engine.md_s, engine.held_up_s, outlet.sent, outlet.dropped, time.time(), boot_s())
        try:
            evaluated = self._evaluator.evaluate(lease, watch)
        except (LammpsError, NotMolten, ParametersRefused, CannotWrite) as error:
            self._fail(lease, error)
        except PreparationStopped:
            self._give_up(lease, 0)
        else:
            self._hand_in(lease, evaluated, before)

    def _count_late_drops(self) -> None:
        """Set the campaign's counters right for frames that were counted as sent and went after all."""
        late = self._outlet.dropped_late - self._late_drops
        if late:
            self._insist(lambda: self._leases.count_late_drops(late))
            self._late_drops += late

    def _mended(self) -> bool:
        """Whether what failed works again, as far as can be seen without a candidate; tried with back-off."""
        if self._hold.waits(time.monotonic()):
            return False
        if (fault := why_unusable(Path())) is not None:
            self._hold_off(fault)
            return False
        self._hold.fixed()
        self._keeper.hold_off(None)
        return True

    def _fail(self, lease: Lease, error: Exception) -> None:
        """A run came to nothing: charge the candidate, or hold off where the fault is none of its."""
        reason = str(error)
        fault = _fault_of(error)
        if fault is None:
            self._insist(lambda: self._leases.fail(lease, reason))
            self._hold.succeeded()
            return
        self._hold_off(fault)
        self._insist(lambda: self._leases.fail(lease, reason, charged=False, counted=False))

    def _hold_off(self, fault: str) -> None:
        wait_s = self._hold.fault(fault, time.monotonic())
        self._keeper.hold_off(fault)
        self._insist(self.announce)
        log.warning("no candidate is taken now fault=%s wait_s=%.1f", fault, wait_s)

    def _hand_in(self, lease: Lease, evaluated: Evaluated, before: Before) -> None:
        verdict = self._keeper.verdict(evaluated.steps)
        if evaluated.final is None or evaluated.goes_on or (evaluated.stopped and verdict in ("held", "lost")):
            self._give_up(lease, evaluated.steps)
            return
        report = self._report(lease, evaluated, before, verdict if evaluated.stopped else "completed")
        candidate_id, planned = lease.candidate.candidate_id, evaluated.planned_steps
        model, snapshot = self._evaluator.model, evaluated.final
        final = frame_of(candidate_id, lease.attempt, model, snapshot, planned_steps=planned, final=True)
        self._last_runs.note(report.finished_s - report.started_s, is_carried_on=self._evaluator.is_carried_on)
        try:
            self._insist(lambda: self._finish(lease, report, final))
        except LeaseLost as error:
            log.warning("run abandoned reason=%s", error)
            return
        if self._evaluator.is_carried_on:
            self._evaluator.forget_restarts(lease)
        self._hold.succeeded()
        if self._keeper.completed() == 1:
            self._insist(self.announce)
        if report.steps:
            held_up_s = self._evaluator.engine.held_up_s - before.held_up_s
            log.info("candidate finished candidate=%s steps=%d held_up_s=%.4f", candidate_id, report.steps, held_up_s)

    def _finish(self, lease: Lease, report: RunReport, final: Frame) -> None:
        """Hand a run in, and take the next candidate along where one is to be taken. Raises LeaseLost."""
        if self._stopping() or not self._last_runs.may_begin():
            self._leases.finish(lease, report, final)
            return
        is_kept, self._next = self._leases.finish_and_take(lease, report, final)
        if not is_kept:
            raise LeaseLost(f"{lease.candidate.candidate_id} attempt {lease.attempt} is no longer leased")

    def _give_up(self, lease: Lease, step: int) -> None:
        """A run was stopped without a result: its lease was lost, or the worker is to end and gives it back."""
        candidate_id = lease.candidate.candidate_id
        if self._keeper.verdict(step) == "lost":
            log.warning("run abandoned, lease lost candidate=%s attempt=%d", candidate_id, lease.attempt)
            return
        log.info("run given back candidate=%s step=%d", candidate_id, step)
        reason = f"{self._worker} ended at step {step} and gave the candidate back"
        self._insist(lambda: self._leases.give_back(lease, reason))

    def _report(self, lease: Lease, evaluated: Evaluated, before: Before, ended: str) -> RunReport:
        md_s, _, sent, dropped, started_s, began_s = before
        own = {
            "candidate_seed": str(lease.candidate.seed),
            "run_seed": str(evaluated.run_seed),
            "prepared": evaluated.preparation_key,
        }
        resumed = evaluated.resumed_from
        if resumed is not None:
            own["resumed_from"] = resumed.origin
        return RunReport(
            worker=self._worker,
            started_s=started_s,
            finished_s=started_s + boot_s() - began_s,
            steps=evaluated.steps,
            resumed_from_step=resumed.step if resumed else 0,
            md_s=self._evaluator.engine.md_s - md_s,
            frames_sent=self._outlet.sent - sent,
            frames_dropped=self._outlet.dropped - dropped,
            planned_steps=evaluated.planned_steps,
            ended=cast("Any", ended),
            provenance={**self._provenance, **own},
        )

    def _insist(self, call: Callable[[], object]) -> None:
        """Report to Redis, however long it takes: a run's outcome is not given up for a server that is away."""
        while True:
            try:
                call()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if self._stopping():
                    raise
                log.warning("redis is away, trying again error=%s", error)
                self._keeper.alive()
            else:
                return


def _fault_of(error: Exception) -> str | None:
    """What failed, when it is none of the candidate's: by the error itself, or by what a trial of the folder shows."""
    if is_infrastructure(error) or (isinstance(error, LammpsError) and lammps_blames_the_system(str(error))):
        return str(error)
    if isinstance(error, CannotWrite | LammpsError):
        return why_unusable(Path())
    return None


def follow(
    communicator: MPI.Intracomm, evaluator: Evaluator, outlet: FrameOutlet, hold: Callable[[Lease], None]
) -> None:
    """The other ranks: evaluate what rank 0 broadcasts until it says that this was all."""
    while (lease := quiet_broadcast(communicator, None)) is not None:
        hold(lease)
        try:
            evaluator.evaluate(lease, FrameWatch(lease, evaluator.model, outlet))
        except (LammpsError, NotMolten, ParametersRefused, CannotWrite, PreparationStopped) as error:
            log.info("run ended early rank=%d reason=%s", communicator.rank, error)
    outlet.close()
    evaluator.engine.close()
