"""The analyzer service: frames become observations, finished runs become results (main)."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np

from moireloop_analyzer.assembly import Assembly, PartRefused
from moireloop_analyzer.early_end import decide, frames_needed
from moireloop_analyzer.settings import AnalyzerSettings, EarlyEndSettings
from moireloop_analyzer.twist import TwistEstimate, measure_twist
from moireloop_broker.analysis_queue import AnalysisQueue, FinishedRun
from moireloop_broker.campaign_state import CampaignState
from moireloop_broker.connection import Connection, read_connection, read_settings
from moireloop_broker.messages import Frame, Measurement, Observation
from moireloop_broker.observations import Observations
from moireloop_broker.orders import Orders

log = logging.getLogger(__name__)

FRAMES_AT_ONCE = 8
FRAME_WAIT_S = 0.02
FRAMES_S = 0.5
COUNT_EVERY_S = 1.0
MAX_DELIVERIES = 3


def measurement_of(estimate: TwistEstimate) -> Measurement:
    """The message that carries an estimate."""
    return Measurement(
        twist_deg=estimate.twist_deg,
        signed_deg=estimate.signed_deg,
        sigma_deg=estimate.sigma_deg,
        reason=estimate.reason,
        order_lower=estimate.order_lower,
        order_upper=estimate.order_upper,
        lattice_lower_angstrom=estimate.lattice_lower_angstrom,
        lattice_upper_angstrom=estimate.lattice_upper_angstrom,
    )


def measure_frame(frame: Frame, min_order: float) -> Measurement:
    """Twist and order of a frame; whatever is wrong with the frame becomes a reason."""
    header = frame.header
    try:
        estimate = measure_twist(
            frame.positions.astype(np.float64),
            frame.types,
            np.array(header.cell),
            tuple(header.periodic),
            metal_types=tuple(header.lattice_types),
            chalcogen_types=(),
            min_order=min_order,
        )
        return measurement_of(estimate)
    except Exception as error:
        log.exception("analysis failed candidate=%s step=%d", header.candidate_id, header.step)
        return Measurement(reason=f"analysis failed: {type(error).__name__}: {error}"[:1000])


class AnalyzerService:
    """One analyzer; any number of them share the frames and the finished runs."""

    def __init__(self, connection: Connection, name: str) -> None:
        client = connection.open_redis()
        self._client = client
        self._keys = connection.keys
        self._name = name
        self._settings = AnalyzerSettings.model_validate(read_settings(client, self._keys, "analyzers"))
        self._policies = EarlyEndSettings.model_validate(read_settings(client, self._keys, "early_end"))
        self._window = frames_needed(self._policies)
        self._targets_deg = [target["twist_deg"] for target in read_settings(client, self._keys, "targets")]
        self._observations = Observations(client, self._keys)
        self._orders = Orders(client, self._keys)
        self._finished = AnalysisQueue(client, self._keys, name)
        self._campaign = CampaignState(client, self._keys, connection.campaign)
        self._frames = connection.open_frame_receiver(name)
        self._assembly = Assembly()
        self._whole = 0
        self._contradicting = 0
        self._counted_at_s = time.monotonic()

    def step(self) -> None:
        """Settle one finished run, observe the frames that are there, and wait a moment when there is neither.

        Frames that take long to measure do not keep finished runs waiting for more than one of them.
        """
        run = self._finished.take(0)
        if run is not None:
            self._finished.settle(run, self._measure_finished(run))
        begun_s = time.monotonic()
        for number in range(FRAMES_AT_ONCE):
            wait_s = FRAME_WAIT_S if run is None and number == 0 else 0
            if (received := self._frames.receive(wait_s)) is None:
                self._assembly.forget(time.monotonic())
                break
            if (frame := self._assembled(received)) is not None:
                self._observe(frame)
            if time.monotonic() - begun_s > FRAMES_S:
                break
        self._count()

    def close(self) -> None:
        """Withdraw from the frame stream."""
        self._client.hdel(self._keys.endpoints, self._name)
        self._frames.close()
        self._client.close()

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

    def _measure_finished(self, run: FinishedRun) -> Measurement:
        if run.deliveries > MAX_DELIVERIES:
            return Measurement(reason=f"analysis failed: {run.deliveries - 1} analyzers died of this frame")
        return measure_frame(run.frame, self._settings.min_order)

    def _observe(self, frame: Frame) -> None:
        """Publish what a frame shows, and end its run where the series says so."""
        header = frame.header
        points = self._observations.add(self._observation(frame), self._window)
        decision = decide(points, self._policies, self._targets_deg)
        if decision is None:
            return
        ordered = self._orders.end_early(
            header.candidate_id, header.attempt, decision.ending, decision.reason, decision.step
        )
        if ordered == "ordered":
            log.info("run ended early candidate=%s %s: %s", header.candidate_id, decision.ending, decision.reason)

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
            measurement=measure_frame(frame, self._settings.min_order),
        )

    def _count(self) -> None:
        if time.monotonic() - self._counted_at_s < COUNT_EVERY_S:
            return
        received, self._whole = self._whole, 0
        malformed = self._frames.malformed + self._contradicting
        self._frames.malformed = self._contradicting = 0
        incomplete, self._assembly.incomplete = self._assembly.incomplete, 0
        counted = {"frames_received": received, "frames_malformed": malformed, "frames_incomplete": incomplete}
        self._campaign.count(counted)
        self._counted_at_s = time.monotonic()


def open_analyzer(connection_file: Path, name: str) -> AnalyzerService:
    """The analyzer `name` of the campaign that a connection file describes."""
    return AnalyzerService(read_connection(connection_file), name)
