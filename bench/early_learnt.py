"""What ending runs early by what whole runs teach saves and costs: each run judged by what others taught.

bench/data holds whole runs of the bead model: the demo's growth and search space, shear strains from 0.06 to 0.30, a
Sobol sequence, a frame each 500 of 20000 steps, rounded as the columns say. Each file is a campaign of its own seed,
made on 2026-11-30 with early end off. Of the first one 44 runs are left out that have fewer than 36 frames, since the
analyzer was still compiling. The eight ReaxFF runs are those of docs/validation.md (examples/figure2.toml).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
import pyarrow.parquet

from bench.early_end import Compared, offline
from bench.table import Row
from moireloop_analyzer.service.learner import GROWTH
from moireloop_analyzer.settings import EarlyEndSettings, LearntPolicy, SettledPolicy
from moireloop_analyzer.settling.earlier import series_in
from moireloop_analyzer.settling.reliability import LEVELS, Reliability, reliability, wilson
from moireloop_analyzer.settling.sureness import (
    RUNS_KEPT,
    Ends,
    Sureness,
    WholeRun,
    ends_at,
    is_kept_whole,
    learn,
    whole_run,
)
from moireloop_broker.state.series import Series, SeriesPoint

DATA: Final = Path(__file__).parent / "data"

WRONG_DEG: Final = 0.1


@dataclass(frozen=True)
class Kept:
    """A file of runs that were kept: steps from frame to frame and in all, and the length of a step in ps."""

    file: str
    every_steps: int
    steps: int
    timestep_ps: float


BEADS: Final = tuple(Kept(f"bead_trajectories{seed}.parquet", 500, 20_000, 0.004) for seed in ("", "_29"))

REAXFF: Final = Kept("reaxff_trajectories.parquet", 200, 40_000, 0.001)


def series_of(kept: Kept) -> list[Series]:
    """The series of a file; their names say which file it is."""
    found: dict[int, list[SeriesPoint]] = {}
    for row in pyarrow.parquet.read_table(DATA / kept.file).to_pylist():
        found.setdefault(row["candidate"], []).append(_point(row, kept))
    name = kept.file.removesuffix(".parquet")
    return [Series(f"{name}-c{number:05d}", 1, points) for number, points in found.items()]


def bead_series() -> list[Series]:
    """All bead runs, campaign by campaign."""
    return [series for kept in BEADS for series in series_of(kept)]


def _point(row: dict[str, Any], kept: Kept) -> SeriesPoint:
    step = row["frame"] * kept.every_steps
    twist_deg = _scaled(row["twist_mdeg"], 1000)
    return SeriesPoint(
        step=step,
        time_ps=step * kept.timestep_ps,
        temperature_k=row["temperature_k"],
        twist_deg=twist_deg,
        sigma_deg=_scaled(row["sigma_mdeg"], 1000),
        order_lower=_scaled(row["order_lower_permille"], 1000),
        order_upper=_scaled(row["order_upper_permille"], 1000),
        reason="no twist" if twist_deg is None else None,
        planned_steps=kept.steps,
        final=step == kept.steps,
        confidence=_scaled(row["confidence_percent"], 100),
    )


def _scaled(value: int | None, parts: int) -> float | None:
    return None if value is None else value / parts


def whole_runs(all_series: Sequence[Series], tolerance_deg: float) -> list[WholeRun]:
    """Those that went to their full end."""
    ended = [s for s in all_series if s.points and s.points[-1].final and s.points[-1].fraction == 1.0]
    return [whole_run(s.candidate_id, s.points, s.points[-1].twist_deg, tolerance_deg) for s in ended]


def rows(runs: int | None = None, level: float = 0.98, splits: int = 3) -> list[Row]:
    """Steps saved and runs wrong by more than 0.1 degrees: held-out bead runs, a campaign, and ReaxFF runs."""
    all_series = bead_series()[:runs]
    whole = whole_runs(all_series, WRONG_DEG)
    window = offline(all_series, EarlyEndSettings(settled=SettledPolicy()), ())
    fixed = f"fixed window: {_share_saved(window):.0f} %, {100 * _wrong_share(window):.1f} % wrong"
    found = [
        (f"at level {each:g}, held-out bead runs", ends)
        for each, ends in over_splits(whole, (0.95, 0.97, level), splits)
    ]
    policy = LearntPolicy(level=level)
    found.append((f"in a campaign of {len(whole)} bead runs at level {level:g}", through_a_campaign(whole, policy)))
    found += _after_an_earlier_one(whole, level)
    return [
        row
        for what, ends in found
        for row in (
            Row(f"steps saved {what}", 100 * ends.saved, "%", 50, "at least", fixed),
            Row(f"wrong by more than {WRONG_DEG:g}° of those ended {what}", 100 * wrong_of_ended(ends), "%",
                100 * (1 - level), "at most", f"{_bounds(ends)} with 95 %"),
        )
    ] + _reaxff_rows(whole, policy)  # fmt: skip


def _after_an_earlier_one(whole: Sequence[WholeRun], level: float) -> list[tuple[str, Ends]]:
    """The last campaign of these runs, which learns from the ones before it as well."""
    last = BEADS[-1].file.removesuffix(".parquet")
    own = [run for run in whole if run.candidate_id.startswith(f"{last}-")]
    earlier = [run for run in whole if not run.candidate_id.startswith(f"{last}-")]
    return [
        (
            f"in a campaign of {len(own)} bead runs after one of {len(earlier)} at level {each:g}",
            through_a_campaign(own, LearntPolicy(level=each), earlier),
        )
        for each in ((0.95, level) if own else ())
    ]


def over_splits(
    runs: Sequence[WholeRun], levels: Sequence[float], splits: int, tolerance_deg: float = WRONG_DEG
) -> list[tuple[float, Ends]]:
    """Means over several divisions of the runs into fifths, each run judged by trees and threshold of the others."""
    tables = [
        reliability([replace(run, candidate_id=f"{number}{run.candidate_id}") for run in runs], tolerance_deg, levels)
        for number in range(splits)
    ]
    if not (known := [table.levels for table in tables if table is not None]):
        raise ValueError(f"expected enough whole runs to learn from, got {len(runs)}")
    return [(levels[place], _mean_ends([table[place][1] for table in known])) for place in range(len(levels))]


def _mean_ends(found: Sequence[Ends]) -> Ends:
    return Ends(*(fmean(getattr(ends, name) for ends in found) for name in ("ended", "wrong", "saved", "runs")))


def wrong_of_ended(ends: Ends) -> float:
    """Share of the runs that were ended which were wrong; 0 where none was ended."""
    return ends.wrong / ends.ended if ends.ended else 0.0


def _bounds(ends: Ends) -> str:
    low, high = wilson(wrong_of_ended(ends), ends.runs)
    return f"{low:.1%} to {high:.1%}"


def through_a_campaign(runs: Sequence[WholeRun], policy: LearntPolicy, earlier: Sequence[WholeRun] = ()) -> Ends:
    """What a campaign of these runs, one after the other, would have come to: it learns from its own whole runs alone.

    It has no basis at first but the whole runs of earlier campaigns. It keeps `full_share` of its sure runs to their
    end and learns again as an analyzer does.
    """
    whole, learnt_of, sureness = list(earlier), len(earlier), learn(earlier, policy)
    thresholds, scores = list[float | None](), list[np.ndarray]()
    for run in runs:
        its = _scores(run, sureness)
        is_sure = sureness is not None and bool(np.any(its >= sureness.threshold))
        is_whole = not is_sure or is_kept_whole(run.candidate_id, policy.full_share)
        scores.append(its)
        thresholds.append(None if sureness is None or is_whole else sureness.threshold)
        if is_whole:
            whole.append(replace(run, weight=1 / policy.full_share if is_sure else 1.0))
        if is_whole and len(whole) >= max(policy.least_runs, GROWTH * learnt_of):
            learnt_of, sureness = len(whole), learn(whole[-RUNS_KEPT:], policy)
    return ends_at(runs, scores, thresholds, policy.tolerance_deg)


def _scores(run: WholeRun, sureness: Sureness | None) -> np.ndarray:
    if sureness is None or not run.landmarks:
        return np.zeros(len(run.landmarks))
    return sureness.trees.probability(np.array([each.features for each in run.landmarks]))


def _reaxff_rows(beads: Sequence[WholeRun], policy: LearntPolicy) -> list[Row]:
    """The ReaxFF runs, too few to learn from, ended by what bead runs teach."""
    all_series = series_of(REAXFF)
    window = offline(all_series, EarlyEndSettings(settled=SettledPolicy()), ())
    baseline = f"fixed window: {_share_saved(window):.0f} %, {100 * _wrong_share(window):.0f} % wrong"
    if (sureness := learn(beads, policy)) is None:
        return []
    ends = ends_of(whole_runs(all_series, policy.tolerance_deg), sureness)
    what = f"of {len(all_series)} ReaxFF runs by what bead runs teach at level {policy.level:g}"
    wrong = f"wrong by more than {policy.tolerance_deg:g}° of those ended {what}"
    return [
        Row(f"steps saved {what}", 100 * ends.saved, "%", 17, "at least", baseline),
        Row(wrong, 100 * wrong_of_ended(ends), "%", 2, "at most", f"{_bounds(ends)} with 95 %"),
    ]


def ends_of(runs: Sequence[WholeRun], sureness: Sureness) -> Ends:
    """What it does to other runs to end them by what was learnt."""
    scores = [_scores(run, sureness) for run in runs]
    return ends_at(runs, scores, [sureness.threshold] * len(runs), sureness.tolerance_deg)


def _share_saved(found: Sequence[Compared]) -> float:
    return 100 * fmean(each.saved for each in found) if found else 0.0


def _ended(found: Sequence[Compared]) -> list[float]:
    return [each.difference_deg for each in found if each.difference_deg is not None]


def _wrong_share(found: Sequence[Compared]) -> float:
    ended = _ended(found)
    return sum(difference > WRONG_DEG for difference in ended) / len(ended) if ended else 0.0


def show_learnt(arguments: argparse.Namespace) -> None:
    """Print reliability and ends at several levels, of the runs in a trajectories.parquet or of those kept here."""
    chosen = dict(pair.split("=", 1) for pair in arguments.learnt)
    policy = LearntPolicy.model_validate(chosen)
    all_series = bead_series() if arguments.trajectories is None else series_in(arguments.trajectories)
    runs = whole_runs(all_series, policy.tolerance_deg)
    levels = sorted({*LEVELS, policy.level})
    found = reliability(runs, policy.tolerance_deg, levels, policy.least_runs)
    if found is None:
        print(f"{len(runs)} whole runs, at least {policy.least_runs} are needed: no run would be ended early")
        return
    for line in lines(found):
        print(line)
    if arguments.figure is not None:
        from moireloop.figures.early_end import early_end_figure

        early_end_figure(found, len(runs), policy.least_runs, policy.level).savefig(arguments.figure, dpi=150)
    window = offline(all_series, EarlyEndSettings(settled=SettledPolicy()), ())
    off = sum(difference > policy.tolerance_deg for difference in _ended(window))
    saved = sum(each.saved for each in window) / len(window)
    print(f"fixed window: ended {len(_ended(window))} of {len(window)}, wrong {off}, steps saved {saved:.1%}")


def lines(found: Reliability) -> list[str]:
    """The reliability curve and the table of levels as text."""
    curve = [
        f"score {part.predicted:.3f}: right {part.right:.3f} ({part.low:.3f} to {part.high:.3f}), {part.runs} runs"
        for part in found.curve
    ]
    table = []
    for level, ends in found.levels:
        ended = ends.ended * found.runs
        share = ends.wrong / ends.ended if ends.ended else 0.0
        low, high = wilson(share, ends.runs)
        bounds = f"{share:.1%} ({low:.1%} to {high:.1%})"
        table.append(f"level {level:g}: ended {ended:.0f}, wrong {bounds}, steps saved {ends.saved:.1%}")
    return [f"{found.runs} whole runs, wrong is more than {found.tolerance_deg:g} degrees off", *curve, *table]
