"""Scripts of the work queue: candidates proposed, leased, finished, failed and cancelled (adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import redis

from moireloop_broker.state.keys import INSTRUCTIONS_KEPT_S, WORKERS_GROUP, Keys
from moireloop_broker.state.scripts.runner import Call, Runner, expected_word, packed, unpacked
from moireloop_broker.state_changes import Begun, EventParts, Finish, Proposal, Spare

LeaseOutcome = Literal["leased", "stale", "draining"]

Renewal = Literal["", "lost", "cancelled", "settled", "hopeless"]

FailOutcome = Literal["queued", "failed", "cancelled", "stale"]

CancelOutcome = Literal["cancelled", "asked", "running", "late", "unknown"]

ProposeOutcome = Literal["queued", "known", "spent"]

MoveOutcome = Literal["moved", "late", "unknown"]

Charge = Literal[0, 1, 2]
"""What the end of an attempt costs: a loss (0), an attempt (1), or nothing, for a fault of the infrastructure (2)."""

Turn = Literal[0, 1, 2]
"""Where a candidate waits that is queued again: last (0), first since it was lost (1) or given back on request (2)."""


class QueueScripts:
    """One method for each script that proposers and workers run, for one campaign on one Redis connection."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._runner = Runner(client)
        self._keys = keys

    def propose(
        self, several: Sequence[Proposal], budget: int | None = None, spares: Sequence[Spare] = ()
    ) -> list[ProposeOutcome]:
        """Queue new candidates, in their order, as far as the budget, if one is given, has room for them.

        One from outside that finds no room takes the place of the first of `spares` that still waits.
        """
        keys = self._keys
        rows = [(one.candidate_id, one.candidate, repr(one.queued_s), one.event, one.request_event) for one in several]
        words = self._runner.run(
            "propose",
            [keys.queue, keys.log, keys.counts],
            [keys.candidate(""), "" if budget is None else budget, packed(rows), packed(spares)],
        )
        return [cast("ProposeOutcome", expected_word(word, get_args(ProposeOutcome))) for word in unpacked(words)]

    def prioritise(self, candidate_id: str, *, place: int, event: bytes) -> MoveOutcome:
        """Move a queued candidate to a place of the queue, 1 being the next."""
        keys = self._keys
        word = self._runner.run(
            "prioritise",
            [keys.candidate(candidate_id), keys.queue_again, keys.queue, keys.log],
            [place, WORKERS_GROUP, keys.candidate(""), event],
        )
        return cast("MoveOutcome", expected_word(word, get_args(MoveOutcome)))

    def begin(
        self, worker: str, *, ticket: str, lease_ms: int, leased_s: float, event: EventParts
    ) -> Begun | Literal["draining"] | None:
        """Lease the first entry that waits, in one step; None where none waits. The same ticket twice is one lease."""
        return _begun(self._runner.run(*self._beginning(worker, ticket, lease_ms, leased_s, event)))

    def _beginning(self, worker: str, ticket: str, lease_ms: int, leased_s: float, event: EventParts) -> Call:
        keys = self._keys
        head, middle, tail = event
        return Call(
            "begin",
            [keys.queue_again, keys.queue, keys.state, keys.log, keys.counts, keys.leases, keys.takes],
            [WORKERS_GROUP, worker, ticket, keys.candidate(""), lease_ms, repr(leased_s), head, middle, tail],
        )

    def lease(
        self,
        candidate_id: str,
        *,
        queue: str,
        entry: str,
        attempt: int,
        worker: str,
        lease_ms: int,
        leased_s: float,
        event: bytes,
    ) -> LeaseOutcome:
        """Turn the queue's entry that a worker was handed into a lease."""
        keys = self._keys
        word = self._runner.run(
            "lease",
            [keys.candidate(candidate_id), queue, keys.log, keys.counts, keys.leases, keys.state],
            [candidate_id, entry, WORKERS_GROUP, attempt, worker, lease_ms, repr(leased_s), event],
        )
        return cast("LeaseOutcome", expected_word(word, get_args(LeaseOutcome)))

    def renew(
        self,
        candidate_id: str,
        *,
        attempt: int,
        worker: str,
        lease_ms: int,
        step: int,
        status_without_time: bytes | None = None,
    ) -> Renewal:
        """Renew a lease; returns what was ordered for its attempt, an empty word where nothing was.

        Args:
            status_without_time: what the worker does; it is stored in the same round trip, as `report` does.
        """
        keys = self._keys
        renewing = Call(
            "renew",
            [keys.candidate(candidate_id), keys.leases],
            [candidate_id, attempt, worker, lease_ms, step],
        )
        reporting = [] if status_without_time is None else [self._reporting(worker, status_without_time)]
        word = self._runner.run_several([renewing, *reporting])[0]
        return cast("Renewal", expected_word(word, get_args(Renewal)))

    def report(self, worker: str, status_without_time: bytes) -> None:
        """Store what a worker does; the server adds its own time to the packed status."""
        self._runner.run(*self._reporting(worker, status_without_time))

    def _reporting(self, worker: str, status_without_time: bytes) -> Call:
        return Call("report", [self._keys.workers], [worker, status_without_time])

    def finish(self, run: Finish) -> bool:
        """Keep the final frame of a run for the analyzers; False when its lease is lost."""
        return self._runner.run(*self._finishing(run)) == 1

    def finish_and_begin(
        self, run: Finish, *, ticket: str, lease_ms: int, leased_s: float, event: EventParts
    ) -> tuple[bool, Begun | Literal["draining"] | None]:
        """`finish` a run, then `begin` another, in one round trip."""
        beginning = self._beginning(run.worker, ticket, lease_ms, leased_s, event)
        is_kept, begun = self._runner.run_several([self._finishing(run), beginning])
        return is_kept == 1, _begun(begun)

    def _finishing(self, run: Finish) -> Call:
        keys = self._keys
        candidate, frame = keys.candidate(run.candidate_id), keys.final_frame(run.candidate_id)
        candidate_id, attempt, worker, report, final, event, sent, dropped = run
        return Call(
            "finish",
            [candidate, keys.log, keys.counts, keys.leases, keys.finals, frame, keys.counters],
            [candidate_id, attempt, worker, report, final, event, sent, dropped],
        )

    def fail(
        self,
        candidate_id: str,
        *,
        attempt: int,
        worker: str,
        charge: Charge,
        max_attempts: int,
        max_losses: int,
        only_expired: bool,
        first: Turn,
        queued_s: float,
        failed_event: bytes,
        queued_event: bytes,
        failed_result: bytes,
        cancelled_result: bytes,
    ) -> FailOutcome:
        """End an attempt without a final frame; the event of what becomes of the candidate is one of those given.

        Args:
            first: whether the candidate, where it is queued again, waits before all that were never begun.
        """
        keys = self._keys
        word = self._runner.run(
            "fail",
            [keys.candidate(candidate_id), keys.log, keys.counts, keys.leases, keys.queue, keys.queue_again],
            [
                candidate_id,
                attempt,
                worker,
                charge,
                max_attempts,
                max_losses,
                int(only_expired),
                repr(queued_s),
                failed_event,
                queued_event,
                failed_result,
                cancelled_result,
                first,
            ],
        )
        return cast("FailOutcome", expected_word(word, get_args(FailOutcome)))

    def give_back(self, candidate_id: str, *, attempt: int, queue: str, entry: str) -> bool:
        """Queue again an entry that was handed out and never leased; False when it is no longer needed."""
        keys = self._keys
        return self._runner.is_one(
            "give_back", [keys.candidate(candidate_id), queue], [candidate_id, attempt, entry, WORKERS_GROUP]
        )

    def cancel(
        self,
        candidate_id: str,
        *,
        worker: str,
        reason: str,
        cancel_event: bytes,
        result_event: bytes,
        request_event: bytes = b"",
        only_queued: bool = False,
    ) -> CancelOutcome:
        """Ask for the early end of a candidate: a queued one is settled at once, the worker of a running one woken."""
        keys = self._keys
        word = self._runner.run(
            "cancel",
            [
                keys.candidate(candidate_id),
                keys.log,
                keys.counts,
                keys.queue,
                keys.instructions(worker),
                keys.queue_again,
            ],
            [reason, cancel_event, result_event, INSTRUCTIONS_KEPT_S, request_event, int(only_queued)],
        )
        return cast("CancelOutcome", expected_word(word, get_args(CancelOutcome)))


def _begun(reply: object) -> Begun | Literal["draining"] | None:
    if reply == b"draining":
        return "draining"
    if not reply:
        return None
    candidate, attempt, queued_s = unpacked(reply)
    return Begun(candidate, int(attempt), float(queued_s))
