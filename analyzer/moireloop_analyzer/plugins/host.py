"""The service's hold on its analysis process: one frame at a time, started again when it goes wrong (adapter)."""

from __future__ import annotations

import json
import logging
from collections import deque
from dataclasses import dataclass
from typing import Final

from moireloop_analyzer.plugins.outcomes import failure
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.contract.codec import unpack_as
from moireloop_broker.contract.events import AnalysisOutcome, FrameAnalysed
from moireloop_broker.contract.frames import Frame, FrameHeader, frame_parts
from moireloop_broker.contract.message import MalformedMessage
from moireloop_broker.processes.helper import Helper, HelperLost

log = logging.getLogger(__name__)

PROGRAM: Final = "moireloop_analyzer.plugins.process"

LONGEST_START_S: Final = 120.0
"""For Python's start, and for the import of each analyzer."""

FIRST_LOOK_S: Final = 20.0
"""For the first frame that an analyzer sees, or analysis_s if that is longer: it may have something to compile."""

WORDS_AT_ONCE: Final = 64

LARGEST_BYTES: Final = 64 * 1024 * 1024

LONGEST_WORDS: Final = 300

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
    frame. One that did so for MAX_LOSSES frames in a row, or while it was loading, is given up: the cost is bounded.

    Args:
        settings: names of the analyzers, and how long each may take for one frame.
        memory_bytes: memory that the process may take; by default half of the machine's.
    """

    def __init__(self, settings: AnalyzerSettings, memory_bytes: int | None = None) -> None:
        self.dropped = self.failed = 0
        self._settings = settings
        self._memory_bytes = memory_bytes
        self._urgent: deque[Frame] = deque()
        self._passing: deque[Frame] = deque()
        self._present: Frame | None = None
        self._is_sent = False
        self._done: dict[str, AnalysisOutcome] = {}
        self._warm: set[str] = set()
        self._losses: dict[str, int] = {}
        self._given_up: dict[str, AnalysisOutcome] = {}
        self._helper: Helper | None = None
        self._ready = False
        self._is_looking = False

    @property
    def pid(self) -> int | None:
        """Process id of the analysis process, None before its start."""
        return self._helper.pid if self._helper else None

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
            for _ in range(WORDS_AT_ONCE):
                if self._helper is None or (word := self._helper.receive(wait_s)) is None:
                    break
                self._read(self._helper, word)
                wait_s = 0.0
        except HelperLost as error:
            self._lost(str(error))
        return self._whole()

    def start(self) -> None:
        """Start the process; does nothing when it was started before, or every analyzer was given up."""
        names = self._names()
        if self._helper is not None or not names:
            return
        settings = self._settings.model_copy(update={"analyses": names}).model_dump_json()
        title = f"analyzers {','.join(names)}"
        self._helper = Helper(PROGRAM, [settings], title, memory_bytes=self._memory_bytes, largest_bytes=LARGEST_BYTES)
        self._helper.allow(LONGEST_START_S)
        self._ready = self._is_looking = self._is_sent = False
        self._warm = set()
        log.info("analysis process started analyzers=%s", ",".join(names))

    def close(self) -> None:
        """End the process with all that it has started, if it was started."""
        if self._helper is not None:
            self._helper.end()

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
        self._is_sent = True
        if self._helper is not None:
            self._helper.allow(self._settings.analysis_s)
            self._helper.send(json.dumps(missing).encode(), *frame_parts(self._present))

    def _read(self, helper: Helper, word: bytes) -> None:
        """Take in a word of the process. Raises HelperLost where it is none that may come now."""
        try:
            if self._ready:
                self._read_outcome(helper, word)
            else:
                self._read_first_look(helper, word)
        except MalformedMessage as error:
            raise helper.lost(f"sent an invalid outcome: {error}"[:LONGEST_WORDS]) from error

    def _read_first_look(self, helper: Helper, word: bytes) -> None:
        """Each analyzer first looks at a small bilayer: an empty word says that it begins; no analyses say: ready."""
        if not word and not self._is_looking:
            self._is_looking = True
            helper.allow(max(FIRST_LOOK_S, self._settings.analysis_s))
            return
        analyses = unpack_as(FrameAnalysed, word).analyses
        self._is_looking = False
        self._warm |= analyses.keys()
        self._ready = not analyses
        helper.allow(None if self._ready else LONGEST_START_S)
        log.info("analyzers ready names=%s", ",".join(analyses) or "all")

    def _read_outcome(self, helper: Helper, word: bytes) -> None:
        """What one analyzer made of the frame under way."""
        analysed = unpack_as(FrameAnalysed, word)
        header = self._present.header if self._present is not None and self._is_sent else None
        if header is None or not self._is_of(header, analysed) or not analysed.analyses.keys() <= {*self._missing()}:
            raise MalformedMessage("expected an outcome of the current frame, got one of another")
        for name, outcome in analysed.analyses.items():
            self._losses.pop(name, None)
            self._note(name, outcome)
        helper.allow(self._settings.analysis_s if self._missing() else None)

    @staticmethod
    def _is_of(header: FrameHeader, analysed: FrameAnalysed) -> bool:
        mine = (header.candidate_id, header.attempt, header.step)
        return (analysed.candidate_id, analysed.attempt, analysed.step) == mine

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

    def _lost(self, what: str) -> None:
        """Note who is to blame for the loss of the process, the one at work; another is started without delay."""
        names = [name for name in self._names() if name not in (self._done if self._ready else self._warm)]
        was_ready, self._helper, self._ready, self._is_sent = self._ready, None, False, False
        if was_ready and self._present is None:
            log.error("analysis process lost while idle: it %s", what)
            return
        culprit = (names or self._names())[0]
        why = f"analyzer {culprit!r} {what}"
        log.error("analysis process lost: %s", why)
        self._losses[culprit] = self._losses.get(culprit, 0) + (1 if was_ready else MAX_LOSSES)
        if self._losses[culprit] >= MAX_LOSSES:
            times = f"{MAX_LOSSES} times in a row" if was_ready else "while it was loading"
            self._given_up[culprit] = failure(f"given up: {why}, {times}")
            log.error("analyzer given up name=%s", culprit)
        if self._present is not None and culprit not in self._done:
            self._note(culprit, failure(why))
