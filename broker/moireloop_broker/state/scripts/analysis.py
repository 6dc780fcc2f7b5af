"""Scripts of the analyzers: results, observations and early ends (adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import redis

from moireloop_broker.state.keys import ANALYZERS_GROUP, INSTRUCTIONS_KEPT_S, OBSERVATIONS_KEPT, POINTS_KEPT, Keys
from moireloop_broker.state.scripts.runner import Call, Runner, expected_word, packed, unpacked
from moireloop_broker.state_changes import Final, Observed, Settlement

EndOutcome = Literal["ordered", "again", "late"]

WithholdOutcome = Literal["withheld", "again", "late"]


class AnalysisScripts:
    """One method for each script that brings in what was measured, for one campaign on one Redis connection."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._runner = Runner(client)
        self._keys = keys

    def end_early(
        self, candidate_id: str, *, attempt: int, worker: str, ending: str, reason: str, event: bytes
    ) -> EndOutcome:
        """Order the early end of a running attempt and wake its worker; the first order of an attempt stands."""
        keys = self._keys
        word = self._runner.run(
            "end_early",
            [keys.candidate(candidate_id), keys.log, keys.instructions(worker)],
            [attempt, worker, ending, reason, event, INSTRUCTIONS_KEPT_S],
        )
        return cast("EndOutcome", expected_word(word, get_args(EndOutcome)))

    def withhold(self, candidate_id: str, *, attempt: int, event: bytes) -> WithholdOutcome:
        """Log that the early end of a running attempt is withheld; the first time of an attempt counts."""
        word = self._runner.run("withhold", [self._keys.candidate(candidate_id), self._keys.log], [attempt, event])
        return cast("WithholdOutcome", expected_word(word, get_args(WithholdOutcome)))

    def settle(self, several: Sequence[Settlement]) -> list[bool]:
        """Write results, and the last points of their series, in one step; False for each that has a result."""
        return list(unpacked(self._runner.run(*self._settling(several))))

    def settle_and_take(
        self, several: Sequence[Settlement], analyzer: str, *, count: int, most_bytes: int
    ) -> tuple[list[bool], list[Final]]:
        """`settle` several, then `take_finals`, in one round trip."""
        taking = self._taking(analyzer, count, most_bytes)
        if not several:
            return [], [Final(*row) for row in unpacked(self._runner.run(*taking))]
        written, taken = self._runner.run_several([self._settling(several), taking])
        return list(unpacked(written)), [Final(*row) for row in unpacked(taken)]

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
            [ANALYZERS_GROUP, POINTS_KEPT, candidates, finals, series, packed(several)],
        )

    def observe(self, several: Sequence[Observed], window: int) -> list[list[bytes]]:
        """Publish observations and put their points into their series, one after another in one round trip.

        Returns:
            For each of them the newest `window` points of its series by step, as they were right after it.
        """
        return cast("list[list[bytes]]", self._runner.run_several([self._observing(one, window) for one in several]))

    def _observing(self, observed: Observed, window: int) -> Call:
        keys = self._keys
        candidate_id, attempt, observation, step, point = observed
        return Call(
            "observe",
            [keys.observations, keys.series(candidate_id, attempt), keys.candidate(candidate_id)],
            [observation, OBSERVATIONS_KEPT, attempt, step, point, POINTS_KEPT, window],
        )

    def read_series(self, several: Sequence[tuple[str, int]], *, most_bytes: int) -> list[list[bytes]]:
        """The packed points, by step, of the series of some candidates and attempts: of the first ones, at least one,
        until they have so many bytes.
        """
        first, *others = (self._keys.series(candidate_id, attempt) for candidate_id, attempt in several)
        return unpacked(self._runner.run("read_series", [first], [packed(others), most_bytes]))
