"""Observations: published through their own stream, and kept with each run as its series (adapter)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import redis

from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.events import FrameAnalysed, Observation
from moireloop_broker.state.keys import EVENT_FIELD, OBSERVATIONS_KEPT, OBSERVED_BYTES_KEPT, Keys
from moireloop_broker.state.scripts.analysis import AnalysisScripts
from moireloop_broker.state.series import Series, SeriesPoint, pack_point, point_of, unpack_point, unpack_points
from moireloop_broker.state_changes import Observed

SERIES_AT_ONCE: Final = 200

BYTES_AT_ONCE: Final = 1024 * 1024
"""Of series that are read in one round trip; one alone may have as many again."""

OBSERVATIONS_AT_ONCE: Final = 5000


class Observations:
    """Writes observations, and reads the series that they make."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._scripts = AnalysisScripts(client, keys)

    def add(self, observation: Observation, window: int = 0) -> list[SeriesPoint]:
        """Publish an observation and put it into the series of its attempt, in one step.

        The same step again changes nothing and is not published. An attempt that was never begun has no series.

        Returns:
            The newest `window` points of the series by step, oldest first, this one among them if it is one of these.
        """
        return self.add_several([observation], window)[0]

    def add_several(self, observations: Sequence[Observation], window: int = 0) -> list[list[SeriesPoint]]:
        """`add` one after another, in one round trip; returns what each of them does."""
        newest = self._scripts.observe([_observed(observation) for observation in observations], window)
        return [[unpack_point(data) for data in points] for points in newest]

    def newest(self, candidate_id: str, attempt: int, window: int) -> list[SeriesPoint]:
        """The newest `window` points of a series by step, oldest first."""
        stored = self._client.zrange(self._keys.series(candidate_id, attempt), -window, -1)
        return [unpack_point(data) for data in cast("list[bytes]", stored)]

    def add_analyses(self, analysed: FrameAnalysed) -> None:
        """Publish what further analyzers made of a frame; of large messages fewer are kept."""
        packed = pack(analysed)
        kept = min(OBSERVATIONS_KEPT, OBSERVED_BYTES_KEPT // len(packed))
        self._client.xadd(self._keys.observations, {EVENT_FIELD: packed}, maxlen=kept, approximate=True)

    def stored(self) -> Iterator[tuple[str, bytes]]:
        """Ids and packed messages of all that is kept of what was published, oldest first."""
        since = "-"
        while rows := cast("list[tuple[bytes, dict[bytes, bytes]]]", self._page(since)):
            yield from ((entry_id.decode(), fields[EVENT_FIELD]) for entry_id, fields in rows if EVENT_FIELD in fields)
            since = f"({rows[-1][0].decode()}"

    def _page(self, since: str) -> Any:
        return self._client.xrange(self._keys.observations, since, "+", OBSERVATIONS_AT_ONCE)

    def all_series(self) -> Iterator[Series]:
        """The series of every attempt of every candidate, in the order of candidates and attempts."""
        prefix = self._keys.series_prefix
        names = {key.decode().removeprefix(prefix) for key in self._client.scan_iter(f"{prefix}*", count=1000)}
        split = (name.rsplit(":", 1) for name in names)
        ordered = sorted((candidate_id, int(attempt)) for candidate_id, attempt in split)
        start = 0
        while several := ordered[start : start + SERIES_AT_ONCE]:
            read = self._scripts.read_series(several, most_bytes=BYTES_AT_ONCE)
            for (candidate_id, attempt), points in zip(several, read, strict=False):
                yield Series(candidate_id, attempt, unpack_points(points))
            start += len(read)


def _observed(observation: Observation) -> Observed:
    return Observed(
        candidate_id=observation.candidate_id,
        attempt=observation.attempt,
        observation=pack(observation),
        step=observation.step,
        point=pack_point(point_of(observation, observation.measurement)),
    )
