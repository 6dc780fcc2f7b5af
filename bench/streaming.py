"""What streaming a frame every 100 steps costs the MD: pairs of the same run with and without it."""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import time
from pathlib import Path
from statistics import median

from mpi4py import MPI

from bench.table import Row
from moireloop_broker.frame_stream import FramePublisher, FrameReceiver
from moireloop_broker.messages import Candidate
from moireloop_broker.work_queue import Lease
from moireloop_worker.engine import Engine, Watch
from moireloop_worker.evaluation import Evaluator
from moireloop_worker.growth import Snapshot
from moireloop_worker.models import growth_model, growth_settings
from moireloop_worker.run_frames import frame_of

PAIRS = 15
EVERY_STEPS = 100
Context = mp.get_context("spawn")


class Publishing(Watch):
    """Publishes every frame, as a worker does."""

    def __init__(self, lease: Lease, evaluator: Evaluator, publisher: FramePublisher) -> None:
        self._lease = lease
        self._model = evaluator.model
        self._publisher = publisher

    def frame(self, snapshot: Snapshot) -> None:
        """Publish it."""
        self._publisher.publish(frame_of(self._lease.candidate.candidate_id, 1, self._model, snapshot))


def _receive(endpoint: str, stop: mp.synchronize.Event) -> None:
    receiver = FrameReceiver(endpoint)
    while not stop.is_set():
        receiver.receive(0.2)
    receiver.close()


def _run_s(folder: Path, publisher: FramePublisher | None) -> float:
    """Seconds of one run of the bead model, its preparation left out."""
    model = growth_model(growth_settings({"model": "bead"}))
    engine = _engine()
    evaluator = Evaluator(MPI.COMM_WORLD, engine, model, folder, EVERY_STEPS if publisher else 0)
    parameters = {"temperature_k": 2000.0, "lattice_strain": 0.02, "shear_strain": 0.1}
    candidate = Candidate(candidate_id="c1", parameters=parameters, seed=1, proposed_s=time.time())
    lease = Lease(candidate, 1, "bench", time.time(), time.time())
    watch = Publishing(lease, evaluator, publisher) if publisher else Watch()
    begun_s = time.perf_counter()
    evaluator.evaluate(lease, watch)
    return time.perf_counter() - begun_s


_ENGINES: list[Engine] = []


def _engine() -> Engine:
    if not _ENGINES:
        _ENGINES.append(Engine(MPI.COMM_WORLD))
    return _ENGINES[0]


def rows() -> list[Row]:
    """Median of the paired ratios."""
    stop = Context.Event()
    with tempfile.TemporaryDirectory(prefix="moireloop-bench-") as root:
        endpoint = f"ipc://{root}/frames"
        receiver = Context.Process(target=_receive, args=(endpoint, stop))
        receiver.start()
        publisher = FramePublisher(lambda: frozenset({endpoint}))
        _run_s(Path(root), None)
        pairs = []
        for number in range(PAIRS):
            order = (None, publisher) if number % 2 else (publisher, None)
            seconds = {chosen is not None: _run_s(Path(root), chosen) for chosen in order}
            pairs.append((seconds[False], seconds[True]))
        sent, dropped = publisher.sent, publisher.dropped
        stop.set()
        receiver.join(10)
        publisher.close()
    slowdown = sorted(100 * (with_frames / without - 1) for without, with_frames in pairs)
    quartiles = f"{slowdown[len(slowdown) // 4]:.2f} to {slowdown[3 * len(slowdown) // 4]:.2f} %"
    baseline = (
        f"run without frames {median(p[0] for p in pairs):.2f} s; middle half of {PAIRS} pairs {quartiles}; "
        f"{sent} frames sent, {dropped} dropped"
    )
    return [Row("MD slowdown, bead, a frame each 100 steps", median(slowdown), "%", 2, "at most", baseline)]
