"""Whether a campaign's keys in Redis were changed from outside, or Redis no longer takes its commands (adapter).

Each key is looked at for its type, and those that every campaign has for being there. What is seen once may be a
step between two commands; what stays for PERSISTS_S is a fault.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final, cast

import redis

from moireloop_broker.archive.parts import order, unpacked
from moireloop_broker.contract.events import OUTCOMES
from moireloop_broker.state.keys import ANALYZERS_GROUP, KEYS, WORKERS_GROUP, Keys
from moireloop_broker.state.redis_client import open_impatient

LOOK_EVERY_S: Final = 1.0

PERSISTS_S: Final = 3.0

PROBE_EVERY_S: Final = 5.0

REFUSED_S: Final = 15.0

ALWAYS: Final = ("settings", "identity", "state", "log", "queue", "queue:again", "finals", "services")

MOST: Final = 1000


class StateWatch:
    """Looks at a campaign's keys now and then, and tries a write and a new connection.

    Args:
        client: used only by this object's caller.
        url: of the server, for new connections.
        session: mark of the session, rewritten as a trial.
    """

    def __init__(self, client: redis.Redis, keys: Keys, url: str, session: str) -> None:
        self._client, self._keys, self._url, self._session = client, keys, url, session
        self._first_id: str | None = None
        self._looked_s = self._probed_s = float("-inf")
        self._fault: tuple[str, float] | None = None
        self._refused: tuple[str, float] | None = None

    def fault(self, results: int, now_s: float) -> str | None:
        """What is wrong with the state for good, in words; None where nothing is.

        Args:
            results: how many of them the log has reported.
            now_s: seconds of a clock that is not set.

        Raises:
            redis.RedisError: Redis does not respond, or refuses a command; see `refused`.
        """
        if now_s - self._looked_s < LOOK_EVERY_S:
            return None
        self._looked_s = now_s
        text = self._changed_key() or self._begun_anew(results) or self._lost_candidate()
        if text is None or self._fault is None or self._fault[0] != text:
            self._fault = None if text is None else (text, now_s)
        if text is None:
            self._probe(now_s)
        self._refused = None
        if self._fault is not None and now_s - self._fault[1] >= PERSISTS_S:
            return self._fault[0]
        return None

    def refused(self, error: redis.RedisError, now_s: float) -> str | None:
        """Why Redis no longer takes the campaign's commands, once it has refused them for REFUSED_S; None before.

        A server that does not respond, or loads its data, refuses nothing.
        """
        if not is_refusal(error):
            return None
        if self._refused is None:
            self._refused = (str(error), now_s)
        if now_s - self._refused[1] < (PERSISTS_S if "WRONGTYPE" in str(error) else REFUSED_S):
            return None
        with contextlib.suppress(redis.RedisError):
            if (text := self._changed_key()) is not None:
                return text
        return f"the Redis server refuses the campaign's commands: {error}"

    def _probe(self, now_s: float) -> None:
        if now_s - self._probed_s < PROBE_EVERY_S:
            return
        self._client.hset(self._keys.identity, "session", self._session)
        with contextlib.closing(open_impatient(self._url)) as client:
            client.ping()
        self._probed_s = now_s

    def _changed_key(self) -> str | None:
        fixed = [spec for spec in KEYS if "{" not in spec.name]
        pipeline = self._client.pipeline(transaction=False)
        for spec in fixed:
            pipeline.type(self._keys.prefix + spec.name)
        for spec, kind in zip(fixed, cast("list[bytes]", pipeline.execute()), strict=True):
            found = kind.decode()
            if found == "none" and spec.name in ALWAYS:
                return f"the Redis key {self._keys.prefix + spec.name} is gone: another program deleted it"
            if found not in (spec.type, "none"):
                return self._wrong_type(spec.name, spec.type, found)
        return None

    def _begun_anew(self, results: int) -> str | None:
        """A key that was deleted and that the next command has made again, without what was in it."""
        first: Any = self._client.xrange(self._keys.log, count=1)
        first_id = first[0][0].decode() if first else ""
        self._first_id = self._first_id or first_id
        if first_id != self._first_id and not self._is_archived(self._first_id, first_id):
            return f"the Redis key {self._keys.log} has lost its first events: another program deleted them"
        workers = [(queue, WORKERS_GROUP) for queue in self._keys.queues]
        for stream, group in (*workers, (self._keys.finals, ANALYZERS_GROUP)):
            groups = [row["name"] for row in self._client.xinfo_groups(stream)]
            if group.encode() not in groups:
                return f"the Redis key {stream} has lost its group {group!r}: another program deleted it"
        together = self._client.pipeline(transaction=True)
        together.hgetall(self._keys.counts)
        for queue in self._keys.queues:
            together.xlen(queue)
        together.zcard(self._keys.leases)
        together.xlen(self._keys.finals)
        counts, again, queued, running, analysing = together.execute()
        settled = sum(int(counts.get(outcome.encode(), 0)) for outcome in OUTCOMES)
        held = {
            "queued": (" or ".join(self._keys.queues), again + queued),
            "running": (self._keys.leases, running),
            "analysing": (self._keys.finals, analysing),
        }
        for stage, (key, number) in held.items():
            if int(counts.get(stage.encode(), 0)) > number:
                lost = f"the Redis key {key} has lost candidates that are {stage}"
                return f"{lost}: another program deleted or changed it"
        is_lost = not counts and any(number for _, number in held.values())
        if is_lost or settled < results or any(int(count) < 0 for count in counts.values()):
            return f"the Redis key {self._keys.counts} has lost candidates: another program deleted or changed it"
        return None

    def _is_archived(self, before: str, first_id: str) -> bool:
        """Whether what the log began with has gone to the archive, up to what it begins with now."""
        stored = cast("list[bytes]", self._client.lrange(self._keys.archived, -1, -1))
        last = order(unpacked(stored[0]).last) if stored else None
        if last is None or not first_id or not order(before) <= last < order(first_id):
            return False
        self._first_id = first_id
        return True

    def _lost_candidate(self) -> str | None:
        """A candidate that is waited for, and whose keys are gone or of another type."""
        queued = [row for queue in self._keys.queues for row in cast("Any", self._client.xrange(queue, count=MOST))]
        finished: Any = self._client.xrange(self._keys.finals, count=MOST)
        leased = [name.decode() for name in cast("list[bytes]", self._client.zrange(self._keys.leases, 0, -1))]
        finals = [fields[b"id"].decode() for _, fields in finished]
        wanted = [(f"candidate:{name}", "hash") for name in (*leased, *finals)]
        wanted += [(f"candidate:{fields[b'id'].decode()}", "hash") for _, fields in queued]
        wanted += [(f"final:{name}", "string") for name in finals]
        seen = [(f"series:{name}:{self._attempt(name)}", "zset") for name in leased]
        seen += [
            (f"instructions:{name.decode()}", "list")
            for name in cast("list[bytes]", self._client.hkeys(self._keys.workers))
        ]
        pipeline = self._client.pipeline(transaction=False)
        for name, _ in (*wanted, *seen):
            pipeline.type(self._keys.prefix + name)
        for (name, expected), kind in zip((*wanted, *seen), cast("list[bytes]", pipeline.execute()), strict=True):
            found = kind.decode()
            if found == "none" and (name, expected) in wanted:
                return f"the Redis key {self._keys.prefix + name} is gone: another program deleted it"
            if found not in (expected, "none"):
                return self._wrong_type(name, expected, found)
        return None

    def _attempt(self, candidate_id: str) -> str:
        with contextlib.suppress(redis.ResponseError):
            stored = cast("bytes | None", self._client.hget(self._keys.candidate(candidate_id), "attempt"))
            return (stored or b"1").decode()
        return "1"

    def _wrong_type(self, name: str, expected: str, found: str) -> str:
        return (
            f"the Redis key {self._keys.prefix + name}: expected a {expected}, got a {found} that another program wrote"
        )


def is_refusal(error: redis.RedisError) -> bool:
    """Whether a server has answered and will not do what it is asked: password, rights, memory, disk, type, replica."""
    return isinstance(error, redis.ResponseError | redis.AuthenticationError)
