"""The analyzer service: frames become observations, finished runs become results (main)."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from moireloop_analyzer.measurement import measure_frame
from moireloop_analyzer.plugins.host import Analyst
from moireloop_analyzer.service.assembly import Assembly, PartRefused
from moireloop_analyzer.service.claim_keeper import ClaimKeeper
from moireloop_analyzer.service.early_end import Decision, decide_at, frames_needed
from moireloop_analyzer.service.learner import Learner
from moireloop_analyzer.service.settled_twist import settled_measurement, sure_measurement
from moireloop_analyzer.settings import AnalyzerSettings, EarlyEndSettings
from moireloop_analyzer.settling.landmarks import REACH
from moireloop_analyzer.settling.sureness import is_kept_whole
from moireloop_analyzer.warm_up import warm_up
from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.contract.events import (
    AnalysisOutcome,
    EarlyEndWithheld,
    FrameAnalysed,
    Measurement,
    Observation,
)
from moireloop_broker.contract.frames import Frame
from moireloop_broker.contract.search import Target
from moireloop_broker.state.analysis_queue import AnalysisQueue, FinishedRun, settlement
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.instructions import Instructions
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.series import SeriesPoint
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.state_changes import Settlement

log = logging.getLogger(__name__)

FRAME_WAIT_S = 0.02

COUNT_EVERY_S = 1.0

MAX_DELIVERIES = 3

AT_ONCE_S = 0.01
"""CPU time for runs or frames that are handled at once. A busy machine makes them slower, but not fewer: each round
trip then waits for its turn, too."""

FRAMES_BESIDE_RUNS_S = AT_ONCE_S / 4
"""CPU time for frames while more runs wait than are taken at once."""

MOST_AT_ONCE = 32

LONG_S = 0.05
"""If frames took longer, finished runs stay in Redis meanwhile, for other analyzers."""


class Pace:
    """How many finished runs are taken at once: as many as are measured within AT_ONCE_S, by the last ones."""

    def __init__(self) -> None:
        self.at_once = 1

    def note(self, seconds: float) -> None:
        """Note how much CPU time a run took."""
        self.at_once = max(1, min(2 * self.at_once, MOST_AT_ONCE, int(AT_ONCE_S / max(seconds, 1e-6))))


class AnalyzerService:
    """One analyzer; any number of them share the frames and the finished runs."""

    def __init__(self, connection: Connection, name: str) -> None:
        client = connection.open_redis(alone=True)
        self._client = client
        self._keys = connection.keys
        self._name = name
        settings = read_settings(client, self._keys)
        self._settings = settings.section("analyzers", AnalyzerSettings)
        self._policies = settings.section("early_end", EarlyEndSettings)
        self._window = frames_needed(self._policies)
        self._targets_deg = [target.twist_deg for target in settings.section("targets", list[Target])]
        self._observations = Observations(client, self._keys)
        self._instructions = Instructions(client, self._keys)
        self._finished = AnalysisQueue(client, self._keys, name)
        self._claim = ClaimKeeper(self._finished)
        self._next: list[FinishedRun] = []
        self._pace = Pace()
        self._frames_s = 0.0
        self._runs_wait = False
        self._run: FinishedRun | None = None
        self._measured: Measurement | None = None
        self._campaign = CampaignState(client, self._keys, connection.campaign)
        log.info("preparing kernels: loaded, or compiled once per installation, which takes up to a minute")
        log.info("kernels ready seconds=%.1f", warm_up(self._settings))
        self._analyst = Analyst(self._settings) if self._settings.analyses else None
        if self._analyst is not None:
            self._analyst.start()
        learnt = self._policies.learnt
        self._learner = None if learnt is None else Learner(connection, learnt)
        self._frames = connection.open_frame_receiver(name)
        self._assembly = Assembly()
        self._whole = 0
        self._counted = 0
        self._contradicting = 0
        self._counted_at_s = time.monotonic()

    def step(self) -> None:
        """Measure some finished runs, observe some frames that are there, and wait a moment when there are neither.

        Neither kind keeps the other waiting for long. While finished runs wait in Redis they get most of the time:
        frames may be dropped. Further analyzers work in a separate process: observations and instructions do not wait
        for them, the result of a run does.
        """
        is_busy = self._take_finished()
        self._observe_waiting(0 if is_busy else FRAME_WAIT_S)
        self._note_analyses()
        self._count()

    def close(self) -> None:
        """Bring to an end what is begun, and withdraw from the frame stream."""
        if self._next:
            self._finished.settle_several(self._settlements(self._next))
        self._client.hdel(self._keys.endpoints, self._name)
        self._frames.close()
        self._claim.close()
        if self._analyst is not None:
            self._analyst.close()
        if self._learner is not None:
            self._learner.close()
        self._client.close()
        log.info("frames received number=%d", self._counted + self._whole)

    def _assembled(self, received: Frame) -> Frame | None:
        """The whole frame, if that is what was received or if its last part was."""
        try:
            whole = self._assembly.add(received, time.monotonic())
        except PartRefused as error:
            self._contradicting += 1
            log.warning("part of a frame refused candidate=%s reason=%s", received.header.candidate_id, error)
            return None
        self._whole += whole is not None
        return whole

    def _take_finished(self) -> bool:
        """Measure what is finished: one run after another where further analyzers look at it, else some at once."""
        if self._analyst is not None:
            return self._take_one(self._analyst)
        runs, self._next = self._next or self._finished.take_several(self._pace.at_once), []
        self._runs_wait = False
        if runs:
            settlements = self._settlements(runs)
            most = 0 if self._frames_s > LONG_S else self._pace.at_once
            self._next = self._finished.settle_and_take(settlements, most)
            self._claim.hold(*self._next)
            self._runs_wait = 0 < most == len(self._next)
        return bool(runs)

    def _settlements(self, runs: Sequence[FinishedRun]) -> list[Settlement]:
        """What finished runs came to, packed."""
        self._claim.hold(*runs)
        begun_s = time.thread_time()
        seen = [(run, self._measure_finished(run)) for run in runs]
        settlements = [settlement(run, self._settled(run, measured), seen=measured) for run, measured in seen]
        self._pace.note((time.thread_time() - begun_s) / len(runs))
        return settlements

    def _take_one(self, analyst: Analyst) -> bool:
        """Measure the next finished run, if none is waiting for its analyses; whether there was one."""
        if self._run is not None:
            self._claim.hold(self._run)
            return False
        if (run := self._finished.take(0)) is None:
            return False
        self._claim.hold(run)
        self._run, self._measured = run, self._measure_finished(run)
        if run.deliveries > MAX_DELIVERIES:
            self._settle(self._measured, {})
        else:
            analyst.add(run.frame, may_drop=False)
        return True

    def _measure_finished(self, run: FinishedRun) -> Measurement:
        if run.deliveries > MAX_DELIVERIES:
            died = f"{run.deliveries - 1} analyzers died while analysing this frame"
            return Measurement(reason=f"analysis failed: {died}")
        return measure_frame(run.frame, self._settings)

    def _settle(self, measurement: Measurement, analyses: dict[str, AnalysisOutcome]) -> None:
        run, self._run, self._measured = self._run, None, None
        self._claim.drop()
        if run is not None:
            self._finished.settle(run, self._settled(run, measurement), analyses, seen=measurement)

    def _settled(self, run: FinishedRun, measurement: Measurement) -> Measurement:
        """What the result says: of a run that was ended as settled, the twist of the frames that showed it."""
        if run.report.ended != "settled":
            return measurement
        if (learnt := self._policies.learnt) is not None:
            points = self._observations.newest(run.candidate.candidate_id, run.attempt, REACH)
            return sure_measurement(run.frame.header, measurement, points, learnt.tolerance_deg)
        if (policy := self._policies.settled) is None:
            return measurement
        points = self._observations.newest(run.candidate.candidate_id, run.attempt, policy.frames + 1)
        return settled_measurement(run.frame.header, measurement, points, policy.frames)

    def _note_analyses(self) -> None:
        """Publish what the further analyzers have made of frames, and settle the run that waited for them."""
        for done in self._analyst.finished() if self._analyst is not None else ():
            header = done.header
            if self._run is not None and self._measured is not None and header is self._run.frame.header:
                self._settle(self._measured, done.analyses)
                continue
            analysed = FrameAnalysed(
                candidate_id=header.candidate_id,
                attempt=header.attempt,
                step=header.step,
                time_ps=header.time_ps,
                temperature_k=header.temperature_k,
                analyses=done.analyses,
            )
            self._observations.add_analyses(analysed)

    def _observe_waiting(self, wait_s: float) -> None:
        """Observe the frames that are there, as many as their time allows, the last one however large."""
        begun_s, seen = time.thread_time(), list[Observation]()
        ends_s = begun_s + (FRAMES_BESIDE_RUNS_S if self._runs_wait else AT_ONCE_S)
        for number in range(MOST_AT_ONCE):
            if (received := self._frames.receive(0 if number else wait_s)) is None:
                self._assembly.forget(time.monotonic())
                break
            if (frame := self._assembled(received)) is not None:
                seen.append(self._observation(frame))
                if self._analyst is not None and self._settings.analyses_of == "every":
                    self._analyst.add(frame, may_drop=True)
            if time.thread_time() > ends_s:
                break
        self._frames_s = time.thread_time() - begun_s
        if seen:
            for observation, points in zip(seen, self._observations.add_several(seen, self._window), strict=True):
                self._decide(observation, points)

    def _decide(self, observed: Observation, points: Sequence[SeriesPoint]) -> None:
        """End the run of a frame where its series says so."""
        sureness = None if self._learner is None else self._learner.sureness
        decision = decide_at(observed.step, points, self._policies, self._targets_deg, sureness)
        if decision is None or self._withholds(observed, decision):
            return
        ordered = self._instructions.end_early(
            observed.candidate_id, observed.attempt, decision.ending, decision.reason, decision.step
        )
        if ordered == "ordered":
            log.info("run ended early candidate=%s %s: %s", observed.candidate_id, decision.ending, decision.reason)

    def _withholds(self, observed: Observation, decision: Decision) -> bool:
        """Whether the run is one that goes to its full end anyway; that it was sure is then logged."""
        learnt, verdict = self._policies.learnt, decision.verdict
        if learnt is None or not is_kept_whole(observed.candidate_id, learnt.full_share):
            return False
        if verdict is not None:
            self._instructions.withhold(
                EarlyEndWithheld(
                    candidate_id=observed.candidate_id,
                    attempt=observed.attempt,
                    reason=decision.reason,
                    step=decision.step,
                    twist_deg=verdict.claim_deg,
                    tolerance_deg=learnt.tolerance_deg,
                    probability=verdict.probability,
                    share=learnt.full_share,
                    withheld_s=time.time(),
                )
            )
        return True

    def _observation(self, frame: Frame) -> Observation:
        header = frame.header
        return Observation(
            candidate_id=header.candidate_id,
            attempt=header.attempt,
            step=header.step,
            time_ps=header.time_ps,
            temperature_k=header.temperature_k,
            pressure_bar=header.pressure_bar,
            potential_ev=header.potential_ev,
            kinetic_ev=header.kinetic_ev,
            final=header.final,
            planned_steps=header.planned_steps,
            measurement=measure_frame(frame, self._settings),
        )

    def _count(self) -> None:
        """Once a second: what was received, and where; who is silent for long, as in a partition, is forgotten."""
        if time.monotonic() - self._counted_at_s < COUNT_EVERY_S:
            return
        received, self._whole = self._whole, 0
        self._counted += received
        malformed = self._frames.malformed + self._contradicting
        self._frames.malformed = self._contradicting = 0
        incomplete, self._assembly.incomplete = self._assembly.incomplete, 0
        counted = {"frames_received": received, "frames_malformed": malformed, "frames_incomplete": incomplete}
        if self._analyst is not None:
            counted |= {"analyses_failed": self._analyst.failed, "analyses_dropped": self._analyst.dropped}
            self._analyst.failed = self._analyst.dropped = 0
        self._campaign.count(counted)
        self._client.hset(self._keys.endpoints, self._name, self._frames.endpoint)
        self._counted_at_s = time.monotonic()


def open_analyzer(connection_file: Path, name: str) -> AnalyzerService:
    """The analyzer `name` of the campaign that a connection file describes."""
    return AnalyzerService(read_connection(connection_file), name)
