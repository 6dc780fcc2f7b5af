"""The atomic state changes: Lua scripts that change a candidate's state and write its event in one step (adapter).

Every script may run twice with the same arguments, as after a lost connection, and then changes nothing more. Only an
observation of an attempt that nobody began, which has no series, is then published again. What the scripts in `lua/`
call KEYS and ARGV has a name and a type here; times are in seconds since the epoch, packed messages are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

import msgpack
import redis

from moireloop_broker.archive.parts import Part, following
from moireloop_broker.state.keys import (
    ANALYZERS_GROUP,
    INSTRUCTIONS_KEPT_S,
    OBSERVATIONS_KEPT,
    POINTS_KEPT,
    WORKERS_GROUP,
    Keys,
)
from moireloop_broker.state.redis_client import exchange
from moireloop_broker.state_changes import Begun, EventParts, Final, Finish, Proposal, Settlement, Spare

Argument: TypeAlias = str | bytes | int | float

LeaseOutcome = Literal["leased", "stale", "draining"]

Renewal = Literal["", "lost", "cancelled", "settled", "hopeless"]

FailOutcome = Literal["queued", "failed", "cancelled", "stale"]

CancelOutcome = Literal["cancelled", "asked", "running", "late", "unknown"]

ProposeOutcome = Literal["queued", "known", "spent"]

MoveOutcome = Literal["moved", "late", "unknown"]

EndOutcome = Literal["ordered", "again", "late"]

WithholdOutcome = Literal["withheld", "again", "late"]

PatternOutcome = Literal["logged", "known", "other", "full"]

ArchiveOutcome = Literal["archived", "other", "gone", "unpublished", "newest"]

Charge = Literal[0, 1, 2]
"""What the end of an attempt costs: a loss (0), an attempt (1), or nothing, since it is nobody's fault (2)."""


Turn = Literal[0, 1, 2]
"""Where a candidate waits that is queued again: last (0), first since it was lost (1) or given back on request (2)."""


class UnknownReply(RuntimeError):
    """A script returned a word that this version does not know: the server runs one of another version."""


class Call(NamedTuple):
    """A script to be run: its name, KEYS and ARGV."""

    name: str
    keys: Sequence[str]
    args: Sequence[Argument]


@cache
def _source(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


@cache
def _sha1(name: str) -> str:
    return sha1(_source(name).encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """The scripts in `lua/`, one method each, for one campaign on one Redis connection."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def propose(
        self, several: Sequence[Proposal], budget: int | None = None, spares: Sequence[Spare] = ()
    ) -> list[ProposeOutcome]:
        """Queue new candidates, in their order, as far as the budget, if one is given, has room for them.

        One from outside that finds no room takes the place of the first of `spares` that still waits.
        """
        keys = self._keys
        rows = [(one.candidate_id, one.candidate, repr(one.queued_s), one.event, one.request_event) for one in several]
        words = self._run(
            "propose",
            [keys.queue, keys.log, keys.counts],
            [keys.candidate(""), "" if budget is None else budget, _packed(rows), _packed(spares)],
        )
        return [cast("ProposeOutcome", _expected_word(word, get_args(ProposeOutcome))) for word in _unpacked(words)]

    def prioritise(self, candidate_id: str, *, place: int, event: bytes) -> MoveOutcome:
        """Move a queued candidate to a place of the queue, 1 being the next."""
        keys = self._keys
        word = self._run(
            "prioritise",
            [keys.candidate(candidate_id), keys.queue_again, keys.queue, keys.log],
            [place, WORKERS_GROUP, keys.candidate(""), event],
        )
        return cast("MoveOutcome", _expected_word(word, get_args(MoveOutcome)))

    def begin(
        self, worker: str, *, ticket: str, lease_ms: int, leased_s: float, event: EventParts
    ) -> Begun | Literal["draining"] | None:
        """Lease the first entry that waits, in one step; None where none waits. The same ticket twice is one lease."""
        return _begun(self._run(*self._beginning(worker, ticket, lease_ms, leased_s, event)))

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
        word = self._run(
            "lease",
            [keys.candidate(candidate_id), queue, keys.log, keys.counts, keys.leases, keys.state],
            [candidate_id, entry, WORKERS_GROUP, attempt, worker, lease_ms, repr(leased_s), event],
        )
        return cast("LeaseOutcome", _expected_word(word, get_args(LeaseOutcome)))

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
        word = self._run_several([renewing, *reporting])[0]
        return cast("Renewal", _expected_word(word, get_args(Renewal)))

    def report(self, worker: str, status_without_time: bytes) -> None:
        """Store what a worker does; the server adds its own time to the packed status."""
        self._run(*self._reporting(worker, status_without_time))

    def _reporting(self, worker: str, status_without_time: bytes) -> Call:
        return Call("report", [self._keys.workers], [worker, status_without_time])

    def finish(self, run: Finish) -> bool:
        """Keep the final frame of a run for the analyzers; False when its lease is lost."""
        return self._run(*self._finishing(run)) == 1

    def finish_and_begin(
        self, run: Finish, *, ticket: str, lease_ms: int, leased_s: float, event: EventParts
    ) -> tuple[bool, Begun | Literal["draining"] | None]:
        """`finish` a run, then `begin` another, in one round trip."""
        beginning = self._beginning(run.worker, ticket, lease_ms, leased_s, event)
        is_kept, begun = self._run_several([self._finishing(run), beginning])
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
        word = self._run(
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
        return cast("FailOutcome", _expected_word(word, get_args(FailOutcome)))

    def give_back(self, candidate_id: str, *, attempt: int, queue: str, entry: str) -> bool:
        """Queue again an entry that was handed out and never leased; False when it is no longer needed."""
        keys = self._keys
        return self._is_one(
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
        word = self._run(
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
        return cast("CancelOutcome", _expected_word(word, get_args(CancelOutcome)))

    def end_early(
        self, candidate_id: str, *, attempt: int, worker: str, ending: str, reason: str, event: bytes
    ) -> EndOutcome:
        """Order the early end of a running attempt and wake its worker; the first order of an attempt stands."""
        keys = self._keys
        word = self._run(
            "end_early",
            [keys.candidate(candidate_id), keys.log, keys.instructions(worker)],
            [attempt, worker, ending, reason, event, INSTRUCTIONS_KEPT_S],
        )
        return cast("EndOutcome", _expected_word(word, get_args(EndOutcome)))

    def withhold(self, candidate_id: str, *, attempt: int, event: bytes) -> WithholdOutcome:
        """Log that the early end of a running attempt is withheld; the first time of an attempt counts."""
        word = self._run("withhold", [self._keys.candidate(candidate_id), self._keys.log], [attempt, event])
        return cast("WithholdOutcome", _expected_word(word, get_args(WithholdOutcome)))

    def settle(self, several: Sequence[Settlement]) -> list[bool]:
        """Write results, and the last points of their series, in one step; False for each that has a result."""
        return list(_unpacked(self._run(*self._settling(several))))

    def settle_and_take(
        self, several: Sequence[Settlement], analyzer: str, *, count: int, most_bytes: int
    ) -> tuple[list[bool], list[Final]]:
        """`settle` several, then `take_finals`, in one round trip."""
        taking = self._taking(analyzer, count, most_bytes)
        if not several:
            return [], [Final(*row) for row in _unpacked(self._run(*taking))]
        written, taken = self._run_several([self._settling(several), taking])
        return list(_unpacked(written)), [Final(*row) for row in _unpacked(taken)]

    def _taking(self, analyzer: str, count: int, most_bytes: int) -> Call:
        keys = self._keys
        return Call(
            "take_finals",
            [keys.finals],
            [ANALYZERS_GROUP, analyzer, count, most_bytes, keys.candidate(""), keys.final_frame("")],
        )

    def _settling(self, several: Sequence[Settlement]) -> Call:
        keys = self._keys
        prefixes = keys.candidate(""), keys.final_frame(""), keys.series_prefix
        candidates, finals, series = prefixes
        return Call(
            "settle",
            [keys.log, keys.counts, keys.finals],
            [ANALYZERS_GROUP, POINTS_KEPT, candidates, finals, series, _packed(several)],
        )

    def observe(
        self, candidate_id: str, *, attempt: int, observation: bytes, step: int, point: bytes, window: int
    ) -> list[bytes]:
        """Publish an observation and put its point into its series; returns the newest `window` points by step."""
        keys = self._keys
        newest = self._run(
            "observe",
            [keys.observations, keys.series(candidate_id, attempt), keys.candidate(candidate_id)],
            [observation, OBSERVATIONS_KEPT, attempt, step, point, POINTS_KEPT, window],
        )
        return cast("list[bytes]", newest)

    def submit_pattern(self, pattern_id: str, *, digest: str, event: bytes, most: int) -> tuple[PatternOutcome, str]:
        """Log a measured pattern, the first time that its id comes; returns what came of it, and the event's id."""
        outcome, log_id = cast(
            "list[bytes]",
            self._run("submit_pattern", [self._keys.patterns, self._keys.log], [pattern_id, digest, event, most]),
        )
        return cast("PatternOutcome", _expected_word(outcome, get_args(PatternOutcome))), log_id.decode()

    def archive(self, part: Part, after: Part | None) -> ArchiveOutcome:
        """Drop the log's oldest events, which a file of the archive has now; `after` is the part before them."""
        keys = self._keys
        newest = b"" if after is None else after.packed()
        word = self._run(
            "archive",
            [keys.log, keys.archived, keys.relay],
            [keys.log, part.first, part.last, following(part.last), part.packed(), newest],
        )
        return cast("ArchiveOutcome", _expected_word(word, get_args(ArchiveOutcome)))

    def set_state(self, state: str, *, event: bytes) -> bool:
        """Change the campaign's state and log it; False when the state is that already."""
        return self._is_one("set_state", [self._keys.state, self._keys.log], [state, event])

    def swap_pool(self, pool: str, *, before: bytes, now: bytes) -> bool:
        """Update a pool's status; False when another process has its name, so that `before` is no longer stored.

        Nothing said before is an empty `before`; an empty `now` takes the pool away.
        """
        return self._is_one("swap_pool", [self._keys.pools], [pool, before, now])

    def steer(
        self,
        *,
        states: Sequence[str],
        new_state: str = "",
        section: str = "",
        value: str = "",
        event: bytes,
        further_event: bytes = b"",
    ) -> bool:
        """Change the campaign's state, a section of its settings, or both; False when it is in none of `states`."""
        keys = self._keys
        return self._is_one(
            "steer",
            [keys.state, keys.settings, keys.log],
            [",".join(states), new_state, section, value, event, further_event],
        )

    def _run_several(self, calls: Sequence[Call]) -> list[object]:
        """Run scripts one after another in one round trip; those that the server has lost are run again by themselves.

        Raises:
            redis.RedisError: one of them failed; those after it were run.
        """
        commands = [("EVALSHA", _sha1(name), len(keys), *keys, *args) for name, keys, args in calls]
        replies = exchange(self._client, commands)
        for number, (reply, call) in enumerate(zip(replies, calls, strict=True)):
            if isinstance(reply, redis.exceptions.NoScriptError):
                replies[number] = self._given_again(call)
            elif isinstance(reply, Exception):
                raise reply
        return replies

    def _is_one(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> bool:
        return self._run(name, keys, args) == 1

    def _run(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> object:
        """Run `lua/<name>.lua`; a server that has lost the script is given it again."""
        return self._run_several([Call(name, keys, args)])[0]

    def _given_again(self, call: Call) -> object:
        script = self._client.register_script(_source(call.name))
        found: object = script(keys=call.keys, args=call.args)
        return found


def _packed(rows: Sequence[Sequence[Argument]]) -> bytes:
    """Rows as a script unpacks them: texts and bytes are the same there."""
    packed: bytes = msgpack.packb(rows, use_bin_type=False)
    return packed


def _unpacked(reply: object) -> list[Any]:
    """What a script packed, texts as bytes."""
    rows: list[Any] = msgpack.unpackb(cast("bytes", reply), raw=True)
    return rows or []


def _begun(reply: object) -> Begun | Literal["draining"] | None:
    if reply == b"draining":
        return "draining"
    if not reply:
        return None
    candidate, attempt, queued_s = _unpacked(reply)
    return Begun(candidate, int(attempt), float(queued_s))


def _expected_word(word: object, words: Sequence[str]) -> str:
    text = word.decode() if isinstance(word, bytes) else repr(word)
    if text not in words:
        raise UnknownReply(f"expected one of {', '.join(words)} from a script, got {text}")
    return text
