"""event-model documents of a campaign, made from its log and its observations (pure).

Each candidate is a run, with the streams `frames` and `primary`; each session of the campaign is one too, with the
streams `primary`, `patterns` and, at its end, `results`. A document's uid comes from the campaign's id and from the id
of the entry that it is made of, its time from that entry too. So the same document results, whoever makes it and
whenever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import pyarrow as pa

from moireloop.bluesky.data_keys import OBJECT, DataKeys, Kinds, data_keys, key_of, object_keys, values
from moireloop.client.received import Received, order
from moireloop.results.table import own_columns, results_table
from moireloop_broker.contract.control import Description
from moireloop_broker.contract.events import (
    CampaignChanged,
    Candidate,
    CandidateQueued,
    Observation,
    Published,
    Requested,
    Result,
)
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.steered import Steered, targets_of

LOG_TOPICS: Final = (CandidateQueued, Result, CampaignChanged, Requested, PatternMeasured)
"""The events of the log that documents are made of."""

Document = tuple[str, dict[str, Any]]
"""Its name (start, descriptor, event, stop) and what it says."""

SESSION_LEAVES_OUT: Final = ("provenance",)

EXIT_STATUS: Final = {"measured": "success", "refused": "success", "failed": "fail", "cancelled": "abort"}

FRAME_KINDS: Final[Kinds] = {
    "attempt": pa.int64(),
    "step": pa.int64(),
    "planned_steps": pa.int64(),
    "time_ps": pa.float64(),
    "temperature_k": pa.float64(),
    "pressure_bar": pa.float64(),
    "potential_ev": pa.float64(),
    "kinetic_ev": pa.float64(),
    "twist_deg": pa.float64(),
    "sigma_deg": pa.float64(),
    "order_lower": pa.float64(),
    "order_upper": pa.float64(),
    "confidence": pa.float64(),
    "reason": pa.string(),
}
"""The columns of the stream `frames`."""

PATTERN_KINDS: Final[Kinds] = {
    "pattern_id": pa.string(),
    "requester": pa.string(),
    "measured_s": pa.float64(),
    "twist_deg": pa.float64(),
    "signed_deg": pa.float64(),
    "sigma_deg": pa.float64(),
    "reason": pa.string(),
    "moire_angstrom": pa.float64(),
    "moire_error_angstrom": pa.float64(),
    "satellites": pa.float64(),
    "domains": pa.float64(),
    "unexplained": pa.float64(),
    "closest_id": pa.string(),
    "closest_per_angstrom": pa.float64(),
    "parameters": pa.string(),
    "peaks": pa.string(),
}
"""The columns of the stream `patterns`; the last two are JSON, since their names and sizes differ by pattern."""


@dataclass
class _Stream:
    """One stream of a run: its descriptor, its columns, and how many events it has."""

    uid: str
    kinds: Kinds
    events: int = 0


@dataclass
class _Run:
    """A run that has started, with its streams by name."""

    uid: str
    streams: dict[str, _Stream] = field(default_factory=dict)
    ended_at: str = ""


class Documents:
    """Takes the entries of a campaign, oldest first, and gives the documents that each makes.

    Entries of the log and observations are to come in the order of their ids, a frame before an event of the same
    moment. Frames that were analysed after a candidate's result are left out.

    Args:
        description: what the campaign searches, as it is now.
    """

    def __init__(self, description: Description) -> None:
        self._said = description
        self._namespace = uuid5(NAMESPACE_URL, f"moireloop:{description.campaign_id or description.campaign}")
        self._steered = Steered()
        self._session: _Run | None = None
        self._runs: dict[str, _Run] = {}
        self._results: list[Result] = []

    def of(self, entry: Received[Published]) -> list[Document]:
        """The documents that an entry makes, in their order; most events make none."""
        match entry.message:
            case CampaignChanged(state="started" | "resumed"):
                return self._session_begun(entry)
            case CampaignChanged(state="stopped" | "completed") as changed:
                return self._session_ended(entry, changed)
            case CandidateQueued(candidate=candidate) if candidate.candidate_id not in self._runs:
                return [self._run_begun(entry, candidate)]
            case Observation() as observation:
                return self._frame(entry, observation)
            case Result() as result:
                return self._result(entry, result)
            case PatternMeasured() as pattern if self._session is not None:
                return self._event(entry, self._session, "patterns", PATTERN_KINDS, _pattern_row(pattern))
            case Requested() as requested:
                self._steered = self._steered.after(requested.request)
        return []

    def _session_begun(self, entry: Received[Any]) -> list[Document]:
        why = "the session ended without giving a reason"
        ended = self._stop(entry, self._session, "abort", why) if self._session else []
        said = self._said
        self._session = _Run(self._uid(entry, "session"))
        start = {
            "uid": self._session.uid,
            "time": entry.at_s,
            "plan_name": "campaign",
            "plan_type": "moireloop",
            "state": entry.message.state,
            "campaign": said.campaign,
            "campaign_id": said.campaign_id,
            "targets": [one.model_dump() for one in said.targets],
            "space": [
                {"name": name, "unit": limits.unit, "low": limits.low, "high": limits.high}
                for name, limits in said.space.items()
            ],
            "growth_model": said.growth_model,
            "strategy": said.strategy,
            "budget_results": said.budget_results,
            "detectors": [OBJECT],
            "motors": list(said.space),
            "hints": self._hints(),
        }
        return [*ended, ("start", start)]

    def _session_ended(self, entry: Received[Any], changed: CampaignChanged) -> list[Document]:
        if (run := self._session) is None:
            return []
        self._session = None
        documents = []
        if self._results:
            targets = self._steered.targets or targets_of(self._said.targets)
            table = results_table(self._results, targets, self._bounds())
            kinds = {name: table.schema.field(name).type for name in table.column_names}
            for row in table.to_pylist():
                documents += self._event(entry, run, "results", kinds, row)
        return [*documents, *self._stop(entry, run, "success", changed.reason or changed.state)]

    def _run_begun(self, entry: Received[Any], candidate: Candidate) -> Document:
        self._runs[candidate.candidate_id] = run = _Run(self._uid(entry, "run"))
        start = {
            "uid": run.uid,
            "time": entry.at_s,
            "plan_name": "grow",
            "plan_type": "moireloop",
            "scan_id": len(self._runs),
            "campaign": self._said.campaign,
            "campaign_id": self._said.campaign_id,
            "session": self._session.uid if self._session else "",
            "candidate_id": candidate.candidate_id,
            "parameters": [{"name": name, "value": value} for name, value in candidate.parameters.items()],
            "seed": candidate.seed,
            "strategy": candidate.strategy,
            "growth_model": self._said.growth_model,
            "detectors": [OBJECT],
            "motors": list(candidate.parameters),
            "hints": self._hints(),
            **({} if candidate.target_deg is None else {"target_deg": candidate.target_deg}),
        }
        return "start", start

    def _frame(self, entry: Received[Any], observation: Observation) -> list[Document]:
        run = self._runs.get(observation.candidate_id)
        if run is None or run.ended_at:
            return []
        measured = observation.measurement
        row = {
            name: getattr(observation, name) if name in Observation.model_fields else getattr(measured, name)
            for name in FRAME_KINDS
        }
        return self._event(entry, run, "frames", FRAME_KINDS, row)

    def _result(self, entry: Received[Any], result: Result) -> list[Document]:
        run = self._runs.get(result.candidate.candidate_id)
        self._results.append(result)
        columns = own_columns([result])
        row = {name: get(result) for name, (_, get) in columns.items()}
        kinds = {name: kind for name, (kind, _) in columns.items()}
        documents = []
        if self._session is not None:
            of_analyzers = tuple(f"{name}." for name in result.analyses)
            same = {
                name: kind
                for name, kind in kinds.items()
                if name not in SESSION_LEAVES_OUT and not (of_analyzers and name.startswith(of_analyzers))
            }
            documents += self._event(entry, self._session, "primary", same, row)
        if run is None or run.ended_at:
            return documents
        run.ended_at = entry.id
        documents += self._event(entry, run, "primary", kinds, row)
        return documents + self._stop(entry, run, EXIT_STATUS[result.outcome], result.reason or "")

    def _event(
        self, entry: Received[Any], run: _Run, name: str, kinds: Kinds, row: Mapping[str, Any]
    ) -> list[Document]:
        """An event, after its descriptor where it is the first one of its stream."""
        documents: list[Document] = []
        if (stream := run.streams.get(name)) is None:
            stream = run.streams[name] = _Stream(self._uid(entry, run.uid, name, "descriptor"), kinds)
            documents.append(("descriptor", self._descriptor(entry, run, name, stream)))
        stream.events += 1
        data = values({column: row.get(column) for column in stream.kinds}, stream.kinds)
        event = {
            "uid": self._uid(entry, run.uid, name, str(stream.events)),
            "descriptor": stream.uid,
            "time": entry.at_s,
            "seq_num": stream.events,
            "data": data,
            "timestamps": dict.fromkeys(data, entry.at_s),
            "filled": {},
        }
        return [*documents, ("event", event)]

    def _descriptor(self, entry: Received[Any], run: _Run, name: str, stream: _Stream) -> dict[str, Any]:
        keys: DataKeys = data_keys(stream.kinds, self._said.campaign)
        shown = [key for key in ("twist_deg", "order_upper") if key in keys]
        return {
            "uid": stream.uid,
            "run_start": run.uid,
            "time": entry.at_s,
            "name": name,
            "data_keys": keys,
            "object_keys": object_keys(keys),
            "hints": {OBJECT: {"fields": shown}},
            "configuration": {OBJECT: {"data": {}, "timestamps": {}, "data_keys": {}}},
        }

    def _stop(self, entry: Received[Any], run: _Run, status: str, reason: str) -> list[Document]:
        stop = {
            "uid": self._uid(entry, run.uid, "stop"),
            "run_start": run.uid,
            "time": entry.at_s,
            "exit_status": status,
            "reason": reason,
            "num_events": {name: stream.events for name, stream in run.streams.items()},
        }
        run.streams = {}
        return [("stop", stop)]

    def _hints(self) -> dict[str, Any]:
        return {"dimensions": [[[key_of(name)], "primary"] for name in self._said.space]}

    def _bounds(self) -> dict[str, tuple[float, float]]:
        known = {name: (limits.low, limits.high) for name, limits in self._said.space.items()}
        changed = {name: (low, high) for name, (low, high) in self._steered.bounds.items()}
        return known | changed

    def _uid(self, entry: Received[Any], *parts: str) -> str:
        kind = "observation" if isinstance(entry.message, Observation) else "log"
        return str(uuid5(self._namespace, "/".join((kind, entry.id, *parts))))


def _pattern_row(pattern: PatternMeasured) -> dict[str, Any]:
    shown = pattern.analysis.model_dump() | pattern.model_dump(exclude={"analysis", "peaks", "parameters"})
    closest = pattern.analysis.closest[0] if pattern.analysis.closest else None
    return shown | {
        "closest_id": None if closest is None else closest.candidate_id,
        "closest_per_angstrom": None if closest is None else closest.distance_per_angstrom,
        "parameters": json.dumps(pattern.parameters),
        "peaks": pattern.peaks.model_dump_json(),
    }


Place = tuple[tuple[int, int], int]
"""Where an entry stands among all entries of a campaign."""


def place_of(entry: Received[Published]) -> Place:
    """What entries are ordered by: their ids, and a frame before an event of the same id."""
    return order(entry.id), 0 if isinstance(entry.message, Observation) else 1


def in_order(entries: Sequence[Received[Published]]) -> list[Received[Published]]:
    """Entries of the log and observations, in the order in which documents are made of them."""
    return sorted(entries, key=place_of)
