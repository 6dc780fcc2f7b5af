"""What a person sees of a running campaign, as a picture for a terminal and as a line of text (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from moireloop.analyses import failed_analyses
from moireloop.labels import duration
from moireloop.recipes import Recipe, recipe_runs, recipes_of
from moireloop.results import EarlyEnds, early_ends, utilisation
from moireloop.start_condition import WAITING, awaits_analyzer
from moireloop_broker.messages import Result, RunFailed, ServiceChanged, Status, WorkerStatus
from moireloop_optimizer.objective import Target

COUNTED: Final = ("measured", "refused", "failed")
OUTCOMES: Final = (*COUNTED, "cancelled")
SILENT_AFTER_S: Final = 10.0
RATE_WINDOW: Final = 20
BAR_WIDTH: Final = 60


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
    best: tuple[tuple[Target, Recipe | None], ...]
    workers: tuple[WorkerLine, ...]
    utilisation: float | None
    early: EarlyEnds | None
    elapsed_s: float
    left_s: float | None
    awaits_analyzer: bool
    down: tuple[str, ...]
    last_crash: ServiceChanged | None
    last_failures: tuple[RunFailed, ...]
    failed_analyses: tuple[str, ...]
    now_s: float

    @property
    def done(self) -> int:
        """Results so far that count towards the budget: all but the cancelled ones."""
        return sum(self.outcomes.get(outcome, 0) for outcome in COUNTED)


def progress_of(
    status: Status,
    results: Sequence[Result],
    targets: Sequence[Target],
    *,
    budget_results: int,
    started_s: float,
    now_s: float,
    wall_time_s: float | None = None,
    resumed_at_s: Sequence[float] = (),
    last_crash: ServiceChanged | None = None,
    last_failures: Sequence[RunFailed] = (),
) -> Progress:
    """What to show of a campaign.

    Args:
        results: all results so far, in the order of the log.
        started_s: when this session began (the start, or the last resume), seconds since the epoch.
        now_s: seconds since the epoch.
        wall_time_s: the budget of wall time of this session, if there is one.
        resumed_at_s: when the campaign was resumed; pauses do not count against the utilisation.
        last_crash: the log's last service crash, if there was one.
        last_failures: the last attempts that failed, oldest first.
    """
    outcomes, ran = _outcomes(status, results), recipe_runs(results)
    elapsed_s = max(0.0, now_s - started_s)
    remaining = max(0, budget_results - sum(outcomes[outcome] for outcome in COUNTED))
    return Progress(
        campaign=status.campaign,
        state=status.state,
        queued=status.counts.get("queued", 0),
        running=status.counts.get("running", 0),
        analysing=status.counts.get("analysing", 0),
        outcomes=outcomes,
        budget_results=budget_results,
        best=tuple((target, next(iter(recipes_of(ran, target, n=1)), None)) for target in targets),
        workers=tuple(_worker_line(worker, now_s) for worker in sorted(status.workers, key=lambda w: w.worker)),
        utilisation=utilisation(results, resumed_at_s).fraction,
        early=early_ends(results),
        elapsed_s=elapsed_s,
        left_s=time_left_s(_session_times(results, started_s), remaining, now_s, elapsed_s, wall_time_s),
        awaits_analyzer=awaits_analyzer(status.state, status.services),
        down=tuple(name for name, state in sorted(status.services.items()) if state == "crashed"),
        last_crash=last_crash,
        last_failures=tuple(last_failures),
        failed_analyses=failed_analyses(results),
        now_s=now_s,
    )


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
    if len(recent) >= 3 and recent[-1] > recent[0]:
        interval_s = (recent[-1] - recent[0]) / (len(recent) - 1)
        pace_s = max(0.0, remaining * interval_s - (now_s - recent[-1]))
    left_s = min(limit_s, pace_s)
    return left_s if math.isfinite(left_s) else None


def picture(progress: Progress) -> RenderableType:
    """The live picture of a campaign for a terminal."""
    return Group(
        _headline(progress),
        _bar(progress),
        Text.assemble(_queue_text(progress), "   ", (_outcome_text(progress), "dim")),
        _best_table(progress),
        _worker_table(progress),
        *([Text(WAITING)] if progress.awaits_analyzer else []),
        Text(_clock_text(progress)),
        *([Text(str(progress.early))] if progress.early else []),
        *(
            Text(f"! {line}", style="yellow")
            for line in (*_trouble(progress), *failure_lines(progress), *progress.failed_analyses)
        ),
    )


def line(progress: Progress) -> str:
    """The same in one line of plain text, for a log or a pipe."""
    parts = [
        f"{progress.campaign} {progress.state}: {progress.done}/{progress.budget_results} done",
        _queue_text(progress),
        *([WAITING] if progress.awaits_analyzer else []),
        *(_best_text(target, recipe) for target, recipe in progress.best),
        _clock_text(progress),
        *([str(progress.early)] if progress.early else []),
        *_trouble(progress),
        *failure_lines(progress)[-1:],
        *progress.failed_analyses,
    ]
    return "; ".join(parts)


def failure_lines(progress: Progress) -> list[str]:
    """A line for each of the last failures, oldest first."""
    return [failure_line(failed, progress.now_s) for failed in progress.last_failures]


def failure_line(failed: RunFailed, now_s: float) -> str:
    """Which attempt of which candidate failed, when, and why."""
    ago = duration(max(0.0, now_s - failed.failed_s))
    return f"{failed.candidate_id} attempt {failed.attempt} failed {ago} ago: {' '.join(failed.reason.split())}"


def is_line_due(progress: Progress, shown: Progress | None, since_s: float, every_s: float) -> bool:
    """Whether a new line is worth printing: the first, a change of state or trouble, else after a while."""
    if shown is None:
        return True
    before, now = ((view.state, view.awaits_analyzer, view.down, view.last_crash) for view in (shown, progress))
    return before != now or since_s >= every_s


def _outcomes(status: Status, results: Sequence[Result]) -> dict[str, int]:
    seen = {outcome: sum(result.outcome == outcome for result in results) for outcome in OUTCOMES}
    return {outcome: max(seen[outcome], status.counts.get(outcome, 0)) for outcome in OUTCOMES}


def _session_times(results: Sequence[Result], started_s: float) -> list[float]:
    ended = (result.times.logged_s for result in results if result.outcome in COUNTED)
    return sorted(time_s for time_s in ended if time_s is not None and time_s >= started_s)


def _worker_line(worker: WorkerStatus, now_s: float) -> WorkerLine:
    silent_s = now_s - worker.seen_s
    silence = f", silent for {duration(silent_s)}" if silent_s > SILENT_AFTER_S else ""
    if worker.candidate_id is None:
        return WorkerLine(worker.worker, f"waits for a candidate{silence}", False)
    again = f", attempt {worker.attempt}" if (worker.attempt or 1) > 1 else ""
    return WorkerLine(worker.worker, f"{worker.candidate_id}, step {worker.step}{again}{silence}", True)


def _name(worker: WorkerStatus) -> str:
    return worker.worker


def _trouble(progress: Progress) -> list[str]:
    lines = [f"down: {', '.join(progress.down)}"] if progress.down else []
    crash = progress.last_crash
    if crash is not None:
        why = f": {crash.reason.splitlines()[0]}" if crash.reason else ""
        lines.append(f"{crash.service} crashed {duration(progress.now_s - crash.at_s)} ago{why}")
    return lines


def _bar(progress: Progress) -> Table:
    """The bar in a table of its own: alone it would not end its line."""
    table = Table.grid()
    table.add_row(ProgressBar(total=max(1, progress.budget_results), completed=progress.done, width=BAR_WIDTH))
    return table


def _headline(progress: Progress) -> Text:
    return Text.assemble(
        (progress.campaign, "bold"),
        f"  {progress.state}  ",
        f"{progress.done} of {progress.budget_results} results",
    )


def _queue_text(progress: Progress) -> str:
    return f"{progress.queued} queued, {progress.running} running, {progress.analysing} analysing"


def _outcome_text(progress: Progress) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in progress.outcomes.items() if count)


def _best_text(target: Target, recipe: Recipe | None) -> str:
    if recipe is None:
        return f"target {target.twist_deg:g}°: no twist yet"
    again = f", again {recipe.again.hits}/{recipe.again.trials}" if recipe.again.trials else ""
    off = f"{recipe.regret_deg:.2f}° off, {recipe.recipe_id}{again}"
    return f"target {target.twist_deg:g}°: best {recipe.twist_deg:.2f}° ({off})"


def _clock_text(progress: Progress) -> str:
    parts = [f"elapsed {duration(progress.elapsed_s)}"]
    parts += [f"about {duration(progress.left_s)} left"] if progress.left_s is not None else []
    if progress.utilisation is not None:
        parts.append(f"workers {100 * progress.utilisation:.1f} % in LAMMPS")
    return ", ".join(parts)


def _best_table(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for target, recipe in progress.best:
        style = "green" if recipe is not None and recipe.within_tolerance else ""
        table.add_row(Text(_best_text(target, recipe), style=style))
    return table


def _worker_table(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for worker in progress.workers:
        table.add_row(worker.worker, Text(worker.doing, style="" if worker.is_busy else "dim"))
    return table
