"""Candidates put into the work queue, moved in it and taken back (adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import redis

from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.events import CancelRequested, Candidate, Requested
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.queue import CancelOutcome, MoveOutcome, ProposeOutcome, QueueScripts
from moireloop_broker.state_changes import Spare, proposal_of, spare_of, unmeasured

SPARES: Final = 20
"""Candidates of the optimizer's own that may give way, of which the first that still waits does."""

TRIES: Final = 5


class Proposer:
    """Who puts candidates into the queue, and takes them back. One instance is used by one thread at a time."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._scripts = QueueScripts(client, keys)

    def propose(
        self, candidate: Candidate, *, asked: Requested | None = None, budget: int | None = None
    ) -> ProposeOutcome:
        """Queue a candidate if its id is new and the budget of results, if one is given, has room for it.

        A controller's gets the place of the optimizer's newest candidate that no worker has begun, if there is one.

        Args:
            asked: the request of a controller, which is logged too.
            budget: pending candidates reserve a place in it; results, except cancelled ones, use one up.
        """
        several = [proposal_of(candidate, asked)]
        outcome = self._scripts.propose(several, budget)[0]
        for _ in range(TRIES if outcome == "spent" and asked is not None else 0):
            spares = self._spares(f"gave its place to {candidate.candidate_id}, from outside")
            if not spares or (outcome := self._scripts.propose(several, budget, spares)[0]) != "spent":
                break
        return outcome

    def propose_several(self, candidates: Sequence[Candidate], *, budget: int | None = None) -> list[ProposeOutcome]:
        """`propose` several, in their order, in one round trip."""
        return self._scripts.propose([proposal_of(candidate) for candidate in candidates], budget) if candidates else []

    def _spares(self, reason: str) -> list[Spare]:
        """Candidates of the optimizer's own that were never begun, the newest first, as they are withdrawn."""
        spares: list[Spare] = []
        end = "+"
        while len(spares) < SPARES:
            rows = cast("Any", self._client.xrevrange(self._keys.queue, max=end, count=SPARES))
            names = [fields[b"id"].decode() for _, fields in rows]
            found = [self._client.hgetall(self._keys.candidate(name)) for name in names]
            each = zip(names, cast("list[dict[bytes, bytes]]", found), strict=True)
            spares += [spare for name, held in each if (spare := spare_of(name, held, reason))]
            if len(rows) < SPARES:
                break
            end = f"({rows[-1][0].decode()}"
        return spares

    def prioritise(self, candidate_id: str, place: int, asked: Requested) -> MoveOutcome:
        """Move a queued candidate to a place of the queue, 1 being the next one that a worker takes."""
        return self._scripts.prioritise(candidate_id, place=place, event=pack(asked))

    def queued(self) -> list[Candidate]:
        """The candidates that wait for a worker, the next one first."""
        pipeline = self._client.pipeline(transaction=False)
        rows = [row for queue in self._keys.queues for row in cast("Any", self._client.xrange(queue))]
        for _, fields in rows:
            pipeline.hmget(self._keys.candidate(fields[b"id"].decode()), "state", "candidate")
        return [unpack_as(Candidate, packed) for state, packed in pipeline.execute() if state == b"queued"]

    def is_known(self, candidate_id: str) -> bool:
        """Whether there is a candidate of this id."""
        return bool(self._client.exists(self._keys.candidate(candidate_id)))

    def candidate(self, candidate_id: str) -> Candidate:
        """A candidate that is known, by its id."""
        return unpack_as(Candidate, cast("bytes", self._client.hget(self._keys.candidate(candidate_id), "candidate")))

    def cancel(
        self, candidate_id: str, reason: str, *, asked: Requested | None = None, only_queued: bool = False
    ) -> CancelOutcome:
        """Ask for the early end of a candidate.

        Returns:
            "cancelled" (it was queued), "asked" (it runs; its worker learns of it at once), "running" (it runs, and
            `only_queued` leaves it alone), "late" or "unknown".
        """
        held = self._client.hgetall(self._keys.candidate(candidate_id))
        if not held:
            return "unknown"
        fields = cast("dict[bytes, bytes]", held)
        event = CancelRequested(candidate_id=candidate_id, reason=reason)
        result = unmeasured(fields, int(fields[b"attempt"]), "cancelled", reason)
        worker = fields.get(b"worker", b"").decode()
        return self._scripts.cancel(
            candidate_id,
            worker=worker,
            reason=reason,
            cancel_event=pack(event),
            result_event=pack(result),
            request_event=_packed(asked),
            only_queued=only_queued,
        )


def _packed(asked: Requested | None) -> bytes:
    return b"" if asked is None else pack(asked)
