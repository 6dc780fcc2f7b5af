"""A campaign's history from its log: its results, its sessions, its last failures and crash (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from moireloop.results.summary import KeptResults, Summary
from moireloop_broker.bulk import many_objects
from moireloop_broker.contract.codec import EARLIER
from moireloop_broker.contract.events import (
    OUTSIDE,
    CampaignChanged,
    EarlyEndWithheld,
    Published,
    Requested,
    Result,
    RunFailed,
    ServiceChanged,
)
from moireloop_broker.contract.steered import Steered

TOPICS: Final = tuple(
    model.model_fields["tag"].default
    for model in (Result, RunFailed, CampaignChanged, ServiceChanged, Requested, EarlyEndWithheld)
)
"""Topics of the events that a history is made of."""

TAGS: Final = frozenset(TOPICS) | {earlier for earlier, today in EARLIER.items() if today in TOPICS}
"""Tags that these events were ever written with."""

FAILURES_KEPT: Final = 5


@dataclass
class History:
    """Grows with the events of the log. Results stand in its order; sessions are known by the times of their starts.

    `results_before` is how many results are older than the last session's start, `outcomes_before` how they ended, and
    `drained_for` why the present session drains. `last_failed` is the last result of a candidate that failed.
    `last_failures` are the last attempts that failed by themselves, oldest first, at most FAILURES_KEPT.
    `steered` is what requests have made of the campaign. `passed_over` maps ids of entries that are no events to the
    reason. `outcomes` counts results by how they ended, `counted_outside` the results of candidates from outside that
    would use up the budget. `withheld` are the runs that could have been ended early but run to their full end as a
    check, by candidate and attempt. For a history that begins with a digest, `summary` covers all results of the
    digest; only the newest of them are among `results`.
    """

    results: list[Result] | KeptResults = field(default_factory=list)
    session_starts_s: list[float] = field(default_factory=list)
    results_before: int = 0
    drained_for: str | None = None
    last_crash: ServiceChanged | None = None
    last_failures: list[RunFailed] = field(default_factory=list)
    steered: Steered = field(default_factory=Steered)
    passed_over: Mapping[str, str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    outcomes_before: Counter[str] = field(default_factory=Counter)
    last_failed: Result | None = None
    counted_outside: int = 0
    withheld: dict[tuple[str, int], EarlyEndWithheld] = field(default_factory=dict)
    summary: Summary | None = None
    _provenances: dict[tuple[tuple[str, str], ...], dict[str, str]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def kept(cls) -> Self:
        """An empty history that keeps its results in little memory, for as many as a session may have."""
        withheld: dict[tuple[str, int], EarlyEndWithheld] = {}
        return cls(results=KeptResults(withheld), withheld=withheld)

    @classmethod
    def of(cls, events: Iterable[Published]) -> Self:
        """The history from these events."""
        history = cls()
        for event in events:
            history.note(event)
        return history

    def unpacked(self) -> Self:
        """The same with a list of its results, for what looks at all of them again and again."""
        with many_objects():
            return replace(self, results=list(self.results))

    @property
    def resumed_at_s(self) -> list[float]:
        """When the campaign was resumed, in seconds since the epoch."""
        return self.session_starts_s[1:]

    def note(self, event: Published) -> None:
        """Take in the next event."""
        if isinstance(event, Result):
            self.results.append(event if isinstance(self.results, KeptResults) else self._with_shared_provenance(event))
            self.outcomes[event.outcome] += 1
            self.last_failed = event if event.outcome == "failed" else self.last_failed
            self.counted_outside += event.counts_for_budget and event.candidate.strategy == OUTSIDE
        elif isinstance(event, Requested):
            self.steered = self.steered.after(event.request)
        elif isinstance(event, EarlyEndWithheld):
            self.withheld[event.candidate_id, event.attempt] = event
        elif isinstance(event, RunFailed) and event.charged:
            self.last_failures = [*self.last_failures, event][-FAILURES_KEPT:]
        elif isinstance(event, ServiceChanged) and event.state == "crashed":
            self.last_crash = event
        elif isinstance(event, CampaignChanged) and event.state in ("started", "resumed"):
            self.session_starts_s.append(event.at_s)
            self.results_before, self.outcomes_before = len(self.results), self.outcomes.copy()
            self.drained_for = None
        elif isinstance(event, CampaignChanged) and event.state == "draining":
            self.drained_for = event.reason

    def _with_shared_provenance(self, result: Result) -> Result:
        """The same result; equal provenances of very many results are kept once."""
        report = result.report
        if report is None or not report.provenance:
            return result
        provenance = self._provenances.setdefault(tuple(report.provenance.items()), report.provenance)
        if provenance is not report.provenance:
            object.__setattr__(report, "provenance", provenance)  # equal, and a copy takes longer than the unpacking
        return result

    @property
    def passed_over_line(self) -> str | None:
        """A line about log entries that cannot be read, or None if there are none."""
        if not self.passed_over:
            return None
        first, reason = next(iter(self.passed_over.items()))
        return f"log entries that cannot be read and are skipped: {len(self.passed_over)}, {first}: {reason}"

    @property
    def outcomes_of_session(self) -> Counter[str]:
        """How many results of the present session ended how, by the order of the log: clocks may be set."""
        return self.outcomes - self.outcomes_before
