"""State changes as the scripts are given and return them: packed, each message once (pure).

On the road of every candidate packing counts: an event that holds another message holds the bytes of that message,
which was packed before. A test keeps these events equal to those that the models make.
"""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

import msgpack

from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import (
    OUTSIDE,
    CancelRequested,
    Candidate,
    Requested,
    Result,
    RunReport,
    StageTimes,
)


class Proposal(NamedTuple):
    """A new candidate, packed, with its event and the request's event ('' without a request)."""

    candidate_id: str
    candidate: bytes
    queued_s: float
    event: bytes
    request_event: bytes


class Spare(NamedTuple):
    """A waiting candidate that gives way to one from outside, with the events of its withdrawal and result, packed."""

    candidate_id: str
    reason: str
    cancel_event: bytes
    result_event: bytes


class EventParts(NamedTuple):
    """A packed event without the id and the attempt of its candidate: what stands before, between and after them."""

    head: bytes
    middle: bytes
    tail: bytes


class Begun(NamedTuple):
    """What a worker gets with a new lease: the packed candidate, the attempt, and when it was queued."""

    candidate: bytes
    attempt: int
    queued_s: float


class Finish(NamedTuple):
    """The end of a run: its report, its final frame and its event, packed, and what became of its frames."""

    candidate_id: str
    attempt: int
    worker: str
    report: bytes
    frame: bytes
    event: bytes
    frames_sent: int
    frames_dropped: int


class Final(NamedTuple):
    """A finished run as it is handed to an analyzer: packed, times as text; what is not there is empty.

    The `frame` is empty where it is larger than all frames at once may be.
    """

    entry: bytes
    candidate_id: bytes
    attempt: bytes
    frame: bytes
    candidate: bytes
    report: bytes
    queued_s: bytes
    leased_s: bytes
    order_reason: bytes


class Observed(NamedTuple):
    """An observation and its point of the series, packed."""

    candidate_id: str
    attempt: int
    observation: bytes
    step: int
    point: bytes


class Settlement(NamedTuple):
    """The end of a candidate: its result and the last point of its series, packed, and its entry among the finals."""

    candidate_id: str
    attempt: str
    entry: str
    outcome: str
    event: bytes
    step: int
    point: bytes


def proposal_of(candidate: Candidate, asked: Requested | None = None) -> Proposal:
    """A candidate to be queued now, for the first time."""
    packed, now_s = pack(candidate), time.time()
    head = b"\x85" + _packed("tag", "candidate_queued/1", "candidate")
    return Proposal(
        candidate_id=candidate.candidate_id,
        candidate=packed,
        queued_s=now_s,
        event=head + packed + _packed("attempt", 1, "queued_s", now_s, "reason", None),
        request_event=b"" if asked is None else pack(asked),
    )


def spare_of(candidate_id: str, fields: dict[bytes, bytes], reason: str) -> Spare | None:
    """A candidate as it gives way, from its hash; None where it was begun before or comes from outside."""
    if (fields.get(b"state"), fields.get(b"attempt")) != (b"queued", b"1"):
        return None
    if unpack_as(Candidate, fields[b"candidate"]).strategy == OUTSIDE:
        return None
    withdrawn = CancelRequested(candidate_id=candidate_id, reason=reason)
    return Spare(candidate_id, reason, pack(withdrawn), pack(unmeasured(fields, 1, "cancelled", reason)))


def leased_event(worker: str, leased_s: float) -> EventParts:
    """The packed RunLeased of a worker, without the candidate's id and the attempt."""
    head = b"\x85" + _packed("tag", "run_leased/1", "candidate_id")
    return EventParts(head, _packed("attempt"), _packed("worker", worker, "leased_s", leased_s))


def finish_of(candidate_id: str, attempt: int, report: RunReport, frame: bytes) -> Finish:
    """The end of a run with its packed final frame; the report names its worker."""
    packed = pack(report)
    return Finish(
        candidate_id=candidate_id,
        attempt=attempt,
        worker=report.worker,
        report=packed,
        frame=frame,
        event=b"\x84"
        + _packed("tag", "run_finished/1", "candidate_id", candidate_id, "attempt", attempt, "report")
        + packed,
        frames_sent=report.frames_sent,
        frames_dropped=report.frames_dropped,
    )


def status_without_time(status: WorkerStatus) -> bytes:
    """A packed status up to its last value, the time at which it is stored: that is the server's, who adds it."""
    fields = status.model_dump()
    fields["seen_s"] = fields.pop("seen_s")
    packed: bytes = msgpack.packb(fields)
    return packed.removesuffix(msgpack.packb(status.seen_s))


def result_event(candidate: bytes, report: bytes, result: Result) -> bytes:
    """The packed result of a finished run, whose candidate and report are packed already."""
    analyses = {name: outcome.model_dump() for name, outcome in result.analyses.items()}
    return b"".join(
        (
            b"\x89" + _packed("tag", result.tag, "candidate"),
            candidate,
            _packed("attempt", result.attempt, "outcome", result.outcome, "reason", result.reason, "measurement"),
            b"\xc0" if result.measurement is None else pack(result.measurement),
            _packed("analyses"),
            msgpack.packb(analyses),
            _packed("report"),
            report,
            _packed("times"),
            pack(result.times),
        )
    )


def stage_times(fields: dict[bytes, bytes]) -> StageTimes:
    """Times of the stages that a candidate's hash has passed."""
    candidate = unpack_as(Candidate, fields[b"candidate"])
    leased = fields.get(b"leased_s")
    return StageTimes(
        proposed_s=candidate.proposed_s,
        queued_s=float(fields[b"queued_s"]),
        leased_s=float(leased) if leased else None,
    )


def unmeasured(
    fields: dict[bytes, bytes], attempt: int, outcome: Literal["failed", "cancelled"], reason: str
) -> Result:
    """The result of a candidate that came to its end without a final frame, from its hash."""
    times = stage_times(fields).model_copy(update={"logged_s": time.time()})
    candidate = unpack_as(Candidate, fields[b"candidate"])
    return Result(candidate=candidate, attempt=attempt, outcome=outcome, reason=reason, times=times)


def _packed(*values: str | float | None) -> bytes:
    return b"".join(map(msgpack.packb, values))
