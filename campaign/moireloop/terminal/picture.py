"""Progress as a live picture and as a line (pure)."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from moireloop.results.best import Best
from moireloop.results.labels import duration
from moireloop.services.start_condition import WAITING
from moireloop.session.progress import Progress
from moireloop.terminal.failures import failure_line
from moireloop_broker.contract.search import Target

BAR_WIDTH: Final = 60

NO_WORKERS: Final = "no pool has joined: `moireloop join FILE` gives the campaign workers"


def picture(progress: Progress) -> RenderableType:
    """The live picture of a campaign for a terminal."""
    return Group(
        _headline(progress),
        _bar(progress),
        Text.assemble(_queue_text(progress), "   ", (_outcome_text(progress), "dim")),
        _best_table(progress),
        _worker_table(progress),
        *(Text(pool, style="dim") for pool in progress.pools),
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
        *(_best_text(target, best) for target, best in progress.best),
        _clock_text(progress),
        *([str(progress.early)] if progress.early else []),
        *progress.pools,
        *_trouble(progress),
        *failure_lines(progress)[-1:],
        *progress.failed_analyses,
    ]
    return "; ".join(parts)


def failure_lines(progress: Progress) -> list[str]:
    """A line for each of the last failures, oldest first."""
    return [failure_line(failed, progress.now_s) for failed in progress.last_failures]


def is_line_due(progress: Progress, shown: Progress | None, since_s: float, every_s: float) -> bool:
    """Whether a new line is worth printing: the first, a change of state or trouble, else after a while."""
    if shown is None:
        return True
    before, now = (
        (
            *(view.state, view.awaits_analyzer, view.faults, view.down, view.last_crash, view.restarts_passed_over),
            *(view.lacks_workers, view.waits_for),
        )
        for view in (shown, progress)
    )
    return before != now or since_s >= every_s


def _trouble(progress: Progress) -> list[str]:
    lines = [NO_WORKERS] if progress.lacks_workers else []
    if progress.waits_for:
        lines.append(f"waiting for: {', '.join(progress.waits_for)}")
    lines += progress.faults
    if progress.down:
        lines.append(f"down: {', '.join(progress.down)}")
    crash = progress.last_crash
    if crash is not None:
        why = f": {crash.reason.splitlines()[0]}" if crash.reason else ""
        lines.append(f"{crash.service} crashed {duration(progress.now_s - crash.at_s)} ago{why}")
    return [*lines, *progress.restarts_passed_over]


def _bar(progress: Progress) -> Table:
    """The bar in a separate table: by itself it would not end its line."""
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


def _best_text(target: Target, best: Best | None) -> str:
    if best is None:
        return f"target {target.twist_deg:g}°: no twist yet"
    again = f", again {best.hits_again}/{best.repeats}" if best.repeats else ""
    off = f"{best.regret_deg:.2f}° off, {best.candidate_id}{again}"
    return f"target {target.twist_deg:g}°: best {best.twist_deg:.2f}° ({off})"


def _clock_text(progress: Progress) -> str:
    parts = [f"elapsed {duration(progress.elapsed_s)}"]
    if progress.left_s is not None:
        parts.append(f"{'at most' if progress.left_at_most else 'about'} {duration(progress.left_s)} left")
    if progress.utilisation is not None:
        parts.append(f"workers {100 * progress.utilisation:.1f} % in LAMMPS")
    return ", ".join(parts)


def _best_table(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for target, best in progress.best:
        style = "green" if best is not None and best.within_tolerance else ""
        table.add_row(Text(_best_text(target, best), style=style))
    return table


def _worker_table(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for worker in progress.workers:
        table.add_row(Text(worker.worker), Text(worker.doing, style="" if worker.is_busy else "dim"))
    return table
