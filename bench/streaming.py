"""What streaming a frame every 100 steps costs the MD: pairs of the same run with and without it, in turns."""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median

from mpi4py import MPI

from bench.table import Row
from moireloop_broker.contract.events import Candidate
from moireloop_broker.state.work_queue.leases import Lease
from moireloop_broker.streams.frames import FramePublisher, FrameReceiver
from moireloop_broker.streams.parts import PartSender
from moireloop_worker.lammps.engine import Engine, Watch
from moireloop_worker.models import growth_model, growth_settings
from moireloop_worker.models.growth_model import GrowthModel, Plan
from moireloop_worker.run.frame_outlet import FrameOutlet
from moireloop_worker.run.leader import FrameWatch

EVERY_STEPS = 100
LEASE = Lease(Candidate(candidate_id="c1", parameters={"x": 1.0}, seed=1, proposed_s=0.0), 1, "bench", 0.0, 0.0)
Context = mp.get_context("spawn")


@dataclass(frozen=True)
class Case:
    """Pairs of runs of one growth model: the beginning of its preparation, `steps` long."""

    model: str
    what: str
    steps: int
    pairs: int
    most_percent: float


CASES = (
    Case("bead", "bead, 288 atoms", 20_000, 15, 2),
    Case("mos2-rebo", "REBO, 864 atoms", 600, 15, 1),
)


def _plan(model: GrowthModel, steps: int, version: int) -> Plan:
    """The first stage of the preparation of a model, made so long."""
    preparation = model.preparation(0, version)
    if preparation is None:
        raise ValueError(f"expected a growth model with a preparation, got {model.name}")
    return replace(preparation.plan, stages=(replace(preparation.plan.stages[0], steps=steps),))


def _receive(endpoint: str, stop: mp.synchronize.Event) -> None:
    receiver = FrameReceiver(endpoint)
    while not stop.is_set():
        receiver.receive(0.2)
    receiver.close()


@contextmanager
def _outlet() -> Iterator[FrameOutlet]:
    """As in a worker, with another process that receives the frames."""
    stop = Context.Event()
    with tempfile.TemporaryDirectory(prefix="moireloop-bench-") as root:
        endpoint = f"ipc://{root}/frames"
        receiver = Context.Process(target=_receive, args=(endpoint, stop))
        receiver.start()
        whole = FramePublisher(lambda: frozenset({endpoint}))
        outlet = FrameOutlet(MPI.COMM_WORLD, whole, PartSender(chooses=True))
        try:
            yield outlet
        finally:
            stop.set()
            receiver.join(10)
            outlet.close()


def _run_s(engine: Engine, plan: Plan, model: GrowthModel, outlet: FrameOutlet | None) -> float:
    """Seconds of one run."""
    watch = FrameWatch(LEASE, model, outlet) if outlet else Watch()
    begun_s = time.perf_counter()
    engine.run(plan, every_steps=EVERY_STEPS if outlet else 0, watch=watch)
    return time.perf_counter() - begun_s


def rows(
    models: Sequence[str] = ("bead", "mos2-rebo"), steps: int | None = None, pairs: int | None = None
) -> list[Row]:
    """Median of the paired ratios for each growth model; numbers of steps and pairs are as in `CASES` by default."""
    cases = [
        replace(case, steps=steps or case.steps, pairs=pairs or case.pairs) for case in CASES if case.model in models
    ]
    engine = Engine(MPI.COMM_WORLD)
    with _outlet() as outlet:
        found = [_row(case, engine, outlet) for case in cases]
    engine.close()
    return found


def _row(case: Case, engine: Engine, outlet: FrameOutlet) -> Row:
    model = growth_model(growth_settings({"model": case.model}))
    plan = _plan(model, case.steps, engine.version)
    before = (outlet.sent, outlet.dropped)
    _run_s(engine, plan, model, None)
    pairs = []
    for number in range(case.pairs):
        order = (None, outlet) if number % 2 else (outlet, None)
        seconds = {chosen is not None: _run_s(engine, plan, model, chosen) for chosen in order}
        pairs.append((seconds[False], seconds[True]))
    slowdown = sorted(100 * (with_frames / without - 1) for without, with_frames in pairs)
    quartiles = f"{slowdown[len(slowdown) // 4]:.2f} to {slowdown[3 * len(slowdown) // 4]:.2f} %"
    baseline = (
        f"run without frames {median(p[0] for p in pairs):.2f} s; middle half of {case.pairs} pairs {quartiles}; "
        f"{outlet.sent - before[0]} frames sent, {outlet.dropped - before[1]} dropped"
    )
    name = f"MD slowdown, {case.what}, a frame each {EVERY_STEPS} steps"
    return Row(name, median(slowdown), "%", case.most_percent, "at most", baseline)
