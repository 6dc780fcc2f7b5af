"""Made-up runs of known nature: a twist that flickers while it is hot, locks at some step, and sometimes jumps late."""

from __future__ import annotations

import numpy as np

from moireloop_analyzer.settling.sureness import WholeRun, whole_run
from moireloop_broker.state.series import SeriesPoint

FRAMES = 40
EVERY = 500
TOLERANCE_DEG = 0.1
COHERENT_DEG = (0.0, 5.5, 8.2, 14.4, 21.3)


def series(seed: int, *, frames: int = FRAMES, jumps: float = 0.1) -> list[SeriesPoint]:
    """A whole run with its final frame; the order rises when the twist locks, less in a run that will jump."""
    rng = np.random.default_rng(seed)
    locks, will_jump = rng.uniform(0.1, 0.7), rng.random() < jumps
    twist_deg, other_deg = rng.choice(COHERENT_DEG, 2, replace=False)
    jump_at = rng.uniform(locks, 1.0) if will_jump else 2.0
    points = []
    for number in range(1, frames + 1):
        done = number / frames
        shown = other_deg if done > jump_at else twist_deg
        if done < locks:
            shown = rng.uniform(0, 30)
        order = (0.7 if done < locks else 0.93 - 0.08 * will_jump) + rng.normal(0, 0.02)
        points.append(
            SeriesPoint(
                step=number * EVERY, time_ps=number * 2.0, temperature_k=3000 * (1 - done), twist_deg=float(shown),
                sigma_deg=0.3, order_lower=0.95, order_upper=float(min(1.0, order)), reason=None,
                planned_steps=frames * EVERY, final=number == frames, confidence=0.9,
            )
        )  # fmt: skip
    return points


def whole_runs(count: int, *, first: int = 0, weight: float = 1.0, jumps: float = 0.1) -> list[WholeRun]:
    """So many of them, by the seeds from `first` on."""
    made = ((number, series(number, jumps=jumps)) for number in range(first, first + count))
    return [whole_run(f"c{number:05d}", its, its[-1].twist_deg, TOLERANCE_DEG, weight) for number, its in made]
