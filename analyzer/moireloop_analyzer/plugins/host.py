"""The service's hold on its analysis process: one frame at a time, started again when it dies or hangs (adapter)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import Final

from moireloop_analyzer.plugins.outcomes import failure
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.contract.codec import unpack_as
from moireloop_broker.contract.events import AnalysisOutcome, FrameAnalysed
from moireloop_broker.contract.frames import Frame, FrameHeader, frame_parts
from moireloop_broker.processes.exits import exit_reason
from moireloop_broker.processes.lifeline import lifeline_command

log = logging.getLogger(__name__)

LONGEST_START_S: Final = 120.0

CLOSE_S: Final = 5.0

ENDS_S: Final = 1.0

MAX_LOSSES: Final = 3

KEPT_FRAMES: Final = 16

KEPT_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True)
class Analysed:
    """A frame, by its header, and what came of it: an outcome for each analyzer."""

    header: FrameHeader
    analyses: dict[str, AnalysisOutcome]


class Analyst:
    """Frames that wait for the analyzers of a campaign, and the process that runs these.

    `add` never waits, `finished` gives what is done. Of the frames that may be dropped only the newest are kept, at
    most KEPT_FRAMES of KEPT_BYTES together; `dropped` counts the others. Those that may not be dropped come first.
    `failed` counts outcomes that are nothing but a reason.

    Where an analyzer hangs, or brings the process down, another process lets those that are left look at the same
    frame. One that did so for MAX_LOSSES frames in a row, or as it was loaded, is given up: the cost is bounded.

    Args:
        settings: names of the analyzers, and how long each may take for one frame.
    """

    def __init__(self, settings: AnalyzerSettings) -> None:
        self.dropped = self.failed = 0
        self._settings = settings
        self._urgent: deque[Frame] = deque()
        self._passing: deque[Frame] = deque()
        self._present: Frame | None = None
        self._is_sent = False
        self._done: dict[str, AnalysisOutcome] = {}
        self._warm: set[str] = set()
        self._losses: dict[str, int] = {}
        self._given_up: dict[str, AnalysisOutcome] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._since_s = 0.0

    @property
    def pid(self) -> int | None:
        """Process id of the analysis process, None before its start."""
        return self._process.pid if self._process else None

    def add(self, frame: Frame, *, may_drop: bool) -> None:
        """Put a frame in line."""
        if not may_drop:
            self._urgent.append(frame)
            return
        self._passing.append(frame)
        while self._beyond():
            self._passing.popleft()
            self.dropped += 1

    def finished(self, wait_s: float = 0.0) -> list[Analysed]:
        """The frames that are done, waiting up to `wait_s` for word from the process."""
        try:
            self._begin()
            while self._process is not None and self._pipe.poll(wait_s):
                self._read(self._pipe.recv_bytes())
                wait_s = 0.0
            self._end_overdue()
        except (EOFError, OSError):
            self._lost(f"brought its process down, which {self._end()}")
        return self._whole()

    def start(self) -> None:
        """Start the process; does nothing when it was started before, or every analyzer was given up."""
        names = self._names()
        if self._process is not None or not names:
            return
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-m", "moireloop_analyzer.plugins.process", str(theirs.fileno())]
        command.append(self._settings.model_copy(update={"analyses": names}).model_dump_json())
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                lifeline_command(command, signal.SIGKILL), pass_fds=[theirs.fileno()], env=dict(os.environ)
            )
        self._ready, self._is_sent, self._warm, self._since_s = False, False, set(), time.monotonic()
        log.info("analysis process started pid=%d analyzers=%s", self._process.pid, ",".join(names))

    def close(self) -> None:
        """End the process, if it was started."""
        if self._process is None:
            return
        self._pipe.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(CLOSE_S)

    def _beyond(self) -> bool:
        frames = len(self._passing)
        return frames > KEPT_FRAMES or (frames > 1 and sum(f.positions.nbytes for f in self._passing) > KEPT_BYTES)

    def _next(self) -> Frame:
        return (self._urgent or self._passing).popleft()

    def _names(self) -> tuple[str, ...]:
        return tuple(name for name in self._settings.analyses if name not in self._given_up)

    def _missing(self) -> list[str]:
        return [name for name in self._names() if name not in self._done]

    def _begin(self) -> None:
        """Take the next frame, if there is one, and give the process what is to be done, if it is free."""
        if self._present is None:
            if not (self._urgent or self._passing):
                return
            self._present, self._is_sent, self._done = self._next(), False, {}
        self.start()
        missing = self._missing()
        if not self._ready or self._is_sent or not missing:
            return
        self._is_sent, self._since_s = True, time.monotonic()
        self._pipe.send_bytes(json.dumps(missing).encode())
        for part in frame_parts(self._present):
            self._pipe.send_bytes(part)

    def _read(self, data: bytes) -> None:
        """Take in what one analyzer came to, first of a small bilayer; a word without analyses says: ready."""
        analyses = unpack_as(FrameAnalysed, data).analyses
        self._since_s, begun_s = time.monotonic(), self._since_s
        if not self._ready:
            self._warm |= analyses.keys()
            self._ready = not analyses
            log.info("analyzers ready names=%s seconds=%.1f", ",".join(analyses) or "all", self._since_s - begun_s)
            return
        for name, outcome in analyses.items():
            self._losses.pop(name, None)
            self._note(name, outcome)

    def _note(self, name: str, outcome: AnalysisOutcome) -> None:
        self._done[name] = outcome
        self.failed += outcome.reason is not None

    def _whole(self) -> list[Analysed]:
        """The present frame, if there is nothing left to be done with it."""
        if self._present is None or self._missing():
            return []
        for name in self._given_up.keys() - self._done.keys():
            self._note(name, self._given_up[name])
        frame, self._present = self._present, None
        return [Analysed(frame.header, {name: self._done[name] for name in self._settings.analyses})]

    def _end_overdue(self) -> None:
        """End the process when an analyzer takes too long for a frame, or before the first one."""
        limit_s = self._settings.analysis_s if self._ready else LONGEST_START_S
        is_asked = self._is_sent and self._present is not None if self._ready else self._process is not None
        if is_asked and time.monotonic() - self._since_s > limit_s:
            self._end()
            self._lost(f"was not done within {limit_s:g} s")

    def _end(self) -> str:
        """End the process, unless it ends by itself in a moment; answers how it ended."""
        if self._process is None:
            return "has not begun"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_S if self._pipe.poll(0) else 0)
        self.close()
        how = exit_reason(self._process.returncode)
        return f"was {how}" if how.startswith("killed") else how

    def _lost(self, what: str) -> None:
        """Note who is to blame for the loss of the process, the one at work; another is started without delay."""
        names = [name for name in self._names() if name not in (self._done if self._ready else self._warm)]
        was_ready, self._process, self._ready, self._is_sent = self._ready, None, False, False
        if was_ready and self._present is None:
            log.error("analysis process lost while it had nothing to do: it %s", what)
            return
        culprit = (names or self._names())[0]
        why = f"analyzer {culprit!r} {what}"
        log.error("analysis process lost: %s", why)
        self._losses[culprit] = self._losses.get(culprit, 0) + (1 if was_ready else MAX_LOSSES)
        if self._losses[culprit] >= MAX_LOSSES:
            times = f"{MAX_LOSSES} times in a row" if was_ready else "as it was loaded"
            self._given_up[culprit] = failure(f"given up: {why}, {times}")
            log.error("analyzer given up name=%s", culprit)
        if self._present is not None and culprit not in self._done:
            self._note(culprit, failure(why))
