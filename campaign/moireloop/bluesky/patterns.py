"""Measured patterns out of bluesky's documents: a callback that submits what a beamline's events hold (adapter)."""

from __future__ import annotations

import logging
import numbers
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy as np

from moireloop.client.received import NotRunning, RequestRefused
from moireloop.client.requests import BadArgument
from moireloop.experiment.columns import KNOWN, peaks_of_columns
from moireloop.experiment.options import PatternOptions
from moireloop.experiment.refused import PatternRefused
from moireloop_broker.contract.patterns import PatternMeasured

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient

log = logging.getLogger(__name__)

MOST_PENDING: Final = 1000
"""Events that wait while the campaign does not respond; the oldest are dropped, and said."""

LONGEST_NAME: Final = 64


class PatternDocuments:
    """A callback for `RE.subscribe`, or for any dispatcher of documents: each event with a pattern is submitted.

    An event holds one where its data have the columns of a table of peaks (docs/compare.md), each an array. Its id is
    the pattern's name, so that documents that come twice are one pattern; its time is when it was measured. What cannot
    be submitted ends no scan: it is logged, and stands in `refused`. While the campaign does not respond events wait,
    and go with the next document or with `flush`.

    Args:
        client: of the campaign.
        prefix: what the names of the columns begin with, such as "detector_".
        parameters: names of scalar data that are the chamber's parameters; by default all that are numbers.
        options: as of `submit_pattern`, such as lattices.
    """

    def __init__(
        self,
        client: CampaignClient,
        *,
        prefix: str = "",
        parameters: Sequence[str] | None = None,
        **options: Unpack[PatternOptions],
    ) -> None:
        self.submitted: list[PatternMeasured] = []
        self.refused: dict[str, str] = {}
        self._client = client
        self._prefix = prefix
        self._parameters = parameters
        self._options = options
        self._pending: deque[Mapping[str, Any]] = deque()

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        """Take in one document; others than events are passed over."""
        for event in _events(name, document):
            if self._columns(event["data"]):
                self._pending.append(event)
        while len(self._pending) > MOST_PENDING:
            self._refuse(self._pending.popleft(), f"the campaign did not respond while {MOST_PENDING} more came")
        self.flush()

    def flush(self) -> bool:
        """Submit what waits; False where the campaign does not respond."""
        while self._pending:
            event = self._pending[0]
            try:
                self.submitted.append(self._submit(event))
            except NotRunning as error:
                log.warning("patterns wait pending=%d reason=%s", len(self._pending), error)
                return False
            except (PatternRefused, RequestRefused, BadArgument) as error:
                self._refuse(event, str(error))
            self._pending.popleft()
        return True

    def _submit(self, event: Mapping[str, Any]) -> PatternMeasured:
        columns = {name: np.asarray(value, np.float64) for name, value in self._columns(event["data"]).items()}
        if len({column.shape for column in columns.values()}) > 1 or any(c.ndim != 1 for c in columns.values()):
            shapes = {name: column.shape for name, column in columns.items()}
            raise PatternRefused(f"event {event['uid']}: expected columns of one length, got shapes {shapes}")
        peaks = peaks_of_columns(columns, f"event {event['uid']}")
        return self._client.submit_pattern(
            peaks,
            pattern_id=str(event["uid"])[:LONGEST_NAME],
            parameters=self._chamber(event["data"]),
            measured_s=float(event["time"]),
            **self._options,
        )

    def _columns(self, data: Mapping[str, Any]) -> dict[str, Any]:
        named = {
            name.removeprefix(self._prefix): value for name, value in data.items() if name.startswith(self._prefix)
        }
        found = {name: value for name, value in named.items() if name in KNOWN and np.ndim(value) > 0}
        return found if any(name.startswith(("q_x", "q_per")) for name in found) else {}

    def _chamber(self, data: Mapping[str, Any]) -> dict[str, float]:
        scalars = {name: value for name, value in data.items() if isinstance(value, numbers.Real)}
        wanted = scalars if self._parameters is None else self._parameters
        return {name: float(scalars[name]) for name in wanted if name in scalars and not isinstance(data[name], bool)}

    def _refuse(self, event: Mapping[str, Any], why: str) -> None:
        self.refused[str(event["uid"])] = why
        log.warning("pattern refused event=%s reason=%s", event["uid"], why)


def _events(name: str, document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Events of a document: one, or all events of a page."""
    if name == "event":
        yield document
    elif name == "event_page":
        for number, uid in enumerate(document["uid"]):
            data = {key: values[number] for key, values in document["data"].items()}
            yield {"uid": uid, "time": document["time"][number], "data": data}
