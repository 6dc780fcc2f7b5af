"""Scripts of the campaign: its state and settings, pools, measured patterns, and the archive of the log (adapter)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, NamedTuple, cast, get_args

import redis

from moireloop_broker.archive.parts import Part, following
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.runner import Runner, expected_word, unpacked

PatternOutcome = Literal["logged", "known", "other", "full"]

ArchiveOutcome = Literal["archived", "other", "gone", "unpublished", "newest"]


class LogRead(NamedTuple):
    """What a look at the log found: ids and bodies of entries, oldest first, and where it came to.

    `newest_part` is the newest part of the archive as packed, empty without one; `is_present` whether the log has an
    entry of the id after which it was read; `at_end` whether it had no more.
    """

    newest_part: bytes
    is_present: bool
    at_end: bool
    reached: str
    entries: list[tuple[str, bytes]]


class CampaignScripts:
    """One method for each script about the campaign as a whole, on one Redis connection."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._runner = Runner(client)
        self._keys = keys

    def archive(self, part: Part, after: Part | None) -> ArchiveOutcome:
        """Drop the log's oldest events, which a file of the archive has now; `after` is the part before them."""
        keys = self._keys
        newest = b"" if after is None else after.packed()
        word = self._runner.run(
            "archive",
            [keys.log, keys.archived, keys.relay],
            [keys.log, part.first, part.last, following(part.last), part.packed(), newest],
        )
        return cast("ArchiveOutcome", expected_word(word, get_args(ArchiveOutcome)))

    def read_log(self, after: str, *, count: int, most_bytes: int, tags: Collection[str]) -> LogRead:
        """Read at most so many entries, and about so many bytes, after an id; with tags, others may be left out.

        One packed reply takes redis-py a tenth of the time that as many entries take it.
        """
        wanted = f" {' '.join(tags)} " if tags else ""
        keys = self._keys
        reply = self._runner.run("read_log", [keys.log], [after, count, most_bytes, wanted, keys.archived])
        newest_part, present, at_end, reached, *flat = unpacked(reply)
        ids = (entry_id.decode() for entry_id in flat[::2])
        return LogRead(
            newest_part, bool(present), bool(at_end), reached.decode(), list(zip(ids, flat[1::2], strict=True))
        )

    def set_state(self, state: str, *, event: bytes) -> bool:
        """Change the campaign's state and log it; False when the state is that already."""
        return self._runner.is_one("set_state", [self._keys.state, self._keys.log], [state, event])

    def swap_pool(self, pool: str, *, before: bytes, now: bytes) -> bool:
        """Update a pool's status; False when another process has its name, so that `before` is no longer stored.

        Nothing said before is an empty `before`; an empty `now` takes the pool away.
        """
        return self._runner.is_one("swap_pool", [self._keys.pools], [pool, before, now])

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
        return self._runner.is_one(
            "steer",
            [keys.state, keys.settings, keys.log],
            [",".join(states), new_state, section, value, event, further_event],
        )

    def submit_pattern(self, pattern_id: str, *, digest: str, event: bytes, most: int) -> tuple[PatternOutcome, str]:
        """Log a measured pattern, the first time that its id comes; returns what came of it, and the event's id."""
        outcome, log_id = cast(
            "list[bytes]",
            self._runner.run(
                "submit_pattern", [self._keys.patterns, self._keys.log], [pattern_id, digest, event, most]
            ),
        )
        return cast("PatternOutcome", expected_word(outcome, get_args(PatternOutcome))), log_id.decode()
