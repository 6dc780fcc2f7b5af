"""The service's hold on its analysis process: one frame at a time, started again when it dies or hangs (adapter)."""

from __future__ import annotations

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

from moireloop_analyzer.outcomes import failure
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.lifeline import lifeline_command
from moireloop_broker.messages import AnalysisOutcome, Frame, FrameAnalysed, FrameHeader, frame_parts, unpack_as

log = logging.getLogger(__name__)

LONGEST_START_S: Final = 120.0
CLOSE_S: Final = 5.0
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

    Args:
        settings: names of the analyzers, and how long they may take for one frame.
    """

    def __init__(self, settings: AnalyzerSettings) -> None:
        self.dropped = self.failed = 0
        self._settings = settings
        self._urgent: deque[Frame] = deque()
        self._passing: deque[Frame] = deque()
        self._present: FrameHeader | None = None
        self._done: dict[str, AnalysisOutcome] = {}
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
        except (EOFError, OSError) as error:
            return self._lost(f"brought its process down: {error or type(error).__name__}")
        return self._overdue() or self._whole()

    def start(self) -> None:
        """Start the process; does nothing when it was started before."""
        if self._process is not None:
            return
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-m", "moireloop_analyzer.analysis_process", str(theirs.fileno())]
        command.append(self._settings.model_dump_json())
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                lifeline_command(command, signal.SIGKILL), pass_fds=[theirs.fileno()], env=dict(os.environ)
            )
        self._ready, self._done, self._since_s = False, {}, time.monotonic()
        log.info("analysis process started pid=%d analyzers=%s", self._process.pid, ",".join(self._settings.analyses))

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

    def _begin(self) -> None:
        """Give the process the next frame, if there is one and the process is free."""
        if not (self._urgent or self._passing) or self._present is not None:
            return
        self.start()
        if not self._ready:
            return
        frame = self._next()
        self._present, self._done, self._since_s = frame.header, {}, time.monotonic()
        for part in frame_parts(frame):
            self._pipe.send_bytes(part)

    def _read(self, data: bytes) -> None:
        """Take in what one analyzer came to; the first word, without analyses, says that the process is ready."""
        if not self._ready:
            self._ready = True
            log.info("analysis process ready seconds=%.1f", time.monotonic() - self._since_s)
        for name, outcome in unpack_as(FrameAnalysed, data).analyses.items():
            self._done[name] = outcome
            self.failed += outcome.reason is not None

    def _whole(self) -> list[Analysed]:
        if self._present is None or len(self._done) < len(self._settings.analyses):
            return []
        header, self._present = self._present, None
        return [Analysed(header, self._done)]

    def _overdue(self) -> list[Analysed]:
        """What is left of a frame that takes too long, or whose process takes too long to start."""
        is_asked = self._present is not None or not self._ready
        limit_s = self._settings.analysis_s if self._ready else LONGEST_START_S
        if self._process is None or not is_asked or time.monotonic() - self._since_s <= limit_s:
            return []
        return self._lost(f"was not done within {limit_s:g} s")

    def _lost(self, reason: str) -> list[Analysed]:
        """What is left of the present frame when the process has died or hangs; the next frame starts another.

        Where it died before it was ready, the first frame in line has nothing but reasons.
        """
        self.close()
        status = self._process.returncode if self._process else None
        was_ready, self._process, self._ready = self._ready, None, False
        log.error("analysis process lost: it %s status=%s", reason, status)
        header, self._present = self._present, None
        if header is None and (was_ready or not (self._urgent or self._passing)):
            return []
        header = header or self._next().header
        return [Analysed(header, self._with_reasons(reason))]

    def _with_reasons(self, reason: str) -> dict[str, AnalysisOutcome]:
        """What is done, and for the others why not: the first of them was at work."""
        missing = [name for name in self._settings.analyses if name not in self._done]
        why = f"analyzer {missing[0]!r} {reason}"
        reasons = {name: failure(why if name == missing[0] else f"not run: {why}") for name in missing}
        self.failed += len(missing)
        return self._done | reasons
