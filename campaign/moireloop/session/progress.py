"""What a person sees of a running campaign, as a picture for a terminal and as a line of text (pure)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from moireloop.results.best import Best
from moireloop.results.early_ends import NONE_WITHHELD, EarlyEnds, Withheld
from moireloop.results.labels import duration
from moireloop.results.summary import Summary, summary_of
from moireloop.services.start_condition import awaits_analyzer
from moireloop_broker.contract.control import (
    CONNECTIONS,
    MOST_CONNECTIONS,
    RESTARTS_PASSED_OVER,
    PoolStatus,
    Status,
    WorkerStatus,
)
from moireloop_broker.contract.events import BUDGET_OUTCOMES, OUTCOMES, OUTSIDE, Result, RunFailed, ServiceChanged
from moireloop_broker.contract.pool_names import MAIN, SERVICE_PREFIX
from moireloop_broker.contract.search import Target

SILENT_AFTER_S: Final = 10.0

RATE_WINDOW: Final = 20

NEARLY: Final = 0.8

PASSED_OVER: Final[Mapping[str, str]] = MappingProxyType(
    {
        f"{RESTARTS_PASSED_OVER}other_plan": "it belongs to another plan than the run's present one",
        f"{RESTARTS_PASSED_OVER}other_lammps": "another version of LAMMPS wrote it",
        f"{RESTARTS_PASSED_OVER}damaged": "it is damaged",
        f"{RESTARTS_PASSED_OVER}refused": "LAMMPS refused to continue from it",
    }
)
"""Counters of restart files that were passed over, and why they were."""


@dataclass(frozen=True)
class WorkerLine:
    """One worker and what it does."""

    worker: str
    doing: str
    is_busy: bool


@dataclass(frozen=True)
class Progress:
    """All that is shown of a campaign at one moment."""

    campaign: str
    state: str
    queued: int
    running: int
    analysing: int
    outcomes: Mapping[str, int]
    budget_results: int
    best: tuple[tuple[Target, Best | None], ...]
    workers: tuple[WorkerLine, ...]
    utilisation: float | None
    early: EarlyEnds | None
    elapsed_s: float
    left_s: float | None
    awaits_analyzer: bool
    faults: tuple[str, ...]
    down: tuple[str, ...]
    last_crash: ServiceChanged | None
    last_failures: tuple[RunFailed, ...]
    failed_analyses: tuple[str, ...]
    now_s: float
    restarts_passed_over: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    lacks_workers: bool = False
    uncounted: int = 0
    waits_for: tuple[str, ...] = ()
    left_at_most: bool = False
    """Whether `left_s` is the wall time of the budget, since the pace of the results is not known yet."""

    @property
    def done(self) -> int:
        """Results so far that count towards the budget: all but the cancelled and the `uncounted` ones."""
        return sum(self.outcomes.get(outcome, 0) for outcome in BUDGET_OUTCOMES) - self.uncounted


def progress_of(
    status: Status,
    results: Sequence[Result],
    targets: Sequence[Target],
    *,
    budget_results: int,
    started_s: float,
    now_s: float,
    elapsed_s: float | None = None,
    wall_time_s: float | None = None,
    resumed_at_s: Sequence[float] = (),
    last_crash: ServiceChanged | None = None,
    last_failures: Sequence[RunFailed] = (),
    counters_before: Mapping[str, int] | None = None,
    outside_counts: bool = True,
    summary: Summary | None = None,
    seen: Mapping[str, int] | None = None,
    uncounted: int | None = None,
    withheld: Withheld = NONE_WITHHELD,
) -> Progress:
    """What to show of a campaign.

    Args:
        results: all results so far, in the order of the log.
        started_s: when this session began (the start, or the last resume), seconds since the epoch.
        now_s: seconds since the epoch.
        elapsed_s: how long this session has lasted, by a clock that is not set; else taken from the two times.
        wall_time_s: the budget of wall time of this session, if there is one.
        resumed_at_s: when the campaign was resumed; pauses do not count against the utilisation.
        last_crash: the log's last service crash, if there was one.
        last_failures: the last attempts that failed, oldest first.
        counters_before: the counters when this session began; None where they are not known.
        outside_counts: whether candidates from outside use up the budget.
        summary, seen, uncounted: of the results, where they are known: what they come to, how many there are of each
            outcome, and how many of them use up nothing of the budget.
        withheld: the runs that could have been ended early, and were kept to their end as a check.
    """
    outcomes = _outcomes(status, Counter(result.outcome for result in results) if seen is None else seen)
    summary = summary_of(results, targets, resumed_at_s, withheld) if summary is None else summary
    elapsed_s = max(0.0, now_s - started_s) if elapsed_s is None else elapsed_s
    if uncounted is None:
        uncounted = sum(result.counts_for_budget for result in results if result.candidate.strategy == OUTSIDE)
    uncounted = 0 if outside_counts else uncounted
    remaining = max(0, budget_results - sum(outcomes[outcome] for outcome in BUDGET_OUTCOMES) + uncounted)
    ended_s = _session_times(results, started_s)
    return Progress(
        campaign=status.campaign,
        state=status.state,
        queued=status.counts.get("queued", 0),
        running=status.counts.get("running", 0),
        analysing=status.counts.get("analysing", 0),
        outcomes=outcomes,
        budget_results=budget_results,
        best=summary.best,
        workers=tuple(_worker_line(worker, now_s) for worker in sorted(status.workers, key=lambda w: w.worker)),
        utilisation=summary.utilisation,
        early=summary.early,
        elapsed_s=elapsed_s,
        left_s=time_left_s(ended_s, remaining, now_s, elapsed_s, wall_time_s),
        awaits_analyzer=awaits_analyzer(status.state, status.services),
        faults=(*faults_of(status.workers), *connections_fault(status.counters)),
        down=tuple(name for name, state in sorted(status.services.items()) if state == "crashed"),
        last_crash=last_crash,
        last_failures=tuple(last_failures),
        failed_analyses=summary.failed_analyses,
        now_s=now_s,
        restarts_passed_over=restarts_passed_over(status.counters, counters_before),
        pools=pool_lines(status.pools, now_s, status.services),
        lacks_workers=lacks_workers(status),
        uncounted=uncounted,
        waits_for=tuple(name for name, state in sorted(status.services.items()) if state == "waiting"),
        left_at_most=not is_pace_known(ended_s),
    )


def restarts_passed_over(now: Mapping[str, int], before: Mapping[str, int] | None) -> tuple[str, ...]:
    """A line for each reason why runs of this session did not continue from their newest restart file."""
    if before is None:
        return ()
    counted = {why: now.get(name, 0) - before.get(name, 0) for name, why in PASSED_OVER.items()}
    return tuple(
        f"{count} run{'s' if count > 1 else ''} did not continue from the newest restart file: {why}"
        for why, count in counted.items()
        if count > 0
    )


def faults_of(workers: Sequence[WorkerStatus]) -> tuple[str, ...]:
    """A line for each thing that keeps workers from taking candidates and is no candidate's fault."""
    faults = Counter(worker.fault for worker in workers if worker.fault is not None)
    return tuple(
        f"{number} worker{'s take' if number > 1 else ' takes'} no candidates: {' '.join(fault.split())}"
        for fault, number in faults.items()
    )


def connections_fault(counters: Mapping[str, int]) -> tuple[str, ...]:
    """A line where the Redis server has nearly as many connections as it takes: it refuses those after."""
    has, most = counters.get(CONNECTIONS, 0), counters.get(MOST_CONNECTIONS, 0)
    if has <= NEARLY * most or not most:
        return ()
    mend = "raise the limit of open files (`ulimit -Hn`) where the broker starts, or `maxclients` of redis.url"
    return (f"Redis has {has} of at most {most} connections, and refuses workers beyond these: {mend}",)


def pool_lines(pools: Sequence[PoolStatus], now_s: float, services: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each pool, where there are others than the session's own.

    Pools speak by the server's clock, which may differ from the viewer's: one is silent where another was heard of
    since, or where the log says that it is lost.

    Args:
        now_s: seconds since the epoch by the viewer's clock.
        services: state of each service; a pool that is lost has crashed.
    """
    if all(pool.pool == MAIN for pool in pools):
        return ()
    newest_s = max(pool.seen_s for pool in pools)
    lost = {pool.pool for pool in pools if services.get(SERVICE_PREFIX + pool.pool) == "crashed"}
    return tuple(_pool_line(pool, now_s, newest_s - pool.seen_s, pool.pool in lost) for pool in pools)


def _pool_line(pool: PoolStatus, now_s: float, silent_s: float, is_lost: bool) -> str:
    parts = [f"pool {pool.pool} on {pool.host}", f"{pool.workers} worker{'s' * (pool.workers != 1)}", pool.launcher]
    if pool.ends_s is not None:
        parts.append(f"ends in {duration(max(0.0, pool.ends_s - now_s))}")
    if silent_s > SILENT_AFTER_S:
        parts.append(f"silent for {duration(silent_s)}")
    elif is_lost:
        parts.append("silent")
    return ", ".join(filter(None, parts))


def lacks_workers(status: Status) -> bool:
    """Whether workers may begin, and no pool keeps any."""
    begun = status.state in ("started", "resumed") and status.services.get("pool") == "stopped"
    return begun and not any(pool.workers for pool in status.pools)


def is_pace_known(ended_s: Sequence[float]) -> bool:
    """Whether the last of these times, in order, are enough to expect the next results from."""
    recent = ended_s[-RATE_WINDOW:]
    return len(recent) >= 3 and recent[-1] > recent[0]


def time_left_s(
    ended_s: Sequence[float],
    remaining: int,
    now_s: float,
    elapsed_s: float = 0.0,
    wall_time_s: float | None = None,
) -> float | None:
    """Time until the budget is used up, from the pace of the last results; None while the pace is unknown.

    Args:
        ended_s: when the results of this session came, seconds since the epoch, in order.
        remaining: results still to come.
        wall_time_s: the budget of wall time, which may end the campaign first.
    """
    limit_s = math.inf if wall_time_s is None else max(0.0, wall_time_s - elapsed_s)
    pace_s = math.inf
    if remaining == 0:
        return 0.0
    recent = ended_s[-RATE_WINDOW:]
    if is_pace_known(recent):
        interval_s = (recent[-1] - recent[0]) / (len(recent) - 1)
        pace_s = max(0.0, remaining * interval_s - (now_s - recent[-1]))
    left_s = min(limit_s, pace_s)
    return left_s if math.isfinite(left_s) else None


def _outcomes(status: Status, seen: Mapping[str, int]) -> dict[str, int]:
    return {outcome: max(seen.get(outcome, 0), status.counts.get(outcome, 0)) for outcome in OUTCOMES}


def _session_times(results: Sequence[Result], started_s: float) -> list[float]:
    """When the last results of this session came, as many as the pace is taken from."""
    ended = (result.times.logged_s for result in results[-2 * RATE_WINDOW :] if result.counts_for_budget)
    return sorted(time_s for time_s in ended if time_s is not None and time_s >= started_s)


def _worker_line(worker: WorkerStatus, now_s: float) -> WorkerLine:
    silent_s = now_s - worker.seen_s
    silence = f", silent for {duration(silent_s)}" if silent_s > SILENT_AFTER_S else ""
    if worker.phase == "waiting":
        return WorkerLine(worker.worker, "waits for its place in the queue of the scheduler", False)
    if worker.phase == "starting":
        again = f" again, since it did not become ready: {worker.fault}" if worker.fault else ""
        return WorkerLine(worker.worker, f"is started{again}", False)
    if worker.phase == "held":
        return WorkerLine(worker.worker, f"takes no candidates until this is fixed: {worker.fault}{silence}", False)
    if worker.candidate_id is None:
        return WorkerLine(worker.worker, f"waits for a candidate{silence}", False)
    again = f", attempt {worker.attempt}" if (worker.attempt or 1) > 1 else ""
    return WorkerLine(worker.worker, f"{worker.candidate_id}, step {worker.step}{again}{silence}", True)
