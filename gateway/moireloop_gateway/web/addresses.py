"""All addresses of the API: what each takes and returns, for the server and for its OpenAPI page (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from moireloop_analyzer.diffraction_settings import KINDS

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}

WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}

LOG_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,19}-[0-9]{1,19}$"}

NUMBERS: Final[Schema] = {"type": "array", "items": {"type": ["number", "null"]}}


def thing(*required: str, **properties: Schema) -> Schema:
    """An object of JSON with these fields, all of which are there unless `required` names fewer."""
    return {"type": "object", "properties": properties, "required": list(required or properties)}


def maybe(**properties: Schema) -> Schema:
    """An object of JSON with some of these fields: only `reason`, or all others."""
    return {"type": "object", "properties": properties}


def many(items: Schema) -> Schema:
    """An array of JSON."""
    return {"type": "array", "items": items}


ANY: Final[Schema] = {"type": "object"}

MAYBE_ANY: Final[Schema] = {"type": ["object", "null"]}

MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}

PHASE: Final[Schema] = {"enum": ["reading", "live", "silent", "ended", "unreadable"]}

COLUMNS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "array"}}

EVENT: Final[Schema] = thing(id={**LOG_ID, "type": ["string", "null"]}, topic=TEXT, event=ANY)


@dataclass(frozen=True)
class Address:
    """One address: its path below /api/v1, its function in the room `endpoints`, what it takes and returns."""

    path: str
    handler: str
    summary: str
    returns: Schema
    query: Mapping[str, tuple[Schema, str]] = field(default_factory=dict)
    kind: str = "application/json"
    method: str = "GET"


CAMPAIGN: Final = "/campaigns/{campaign}"

ADDRESSES: Final = (
    Address("/session", "session", "Role of the caller, topics, and the CSRF value that changes by cookie need.",
            thing(role={"enum": ["observer", "controller"]}, csrf=TEXT, topics=many(TEXT), version=TEXT)),
    Address("/requests", "steering_forms", "The requests that a controller may make, each with its JSON Schema.",
            thing(requests=many(thing(name=TEXT, summary=TEXT, danger={"type": ["string", "null"]}, schema=ANY)))),
    Address("/campaigns", "campaigns", "All campaigns.",
            thing(campaigns=many(thing("key", "folder", "running", "name", key=TEXT, folder=TEXT, name=TEXT,
                                       running={"type": "boolean"})))),
    Address(CAMPAIGN, "summary", "State, budget, time left, targets, workers, services, counters and settings.",
            thing("key", "phase", "last_id", "counts", "targets", "steers", "absent", key=TEXT, last_id=LOG_ID,
                  counts=ANY, steers={"type": "boolean"}, absent=TEXT,
                  phase=PHASE, targets=many(ANY))),
    Address(f"{CAMPAIGN}/results", "results", "Results as columns, in the order of the log.",
            thing(total=WHOLE, last_id=LOG_ID, phase=PHASE, complete={"type": "boolean"}, columns=COLUMNS),
            {"after": (LOG_ID, "only results after this id of the log"),
             "limit": (WHOLE, "largest number, at most 10000; `complete` is false where there are more, and while the "
                              "gateway has not read the whole log: `phase` is then not `live` or `ended`"),
             "columns": (TEXT, "names of columns, separated by commas; all by default"),
             "outcome": (TEXT, "only results of these outcomes, separated by commas"),
             "format": ({"enum": ["json", "csv"]}, "JSON by default; CSV is always a file, as by `download`"),
             "download": ({"type": "boolean"}, "all results as a file, without a largest number; it comes when the log "
                                               "is read, and is refused (503) while it cannot be")}),
    Address(f"{CAMPAIGN}/results/{{candidate}}", "result", "One result whole, with provenance and analyses.",
            thing(id=LOG_ID, result=ANY)),
    Address(f"{CAMPAIGN}/candidates", "candidates", "Candidates without a result.", thing(candidates=many(ANY))),
    Address(f"{CAMPAIGN}/recipes", "recipes", "The best recipes for each target, with clusters and intervals.",
            thing(targets=many(thing(target=ANY, recipes=many(ANY)))), {"limit": (WHOLE, "recipes for each target")}),
    Address(f"{CAMPAIGN}/runs/{{candidate}}/series", "series", "Twist, order and temperature over the steps of a run.",
            thing(series=many(thing(candidate_id=TEXT, attempt=WHOLE, planned_steps=WHOLE, points=COLUMNS)))),
    Address(f"{CAMPAIGN}/runs/{{candidate}}/structure", "structure",
            "Final structure of a run: atoms, layers, both lattices, cell and moire cell, in angstrom.",
            thing("x", "y", "z", "layer", "cell", x=NUMBERS, y=NUMBERS, z=NUMBERS, layer=many(WHOLE), cell=ANY)),
    Address(f"{CAMPAIGN}/runs/{{candidate}}/pattern", "simulated_pattern",
            "The diffraction pattern that X-rays in the plane, or electrons, would show of a run's final structure, "
            "with the settings of [diffraction]. `columns` are the columns of a table of peaks (docs/compare.md).",
            thing(kind={"enum": list(KINDS)}, temperature_k={"type": "number"}, normal_per_angstrom={"type": "number"},
                  remarks=many(TEXT), columns=COLUMNS),
            {"kind": ({"enum": list(KINDS)}, "gixd (X-rays, the default) or rheed (electrons)")}),
    Address(f"{CAMPAIGN}/model", "model",
            "The model's probability of a hit over each pair of parameters, the largest over the others; `probability` "
            "has `size` x `size` values for each target, rows along y. Fitting takes seconds.",
            maybe(reason=TEXT, size=WHOLE, twists=WHOLE, targets=many(ANY),
                  pairs=many(ANY))),
    Address(f"{CAMPAIGN}/cells", "cells", "The coherent twists that the cell admits, and what each costs in strain.",
            maybe(reason=TEXT, largest_strain={"type": "number"}, twists=many(ANY))),
    Address(f"{CAMPAIGN}/timeline", "timeline", "What each worker did when, as columns.",
            thing("workers", "worker", "leased_s", "end", workers=many(TEXT), worker=many(WHOLE), leased_s=NUMBERS,
                  end=many(TEXT)), {"last_s": ({"type": "number"}, "length of the time window up to now, in seconds")}),
    Address(f"{CAMPAIGN}/failures", "failures", "Attempts that failed and results without a twist, with reasons.",
            thing(attempts=many(ANY), results=COLUMNS)),
    Address(f"{CAMPAIGN}/remarks", "remarks", "Sessions, crashes, early ends, and requests of controllers.",
            thing(remarks=many(ANY))),
    Address(f"{CAMPAIGN}/log", "log", "A page of the event log.",
            thing(events=many(EVENT), last_id=LOG_ID, complete={"type": "boolean"}),
            {"since": (LOG_ID, "only events after this id"), "limit": (WHOLE, "largest number, at most 1000")}),
    Address(f"{CAMPAIGN}/logs", "logs", "Services that have a log file.", thing(services=many(TEXT))),
    Address(f"{CAMPAIGN}/logs/{{service}}", "log_tail", "The end of a service's log file.",
            thing(service=TEXT, text=TEXT)),
    Address(f"{CAMPAIGN}/events", "events",
            "Server-sent events. The id of each event of the log is its id there: after `Last-Event-ID` or `since` "
            "everything comes, without a gap. Observations of frames have no id.",
            TEXT, {"since": (LOG_ID, "where the header Last-Event-ID cannot be sent"),
                   "topics": (TEXT, "only these topics, separated by commas")}, kind="text/event-stream"),
    Address(f"{CAMPAIGN}/patterns", "patterns", "The last measured patterns and what they show, without their peaks.",
            thing(patterns=many(thing("id", "pattern_id", "requester", "at_s", id=LOG_ID, pattern_id=TEXT,
                                      requester=TEXT, at_s={"type": "number"})))),
    Address(f"{CAMPAIGN}/chamber", "chamber",
            "Where the growth chamber, and the computer, likeliest hit a target next, by results and patterns. "
            "`chamber` has all parameters of the chamber, `computer` the search space's. Takes seconds.",
            maybe(reason=MAYBE_TEXT, target=ANY, chamber=MAYBE_ANY, computer=MAYBE_ANY, patterns=WHOLE),
            {"twist_deg": ({"type": "number"}, "the target in degrees, 0 to 30; by default the campaign's first"),
             "tolerance_deg": ({"type": "number"}, "its tolerance in degrees; 0.5 by default")}),
    Address(f"{CAMPAIGN}/patterns", "submit_pattern",
            "Index a measured pattern and put it into the log. `pattern` is the event: its analysis has a twist or a "
            "reason. The same measurement under the same id is one pattern.", thing(pattern=ANY), method="POST"),
    Address(f"{CAMPAIGN}/patterns/{{pattern}}", "pattern", "One measured pattern whole, with its peaks.",
            thing(id=LOG_ID, pattern=ANY)),
    Address(f"{CAMPAIGN}/requests/{{request}}", "steer", "Steer: carry out a request of a controller.",
            thing(accepted={"const": True}), method="POST"),
)  # fmt: skip
