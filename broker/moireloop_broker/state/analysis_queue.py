"""Finished runs on their way to a result: final frames handed to analyzers and kept until settled (adapter)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgpack
import redis

from moireloop_broker.contract.codec import unpack_as
from moireloop_broker.contract.events import AnalysisOutcome, Candidate, Measurement, Result, RunReport, StageTimes
from moireloop_broker.contract.frames import Frame, frame_from_parts
from moireloop_broker.state.keys import ANALYZERS_GROUP, Keys
from moireloop_broker.state.scripts.analysis import AnalysisScripts
from moireloop_broker.state.series import pack_point, point_of
from moireloop_broker.state_changes import Final, Settlement, result_event, stage_times

UNSETTLED_IDLE_S = 20.0

CLAIM_EVERY_S = 5.0

AT_ONCE_BYTES = 1024 * 1024
"""Of final frames handed out at once: as many runs as fill this many bytes; the last one may be larger."""

Row = tuple[str, dict[bytes, bytes]]


@dataclass(frozen=True)
class FinishedRun:
    """A finished candidate that waits for its result.

    `deliveries` counts how often analyzers were given it; `order_reason` is why its early end was ordered, if it was.
    `packed` are candidate and report as they are stored.
    """

    candidate: Candidate
    attempt: int
    report: RunReport
    frame: Frame
    times: StageTimes
    entry: str
    deliveries: int
    packed: tuple[bytes, bytes]
    order_reason: str | None = None


class AnalysisQueue:
    """Hands finished runs to one analyzer and writes their results."""

    def __init__(self, client: redis.Redis, keys: Keys, analyzer: str) -> None:
        self._client = client
        self._keys = keys
        self._analyzer = analyzer
        self._scripts = AnalysisScripts(client, keys)
        self._own_left = True
        self._claimed_at_s = 0.0

    def take(self, wait_s: float) -> FinishedRun | None:
        """A finished run to analyse; waits up to `wait_s` for one.

        First come those that this analyzer was given before it died, now and then those that another has left for
        long, then new ones.
        """
        row = self._own() or self._abandoned() or self._new(wait_s)
        return self._finished_run(*row) if row else None

    def take_several(self, most: int) -> list[FinishedRun]:
        """Up to `most` finished runs, in the order of `take`; a single one where it was given to an analyzer before.

        A frame that ends analyzers so counts against no other. What has large frames comes in small numbers.
        """
        return self.settle_and_take([], most)

    def settle_and_take(self, settlements: Sequence[Settlement], most: int) -> list[FinishedRun]:
        """Write results, then `take_several`, in one round trip as a rule."""
        if most == 0:
            self.settle_several(settlements)
            return []
        if self._own_left or self._looks_for_abandoned():
            self.settle_several(settlements)
            row = self._own() or self._abandoned()
            if row is not None:
                run = self._finished_run(*row)
                return [run] if run is not None else []
            settlements = []
        _, finals = self._scripts.settle_and_take(settlements, self._analyzer, count=most, most_bytes=AT_ONCE_BYTES)
        return [self._handed(final) for final in finals]

    def renew(self, run: FinishedRun) -> bool:
        """Say that this run is still being analysed, so that no other analyzer is given it; False where one was.

        May be called from another thread than the other methods.
        """
        held: Any = self._client.xpending_range(
            self._keys.finals, ANALYZERS_GROUP, run.entry, run.entry, 1, consumername=self._analyzer
        )
        if not held:
            return False
        self._client.xclaim(self._keys.finals, ANALYZERS_GROUP, self._analyzer, 0, [run.entry], justid=True)
        return True

    def settle(
        self,
        run: FinishedRun,
        measurement: Measurement,
        analyses: Mapping[str, AnalysisOutcome] | None = None,
        seen: Measurement | None = None,
    ) -> bool:
        """Write the result of a finished run, and the last point of its series; False when it has one already.

        `seen` is what the final frame shows by itself, where the measurement is made of more than that.
        """
        return self._scripts.settle([settlement(run, measurement, analyses, seen)])[0]

    def settle_several(self, settlements: Sequence[Settlement]) -> None:
        """Write results in one round trip."""
        if settlements:
            self._scripts.settle(settlements)

    def _own(self) -> Row | None:
        row = self._read("0", None) if self._own_left else None
        self._own_left = row is not None
        return row

    def _looks_for_abandoned(self) -> bool:
        return time.monotonic() - self._claimed_at_s >= CLAIM_EVERY_S

    def _abandoned(self) -> Row | None:
        if not self._looks_for_abandoned():
            return None
        self._claimed_at_s = time.monotonic()
        idle_ms = round(UNSETTLED_IDLE_S * 1000)
        answer = self._client.xautoclaim(self._keys.finals, ANALYZERS_GROUP, self._analyzer, idle_ms, count=1)
        rows = cast("Any", answer)[1]
        return (rows[0][0].decode(), rows[0][1]) if rows and rows[0][1] else None

    def _new(self, wait_s: float) -> Row | None:
        return self._read(">", max(1, round(wait_s * 1000)) if wait_s > 0 else None)

    def _read(self, since: str, block: int | None) -> Row | None:
        answer = self._client.xreadgroup(
            ANALYZERS_GROUP, self._analyzer, {self._keys.finals: since}, count=1, block=block
        )
        rows = cast("Any", answer)[0][1] if answer else []
        return (rows[0][0].decode(), rows[0][1] or {}) if rows else None

    def _finished_run(self, entry: str, fields: dict[bytes, bytes]) -> FinishedRun | None:
        candidate_id = fields.get(b"id", b"").decode()
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hgetall(self._keys.candidate(candidate_id))
        pipeline.get(self._keys.final_frame(candidate_id))
        pipeline.xpending_range(self._keys.finals, ANALYZERS_GROUP, entry, entry, 1)
        held, packed, pending = cast("Any", pipeline.execute())
        if packed is None or held.get(b"state") != b"finished":
            self._client.xack(self._keys.finals, ANALYZERS_GROUP, entry)
            self._client.xdel(self._keys.finals, entry)
            return None
        candidate = unpack_as(Candidate, held[b"candidate"])
        times = stage_times(held)
        return FinishedRun(
            candidate=candidate,
            attempt=int(fields[b"attempt"]),
            report=(report := unpack_as(RunReport, held[b"report"])),
            frame=frame_from_parts(msgpack.unpackb(packed)),
            times=_times_of_run(times, report),
            entry=entry,
            deliveries=int(pending[0]["times_delivered"]) if pending else 1,
            order_reason=_order_reason(held),
            packed=(held[b"candidate"], held[b"report"]),
        )

    def _handed(self, final: Final) -> FinishedRun:
        candidate_id = final.candidate_id.decode()
        packed = final.frame or cast("bytes", self._client.get(self._keys.final_frame(candidate_id)))
        candidate, report = unpack_as(Candidate, final.candidate), unpack_as(RunReport, final.report)
        times = StageTimes(
            proposed_s=candidate.proposed_s,
            queued_s=float(final.queued_s),
            leased_s=float(final.leased_s) if final.leased_s else None,
            started_s=report.started_s,
            finished_s=report.finished_s,
        )
        return FinishedRun(
            candidate=candidate,
            attempt=int(final.attempt),
            report=report,
            frame=frame_from_parts(msgpack.unpackb(packed)),
            times=times,
            entry=final.entry.decode(),
            deliveries=1,
            order_reason=final.order_reason.decode() or None,
            packed=(final.candidate, final.report),
        )


def settlement(
    run: FinishedRun,
    measurement: Measurement,
    analyses: Mapping[str, AnalysisOutcome] | None = None,
    seen: Measurement | None = None,
) -> Settlement:
    """The result of a finished run and the last point of its series, packed; arguments as `AnalysisQueue.settle`."""
    result = _measured(run, measurement, dict(analyses or {}), time.time())
    header = run.frame.header
    return Settlement(
        candidate_id=run.candidate.candidate_id,
        attempt=str(run.attempt),
        entry=run.entry,
        outcome=result.outcome,
        event=result_event(*run.packed, result),
        step=header.step,
        point=pack_point(point_of(header, seen or measurement)),
    )


def _times_of_run(times: StageTimes, report: RunReport) -> StageTimes:
    return times.model_copy(update={"started_s": report.started_s, "finished_s": report.finished_s})


def _order_reason(held: dict[bytes, bytes]) -> str | None:
    """Why the early end of the present attempt was ordered; None where it was not."""
    is_of_this_attempt = held.get(b"order_attempt") == held[b"attempt"]
    return held[b"order_reason"].decode() if is_of_this_attempt else None


def _measured(run: FinishedRun, measurement: Measurement, analyses: dict[str, AnalysisOutcome], now_s: float) -> Result:
    outcome = "measured" if measurement.twist_deg is not None else "refused"
    reason = measurement.reason
    if run.report.ended == "cancelled":
        outcome, reason = "cancelled", reason or "cancelled while it ran"
    elif run.report.ended != "completed":
        why = ": ".join(filter(None, [run.report.ended, run.order_reason]))
        reason = "; ".join(filter(None, [why, reason]))[:4000]
    return Result(
        candidate=run.candidate,
        attempt=run.attempt,
        outcome=cast("Any", outcome),
        reason=reason,
        measurement=measurement,
        analyses=analyses,
        report=run.report,
        times=run.times.model_copy(update={"analysed_s": now_s, "logged_s": time.time()}),
    )
