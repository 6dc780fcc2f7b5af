"""Utilisation of two slots by runs of about two seconds, and where all the rest of their time went."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from bench.campaigns import session, wait_until
from moireloop import Campaign
from moireloop.results.results import utilisation
from moireloop_broker.contract.events import Result
from moireloop_worker.models.settings import BeadSettings
from tests.helpers.campaign_files import Section

RUN_S: Final = 2.0

CALIBRATION_RUNS: Final = 16
"""Of two workers: the first half of each one's runs does not count. The first run makes or awaits the prepared
structure, and services that start take the cores from the next ones.
"""

HELD_UP: Final = re.compile(r"candidate finished candidate=(\S+) .*held_up_s=([0-9.]+)")

STEPS: Final = ("anneal_steps", "quench_steps")

Open = Callable[[Section], AbstractContextManager[Campaign]]
"""Opens a campaign of two workers with this growth model."""


@dataclass(frozen=True)
class Run:
    """Times of one run: begin of its lease, of the run and end, in seconds since the epoch; seconds in LAMMPS, and
    seconds for which frames and look-ups held LAMMPS up (0 where the log has none)."""

    leased_s: float
    started_s: float
    finished_s: float
    md_s: float
    held_up_s: float

    @property
    def outside_s(self) -> float:
        """Seconds of the run itself in which LAMMPS did nothing."""
        return self.finished_s - self.started_s - self.md_s


def utilisation_of_two(open_campaign: Open, growth: Section, runs: int, run_s: float | None) -> tuple[float, str]:
    """The fraction of the time of two slots that was spent inside LAMMPS, and what the rest is.

    Args:
        run_s: how long the runs are to take, here and now: the steps of `growth` are scaled by a campaign before this
            one, whose prepared structure is used again. None takes `growth` as it is.
    """
    if run_s is None:
        results, held_up_s, _ = _results(open_campaign, growth, runs, None)
        return utilisation(results).fraction or 0.0, where_the_rest_went(runs_of(results, held_up_s))
    first, held_up_s, prepared = _results(open_campaign, growth, CALIBRATION_RUNS, None)
    before = runs_of(first, held_up_s)
    typical_s = median(
        run.finished_s - run.leased_s for worker in before.values() for run in worker[len(worker) // 2 :]
    )
    results, held_up_s, _ = _results(open_campaign, _scaled(growth, run_s / typical_s), runs, prepared)
    waits_s = [worker[0].outside_s for worker in before.values()]
    note = f"a new campaign's first runs wait {max(waits_s):.2f} s for its prepared structure, once"
    return utilisation(results).fraction or 0.0, f"{where_the_rest_went(runs_of(results, held_up_s))}; {note}"


def _scaled(growth: Section, factor: float) -> Section:
    defaults = BeadSettings.model_fields
    return {**growth, **{name: round(factor * growth.get(name, defaults[name].default)) for name in STEPS}}


def _results(
    open_campaign: Open, growth: Section, runs: int, prepared: Mapping[str, bytes] | None
) -> tuple[list[Result], dict[str, float], Mapping[str, bytes]]:
    """The results of a campaign, what its workers' logs say of them, and its prepared structures."""
    with open_campaign(growth) as campaign:
        folder = Path(campaign.folder) / "prepared"
        for name, content in (prepared or {}).items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        with session(campaign) as (conductor, _):
            wait_until(lambda: conductor.step() is not None and len(conductor.history.results) >= runs, "the runs")
            results = list(conductor.history.results)
        return results, held_up_of(campaign), {path.name: path.read_bytes() for path in folder.glob("*.data")}


def held_up_of(campaign: Campaign) -> dict[str, float]:
    """Seconds for which frames and look-ups delayed each run, by candidate, from the workers' logs."""
    logs = (Path(campaign.folder) / "logs").glob("*.log")
    found = [HELD_UP.findall(path.read_text(encoding="utf-8", errors="replace")) for path in logs]
    return {candidate: float(seconds) for lines in found for candidate, seconds in lines}


def runs_of(results: Iterable[Result], held_up_s: Mapping[str, float]) -> dict[str, list[Run]]:
    """The runs of each worker, in order."""
    found: dict[str, list[Run]] = {}
    for result in results:
        if (report := result.report) is not None and (leased_s := result.times.leased_s) is not None:
            held_s = held_up_s.get(result.candidate.candidate_id, 0.0)
            run = Run(leased_s, report.started_s, report.finished_s, report.md_s, held_s)
            found.setdefault(report.worker, []).append(run)
    return {worker: sorted(runs, key=lambda run: run.leased_s) for worker, runs in found.items()}


def where_the_rest_went(workers: Mapping[str, list[Run]]) -> str:
    """All time outside LAMMPS from the first lease of each worker to the end of its last run, as parts of a sum.

    Each part is a mean of all runs, in milliseconds, so that the parts add up to what the wall time has beside LAMMPS.
    """
    each = [run for runs in workers.values() for run in runs]
    first = [runs[0].outside_s - median(run.outside_s for run in runs) for runs in workers.values()]
    gaps_s = sum(after.leased_s - run.finished_s for runs in workers.values() for run, after in pairwise(runs))
    wall_s = sum(runs[-1].finished_s - runs[0].leased_s for runs in workers.values())
    held_up_s, outside_s = sum(run.held_up_s for run in each), sum(run.outside_s for run in each)
    begin_s, first_s = sum(run.started_s - run.leased_s for run in each), max(0.0, sum(first))
    ms = 1000 / len(each)
    return (
        f"{len(each)} runs of {median(run.finished_s - run.leased_s for run in each):.2f} s; outside LAMMPS "
        f"{ms * (wall_s - sum(run.md_s for run in each)):.1f} ms a run: {ms * held_up_s:.1f} frames and look-ups, "
        f"{ms * (outside_s - held_up_s - first_s):.1f} files and last frame, {ms * first_s:.1f} more in first runs, "
        f"{ms * begin_s:.1f} to begin, {ms * gaps_s:.1f} to the next "
        f"(in a run {1000 * median(run.outside_s for run in each):.1f} by the median, "
        f"{1000 * max(run.outside_s for run in each):.1f} at most)"
    )
