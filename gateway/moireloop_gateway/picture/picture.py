"""The state of a campaign from its log: one for all viewers (pure)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from moireloop.results.early_ends import was_right
from moireloop_broker.contract.events import (
    BUDGET_OUTCOMES,
    CampaignChanged,
    CandidateQueued,
    EarlyEndOrdered,
    EarlyEndWithheld,
    EventOfLog,
    Observation,
    Published,
    Requested,
    Result,
    RunFailed,
    RunFinished,
    RunLeased,
    RunReport,
    ServiceChanged,
)
from moireloop_broker.contract.message import START
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import Target
from moireloop_broker.contract.steered import Steered
from moireloop_gateway.picture.columns import ResultColumns, id_order
from moireloop_gateway.picture.runs import Runs
from moireloop_gateway.picture.timeline import Timeline

FAILURES_KEPT: Final = 200

REMARKS_KEPT: Final = 500

PATTERNS_KEPT: Final = 2000

STAGES: Final = ("queue", "start", "md", "analysis")
"""What a candidate waits for: a worker, the start of its run, the end of it, its analysis."""


@dataclass
class InFlight:
    """A candidate without a result: where it stands, and since when (seconds since the epoch)."""

    candidate_id: str
    parameters: dict[str, float]
    seed: int
    strategy: str
    target_deg: float | None
    attempt: int
    state: str
    since_s: float
    worker: str | None = None
    reason: str | None = None

    def shown(self) -> dict[str, Any]:
        """As JSON."""
        return dict(vars(self))


@dataclass
class Nearest:
    """How near results came to a target."""

    hits: int = 0
    error_deg: float | None = None
    candidate_id: str | None = None

    def take(self, error_deg: float, target: Target, candidate_id: str) -> None:
        """Take in the next result's distance from the target."""
        self.hits += error_deg <= target.tolerance_deg
        if self.error_deg is None or error_deg < self.error_deg:
            self.error_deg, self.candidate_id = error_deg, candidate_id


class Picture:
    """Grows with the events of the log, each taken in once, and with what is observed in frames."""

    def __init__(self) -> None:
        self.last_id = START
        self.events = 0
        self.state: str | None = None
        self.state_reason: str | None = None
        self.session_starts_s: list[float] = []
        self.results_before_session = 0
        self.steered = Steered()
        self.results = ResultColumns()
        self.outcomes: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        self.steps_saved = 0
        self.attempts_failed = 0
        self.attempts_lost = 0
        self.steps_done = 0
        self.in_flight: dict[str, InFlight] = {}
        self.timeline = Timeline()
        self.runs = Runs()
        self.failures: deque[dict[str, Any]] = deque(maxlen=FAILURES_KEPT)
        self.services: dict[str, dict[str, Any]] = {}
        self.remarks: deque[dict[str, Any]] = deque(maxlen=REMARKS_KEPT)
        self.early_checked = 0
        self.early_wrong = 0
        self._withheld: dict[tuple[str, int], EarlyEndWithheld] = {}
        self.patterns: dict[str, dict[str, Any]] = {}
        self.patterns_seen = 0
        self.stage_s = dict.fromkeys(STAGES, 0.0)
        self.stage_count: Counter[str] = Counter()
        self._nearest: list[Nearest] = []
        self._nearest_of: tuple[Target, ...] = ()
        self._looked_at = 0
        self._spans: dict[tuple[str, int], tuple[float, float]] = {}
        self._md_s = 0.0

    def note(self, log_id: str, event: Published) -> bool:
        """Take in an event of the log, or an observation; False where it was taken in before."""
        if isinstance(event, Observation):
            self.runs.observe(event)
            return True
        if getattr(event, "tag", "").startswith("frame_analysed/"):
            return True
        if id_order(log_id) <= id_order(self.last_id):
            return False
        self.last_id = log_id
        self.events += 1
        self._take(log_id, event)  # type: ignore[arg-type]
        return True

    def _take(self, log_id: str, event: EventOfLog) -> None:
        if isinstance(event, CandidateQueued):
            self._queued(event)
        elif isinstance(event, RunLeased):
            self._leased(event)
        elif isinstance(event, RunFinished):
            self.timeline.finish(event)
            self._moved(event.candidate_id, "analysing", event.report.finished_s)
        elif isinstance(event, RunFailed):
            self._failed(log_id, event)
        elif isinstance(event, Result):
            self._settled(log_id, event)
        elif isinstance(event, ServiceChanged):
            self._service(log_id, event)
        elif isinstance(event, CampaignChanged):
            self._changed(log_id, event)
        elif isinstance(event, Requested):
            self._requested(log_id, event)
        elif isinstance(event, EarlyEndOrdered):
            self._remark(log_id, event.ordered_s, event.ending, f"{event.candidate_id}: {event.reason}")
        elif isinstance(event, EarlyEndWithheld):
            self._withheld[event.candidate_id, event.attempt] = event
            self._remark(log_id, event.withheld_s, "kept to its end", f"{event.candidate_id}: {event.reason}")
        elif isinstance(event, PatternMeasured):
            self._measured(log_id, event)
        else:
            self._other(log_id, event)

    def _queued(self, event: CandidateQueued) -> None:
        wanted = event.candidate
        self.in_flight[wanted.candidate_id] = InFlight(
            wanted.candidate_id, dict(wanted.parameters), wanted.seed, wanted.strategy, wanted.target_deg,
            event.attempt, "queued", event.queued_s, reason=event.reason,
        )  # fmt: skip

    def _leased(self, event: RunLeased) -> None:
        self.timeline.lease(event)
        if (flying := self.in_flight.get(event.candidate_id)) is not None:
            flying.attempt, flying.worker = event.attempt, event.worker
        self._moved(event.candidate_id, "running", event.leased_s)

    def _moved(self, candidate_id: str, state: str, since_s: float) -> None:
        if (flying := self.in_flight.get(candidate_id)) is not None:
            flying.state, flying.since_s = state, since_s

    def _failed(self, log_id: str, event: RunFailed) -> None:
        self.timeline.fail(event)
        self.attempts_failed += event.charged
        self.attempts_lost += not event.charged
        self.runs.forget(event.candidate_id)
        self.failures.append(
            {
                "id": log_id, "at_s": event.failed_s, "candidate_id": event.candidate_id, "attempt": event.attempt,
                "worker": event.worker, "charged": event.charged, "reason": event.reason,
            }
        )  # fmt: skip

    def _settled(self, log_id: str, result: Result) -> None:
        name = result.candidate.candidate_id
        self.in_flight.pop(name, None)
        self.runs.end(name)
        if not self.results.add(log_id, result):
            return
        self.outcomes[result.outcome] += 1
        if (report := result.report) is not None:
            self._used(report, result.times.leased_s)
            self.endings[report.ended] += 1
            self.steps_done += max(0, report.steps - report.resumed_from_step)
            if report.ended in ("settled", "hopeless"):
                self.steps_saved += max(0, report.planned_steps - report.steps)
        self._check_early_end(result)
        times = result.times
        marks = (times.queued_s, times.leased_s, times.started_s, times.finished_s, times.analysed_s)
        for stage, begin, end in zip(STAGES, marks, marks[1:], strict=False):
            if begin is not None and end is not None:
                self.stage_s[stage] += max(0.0, end - begin)
                self.stage_count[stage] += 1

    def _check_early_end(self, result: Result) -> None:
        """Whether ending a run early would have been right, where it went to its full end as a check."""
        withheld = self._withheld.pop((result.candidate.candidate_id, result.attempt), None)
        if withheld is not None and (right := was_right(withheld, result)) is not None:
            self.early_checked += 1
            self.early_wrong += not right

    def _used(self, report: RunReport, leased_s: float | None) -> None:
        """A worker's wall time, in each session from its first lease to the end of its last run."""
        begin = report.started_s if leased_s is None else leased_s
        end = max(report.finished_s, begin)
        key = report.worker, sum(begin >= start_s for start_s in self.session_starts_s)
        first, last = self._spans.get(key, (begin, end))
        self._spans[key] = min(first, begin), max(last, end)
        self._md_s += report.md_s

    def _service(self, log_id: str, event: ServiceChanged) -> None:
        self.services[event.service] = {"state": event.state, "at_s": event.at_s, "reason": event.reason}
        if event.state == "crashed":
            self._remark(log_id, event.at_s, "crashed", f"{event.service}: {event.reason or 'no reason given'}")

    def _changed(self, log_id: str, event: CampaignChanged) -> None:
        self.state, self.state_reason = event.state, event.reason
        if event.state in ("started", "resumed"):
            self.session_starts_s.append(event.at_s)
            self.results_before_session = len(self.results)
        self._remark(log_id, event.at_s, event.state, event.reason or "")

    def _requested(self, log_id: str, event: Requested) -> None:
        self.steered = self.steered.after(event.request)
        fields = event.request.model_dump(exclude={"tag", "requester"}, exclude_none=True)
        text = fields.pop("text", None)
        words = [*([] if text is None else [text]), *(f"{name} {value}" for name, value in fields.items())]
        wanted = ", ".join(words)
        kind = event.request.tag.partition("_request/")[0].replace("_", " ")
        self._remark(
            log_id, event.at_s, kind, f"{wanted} (by {event.requester})" if wanted else f"by {event.requester}"
        )

    def _measured(self, log_id: str, event: PatternMeasured) -> None:
        """The newest patterns are kept, without their peaks."""
        self.patterns_seen += 1
        fields = event.model_dump(exclude={"tag", "peaks"})
        self.patterns[event.pattern_id] = {"id": log_id, **fields, "peaks": len(event.peaks.intensity)}
        if len(self.patterns) > PATTERNS_KEPT:
            del self.patterns[next(iter(self.patterns))]
        shown = event.analysis
        twist = shown.reason if shown.twist_deg is None else f"{shown.twist_deg:.2f} ± {shown.sigma_deg or 0.0:.2f}"
        self._remark(log_id, event.at_s, "pattern", f"{event.pattern_id}: {twist} (by {event.requester})")

    def _other(self, log_id: str, event: EventOfLog) -> None:
        """Any other event: what it is called, and what it says."""
        fields = event.model_dump(exclude={"tag"}, exclude_none=True)
        at_s = next((value for name, value in fields.items() if name.endswith("_s")), id_order(log_id)[0] / 1000)
        kind = str(getattr(event, "tag", "event")).partition("/")[0]
        text = ", ".join(f"{name} {value}" for name, value in fields.items() if not name.endswith("_s"))
        self._remark(log_id, float(at_s), kind, text)

    def _remark(self, log_id: str, at_s: float, kind: str, text: str) -> None:
        self.remarks.append({"id": log_id, "at_s": at_s, "kind": kind, "text": text})

    @property
    def spent(self) -> int:
        """Results that count for the budget."""
        return sum(self.outcomes[outcome] for outcome in BUDGET_OUTCOMES)

    def counts(self) -> dict[str, int]:
        """How many candidates are in each state, and results of each outcome."""
        flying = Counter(candidate.state for candidate in self.in_flight.values())
        states = {name: flying[name] for name in ("queued", "running", "analysing")}
        return states | {name: self.outcomes[name] for name in (*BUDGET_OUTCOMES, "cancelled")}

    def nearest(self, targets: Sequence[Target]) -> list[Nearest]:
        """How near results came to each target; only results that came since the last call are looked at."""
        if self._nearest_of != tuple(targets):
            self._nearest_of, self._nearest, self._looked_at = tuple(targets), [Nearest() for _ in targets], 0
        twists = self.results.numbers("twist_deg")
        for row in range(self._looked_at, len(twists)):
            for target, best in zip(targets, self._nearest, strict=True):
                if twists[row] == twists[row]:
                    best.take(abs(twists[row] - target.twist_deg), target, self.results.candidates[row])
        self._looked_at = len(twists)
        return self._nearest

    def utilisation(self) -> float | None:
        """Time inside LAMMPS over the wall time of the workers, each from its first lease to its last end."""
        wall_s = sum(last - first for first, last in self._spans.values())
        return self._md_s / wall_s if wall_s > 0 else None
