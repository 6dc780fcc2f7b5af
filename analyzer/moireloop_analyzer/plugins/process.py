"""The process that runs analyzers: `python -m moireloop_analyzer.plugins.process FD SETTINGS` (main).

Frames come through the inherited pipe, each after the names of the analyzers that are to look at it. The process sends
one `FrameAnalysed` for each analyzer as soon as it is done, until the pipe closes. Before that it loads each analyzer
and has it look at a small bilayer: an empty message says that this begins, and the outcome follows. A message without
analyses says that all are ready. An analyzer that hangs, or brings its process down, does so here and not in the
service. Once ready the process runs at nice 10, so that the MD does not wait for it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Final

from moireloop_analyzer.analysis import Snapshot
from moireloop_analyzer.measurement import estimate_of, snapshot_of
from moireloop_analyzer.plugins.outcomes import failure, outcome_of
from moireloop_analyzer.plugins.registry import AnalyzerUnusable, load_analyzer
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.warm_up import small_frame
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.events import AnalysisOutcome, FrameAnalysed
from moireloop_broker.contract.frames import Frame, frame_from_parts

FRAME_PARTS: Final = 4

NICE: Final = 10

log = logging.getLogger(__name__)

Work = Callable[[Snapshot], AnalysisOutcome]


def work_of(name: str) -> Work:
    """What is done for an analyzer; where it cannot be loaded, that is its outcome."""
    try:
        analyzer = load_analyzer(name)
    except AnalyzerUnusable as error:
        log.error("analyzer not loaded name=%s reason=%s", name, error)
        unusable = failure(str(error))
        return lambda _: unusable
    return lambda snapshot: outcome_of(name, analyzer, snapshot)


def answer(frame: Frame, work: Mapping[str, Work], settings: AnalyzerSettings, send: Callable[[bytes], None]) -> None:
    """Send each analyzer's outcome for a frame; each gets its own snapshot."""
    twist = estimate_of(frame, settings)
    for name, outcome in work.items():
        send(pack(analysed(frame, {name: looked(outcome, snapshot_of(frame, twist))})))


def looked(work: Work, snapshot: Snapshot) -> AnalysisOutcome:
    """What an analyzer makes of a snapshot. A copy of this process that the analyzer made by fork ends here."""
    me = os.getpid()
    outcome = work(snapshot)
    if os.getpid() != me:
        os._exit(0)
    return outcome


def first_look(name: str, settings: AnalyzerSettings, send: Callable[[bytes], None]) -> Work:
    """Load an analyzer and let it look at a small bilayer, after an empty word; returns what is done for it."""
    frame = small_frame()
    twist = estimate_of(frame, settings)
    work = work_of(name)
    send(b"")
    send(pack(analysed(frame, {name: looked(work, snapshot_of(frame, twist))})))
    return work


def analysed(frame: Frame, analyses: dict[str, AnalysisOutcome]) -> FrameAnalysed:
    """The message that says what came of a frame."""
    header = frame.header
    return FrameAnalysed(
        candidate_id=header.candidate_id,
        attempt=header.attempt,
        step=header.step,
        time_ps=header.time_ps,
        temperature_k=header.temperature_k,
        analyses=analyses,
    )


def main(arguments: list[str]) -> int:
    """Answer frames until the pipe closes."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = AnalyzerSettings.model_validate_json(arguments[1])
    with Connection(int(arguments[0])) as pipe:
        work: dict[str, Work] = {}
        try:
            for name in settings.analyses:
                work[name] = first_look(name, settings, pipe.send_bytes)
            os.nice(NICE)
            pipe.send_bytes(pack(analysed(small_frame(), {})))
            while True:
                names = json.loads(pipe.recv_bytes())
                parts = [pipe.recv_bytes() for _ in range(FRAME_PARTS)]
                answer(frame_from_parts(parts), {name: work[name] for name in names}, settings, pipe.send_bytes)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
