"""How many samples each strategy needs up to the first hit of a target: ours, the paper's, Optuna's and Ax's (main).

`python -m bench.strategies` makes the searches that its file does not have yet, two at a time, and prints the table;
`--show` prints it alone. Searches of one repetition share the random numbers of their runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.foreign import ax_samples, regret_on, tpe_samples
from bench.landscapes import landscapes
from bench.paired import BUDGET, Search, paired_table
from bench.published import Published
from bench.scattered import SCATTERED
from bench.search import search
from bench.search_pool import search_pool
from moireloop_broker.contract.search import Target
from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.regret.per_target import PerTarget
from moireloop_optimizer.regret.strategies import paper_strategy
from moireloop_optimizer.strategy import Strategy

TOLERANCE_DEG: Final = 0.1
REPETITIONS: Final = 30
INITIAL: Final = 6
SEED_INITIAL: Final = 13
SEED_BATCH: Final = 15
RESAMPLES: Final = 2000

TARGETS_DEG: Final[dict[str, tuple[float, ...]]] = {
    "smooth": (8.5,),
    "ridges": (8.5,),
    "plateaus": (8.2, 2.8),
    "bead": (8.5, 9.97, 13.61, 15.42, 19.71, 24.46, 26.41),
    **{landscape.name: (landscape.target_deg,) for landscape in SCATTERED},
}
"""The paper's 8.5, or the coherent twist nearest to it; the rarest plateau; and all coherent twists that 1 to 5 % of
the bead model's runs have, to which 15.42 and 24.46 belong, those nearest to the paper's 15 and 25.
"""

REFERENCE: Final = "thompson"
WHO: Final = ("auto", "auto 15", REFERENCE, "thompson draws", "random", "tpe", "ax")
"""auto, one sample at a time and 15; the paper's Thompson sampling in batches of 15, and the other reading of it."""


@dataclass(frozen=True)
class Median:
    """Samples to the first hit over repetitions: median, 95 % bootstrap interval, and the share that got there.

    A search that never hit counts as one sample more than the budget, so that a median above it is infinite.
    """

    samples: float
    low: float
    high: float
    reached: float


def samples_to_hit(wanted: Search, budget: int = BUDGET) -> int | None:
    """Carry out one search; its samples up to the first hit, the initial ones included; None without one."""
    landscape, seed = landscapes()[wanted.landscape], wanted.repetition
    target = Target(twist_deg=wanted.target_deg, tolerance_deg=TOLERANCE_DEG)
    match wanted.who:
        case "tpe" | "ax":
            samples = tpe_samples if wanted.who == "tpe" else ax_samples
            is_hit = lambda regret: regret <= TOLERANCE_DEG  # noqa: E731
            return samples(regret_on(landscape, target, seed), budget, seed, is_hit, landscape.dimension)
        case "auto":
            strategy, initial, n_batch = _strategy(wanted), INITIAL, 1
        case "auto 15":
            strategy, initial, n_batch = _strategy(wanted), INITIAL, SEED_BATCH
        case _:
            strategy, initial, n_batch = _strategy(wanted), SEED_INITIAL, SEED_BATCH
    made = search(
        landscape, strategy, [target], initial=initial, n_batch=n_batch, budget=budget, seed=seed, until_reached=True
    )
    return made.samples_to(target)


def _strategy(wanted: Search) -> Strategy | None:
    match wanted.who:
        case "auto" | "auto 15":
            return AutoStrategy(wanted.repetition)
        case "thompson":
            return PerTarget(Published("thompson", wanted.repetition))
        case "thompson draws":
            return PerTarget(Published("thompson-draws", wanted.repetition))
        case "moireloop thompson":
            return PerTarget(paper_strategy("thompson", wanted.repetition))
        case "random":
            return None
    raise ValueError(f"expected one of {', '.join(WHO)}, got {wanted.who!r}")


def median_of(samples: Sequence[int | None], budget: int = BUDGET) -> Median:
    """Median over searches with its bootstrap interval (Efron and Tibshirani, 1993)."""
    values = _counted(samples, budget)
    low, high = np.quantile(_medians(values), [0.025, 0.975])
    return Median(float(np.median(values)), float(low), float(high), float(np.mean(values <= budget)))


def ratio_of(samples: Sequence[int | None], others: Sequence[int | None], budget: int = BUDGET) -> Median:
    """Ratio of two sets' medians with its bootstrap interval; an upper bound where the second set is cut off."""
    ours, theirs = _counted(samples, budget), _counted(others, budget)
    low, high = np.quantile(_medians(ours) / _medians(theirs, seed=1), [0.025, 0.975])
    ratio = float(np.median(ours) / np.median(theirs))
    return Median(ratio, float(low), float(high), float(np.mean(ours <= budget)))


def _counted(samples: Sequence[int | None], budget: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([budget + 1 if one is None else one for one in samples], dtype=np.float64)


def _medians(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int = 0
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    drawn = np.random.default_rng(seed).choice(values, size=(RESAMPLES, len(values)))
    medians: np.ndarray[tuple[int], np.dtype[np.float64]] = np.median(drawn, axis=1)
    return medians


def searches(repetitions: int, who: Sequence[str], names: Sequence[str]) -> Iterator[Search]:
    """All searches, repetition by repetition."""
    for repetition in range(repetitions):
        for name in names:
            for target_deg in TARGETS_DEG[name]:
                yield from (Search(one, name, target_deg, repetition) for one in who)


def read(path: Path) -> dict[Search, int | None]:
    """The searches that a file of JSON lines has."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {Search(row["who"], row["landscape"], row["target_deg"], row["repetition"]): row["samples"] for row in rows}


def make(wanted: Sequence[Search], path: Path, processes: int) -> None:
    """Make searches and append each to the file when it is done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        search_pool(processes) as pool,
        path.open("a", encoding="utf-8") as file,
    ):
        running = {pool.submit(samples_to_hit, one): one for one in wanted}
        for done in as_completed(running):
            file.write(json.dumps({**asdict(running[done]), "samples": done.result()}) + "\n")
            file.flush()


def table(found: dict[Search, int | None]) -> Table:
    """Median samples with intervals, and their ratio to the reference."""
    shown = Table(title=f"samples to the first hit within {TOLERANCE_DEG} degrees", title_justify="left")
    for heading in ("landscape", "target", "strategy", "searches", "reached", "median", "95 %", f"over {REFERENCE}"):
        shown.add_column(heading)
    places = dict.fromkeys((one.landscape, one.target_deg) for one in found)
    for name, target_deg in sorted(places):
        groups = {who: _of(found, who, name, target_deg) for who in dict.fromkeys(one.who for one in found)}
        for who, samples in groups.items():
            if samples:
                shown.add_row(name, f"{target_deg:g}", who, *_cells(samples, groups.get(REFERENCE, [])))
    return shown


def _of(found: dict[Search, int | None], who: str, name: str, target_deg: float) -> list[int | None]:
    mine = [one for one in found if (one.who, one.landscape, one.target_deg) == (who, name, target_deg)]
    return [found[one] for one in sorted(mine, key=lambda one: one.repetition)]


def _cells(samples: Sequence[int | None], reference: Sequence[int | None]) -> list[str]:
    median = median_of(samples)
    cells = [str(len(samples)), f"{median.reached:.0%}", _shown(median.samples)]
    cells.append(f"{_shown(median.low)} to {_shown(median.high)}")
    if not reference:
        return [*cells, ""]
    ratio = ratio_of(samples, reference)
    return [*cells, f"{ratio.samples:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"]


def _shown(samples: float) -> str:
    return f"> {BUDGET}" if samples > BUDGET else f"{samples:g}"


def main() -> int:
    """Make what is missing, print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.strategies", description=__doc__)
    parser.add_argument("--file", type=Path, default=Path("build/strategies.jsonl"))
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--who", nargs="*", default=list(WHO))
    parser.add_argument("--landscape", nargs="*", default=list(TARGETS_DEG))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="print the table of what there is")
    parser.add_argument("--paired", metavar="WHO", help="print the first of --who less this one, search by search")
    chosen = parser.parse_args()
    if not chosen.show:
        known = read(chosen.file)
        wanted = searches(chosen.repetitions, chosen.who, chosen.landscape)
        make([one for one in wanted if one not in known], chosen.file, chosen.processes)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(read(chosen.file)))
    if chosen.paired:
        groups = {name: [name] for name in chosen.landscape} | {"all": chosen.landscape}
        console.print(paired_table(read(chosen.file), chosen.who[0], chosen.paired, groups))
    return 0


if __name__ == "__main__":
    sys.exit(main())
