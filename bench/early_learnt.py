"""What ending runs early by what whole runs teach saves and costs: each run judged by what others taught.

`bench/data/bead_trajectories.parquet` has 356 whole runs of the bead model: the demo's growth and search space,
shear strains from 0.06 to 0.30, a Sobol sequence, a frame each 500 of 20000 steps, rounded as its columns say.
moireloop made it on 2026-11-30, with early end off; 44 runs
more have fewer than 36 frames, since the analyzer was still compiling, and are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet

from bench.early_end import Compared, offline, series_of_file
from bench.table import Row
from moireloop_analyzer.settings import EarlyEndSettings, LearntPolicy, SettledPolicy
from moireloop_analyzer.settling.reliability import LEVELS, Reliability, reliability, wilson
from moireloop_analyzer.settling.sureness import WholeRun, whole_run
from moireloop_broker.state.series import Series, SeriesPoint

BEAD_RUNS: Final = Path(__file__).parent / "data" / "bead_trajectories.parquet"

EVERY_STEPS: Final = 500

STEPS: Final = 20_000

TIMESTEP_PS: Final = 0.004

WRONG_DEG: Final = 0.1


def bead_series() -> list[Series]:
    """The series of the 356 runs."""
    found: dict[int, list[SeriesPoint]] = {}
    for row in pyarrow.parquet.read_table(BEAD_RUNS).to_pylist():
        found.setdefault(row["candidate"], []).append(_point(row))
    return [Series(f"c{number:05d}", 1, points) for number, points in found.items()]


def _point(row: dict[str, Any]) -> SeriesPoint:
    step = row["frame"] * EVERY_STEPS
    twist_deg = _scaled(row["twist_mdeg"], 1000)
    return SeriesPoint(
        step=step,
        time_ps=step * TIMESTEP_PS,
        temperature_k=row["temperature_k"],
        twist_deg=twist_deg,
        sigma_deg=_scaled(row["sigma_mdeg"], 1000),
        order_lower=_scaled(row["order_lower_permille"], 1000),
        order_upper=_scaled(row["order_upper_permille"], 1000),
        reason="no twist" if twist_deg is None else None,
        planned_steps=STEPS,
        final=step == STEPS,
        confidence=_scaled(row["confidence_percent"], 100),
    )


def _scaled(value: int | None, parts: int) -> float | None:
    return None if value is None else value / parts


def whole_runs(all_series: Sequence[Series], tolerance_deg: float) -> list[WholeRun]:
    """Those that went to their full end."""
    ended = [s for s in all_series if s.points and s.points[-1].final and s.points[-1].fraction == 1.0]
    return [whole_run(s.candidate_id, s.points, s.points[-1].twist_deg, tolerance_deg) for s in ended]


def rows(runs: int = 356, level: float = 0.98) -> list[Row]:
    """Steps saved and runs wrong by more than 0.1 degrees at a level, and by the fixed window on the same runs."""
    all_series = bead_series()[:runs]
    found = reliability(whole_runs(all_series, WRONG_DEG), WRONG_DEG, (0.95, 0.97, level))
    if found is None:
        raise ValueError(f"expected enough whole runs to learn from, got {runs}")
    window = offline(all_series, EarlyEndSettings(settled=SettledPolicy()), ())
    baseline = f"fixed window: {100 * sum(each.saved for each in window) / len(window):.0f} %"
    wrong = f"fixed window: {100 * _wrong_share(window):.1f} % of {len(_ended(window))} ended"
    return [
        row
        for each, ends in found.levels
        for row in (
            Row(f"steps saved at level {each:g}, held-out bead runs", 100 * ends.saved, "%", 50, "at least", baseline),
            Row(f"wrong by more than {WRONG_DEG:g}° of those ended at level {each:g}",
                100 * ends.wrong / ends.ended if ends.ended else 0.0, "%", 2, "at most", wrong),
        )
    ]  # fmt: skip


def _ended(found: Sequence[Compared]) -> list[float]:
    return [each.difference_deg for each in found if each.difference_deg is not None]


def _wrong_share(found: Sequence[Compared]) -> float:
    ended = _ended(found)
    return sum(difference > WRONG_DEG for difference in ended) / len(ended) if ended else 0.0


def show_learnt(arguments: argparse.Namespace) -> None:
    """Print reliability and ends at several levels, of the runs in a trajectories.parquet or of those kept here."""
    chosen = dict(pair.split("=", 1) for pair in arguments.learnt)
    policy = LearntPolicy.model_validate(chosen)
    all_series = bead_series() if arguments.trajectories is None else series_of_file(arguments.trajectories)
    runs = whole_runs(all_series, policy.tolerance_deg)
    levels = sorted({*LEVELS, policy.level})
    found = reliability(runs, policy.tolerance_deg, levels, policy.least_runs)
    if found is None:
        print(f"{len(runs)} whole runs, at least {policy.least_runs} are needed: no run would be ended early")
        return
    for line in lines(found):
        print(line)
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
