"""`python -m bench [NAME ...]`: runs the benchmarks, all or those named, and prints one table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import (
    asynchronous,
    demo,
    early_end,
    frames,
    many_targets,
    queue,
    streaming,
    structure_speed,
    suggest_speed,
    twist_accuracy,
    twist_speed,
    waits,
)
from bench.table import Row, show

BENCHES: dict[str, Callable[[], list[Row]]] = {
    "queue": queue.rows,
    "demo": demo.rows,
    "waits": waits.rows,
    "frames": frames.rows,
    "streaming": streaming.rows,
    "early-end": early_end.rows,
    "twist": twist_speed.rows,
    "structure": structure_speed.rows,
    "suggest": suggest_speed.rows,
    "targets": many_targets.rows,
    "asynchronous": asynchronous.rows,
}
ACCURACY = "twist-accuracy"


def main() -> int:
    """Run what was asked for; 0 when every goal is reached, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names_help = f"one of {', '.join(BENCHES)}; default all of them; or {ACCURACY} alone"
    parser.add_argument("names", nargs="*", metavar="NAME", help=names_help)
    parser.add_argument(
        "--trajectories", type=Path, metavar="FILE", help="early-end: replay the settled policy on trajectories.parquet"
    )
    parser.add_argument(
        "--settled", nargs="*", default=[], metavar="KEY=VALUE", help="keys of [early_end.settled] for --trajectories"
    )
    parser.add_argument("--cases", type=int, default=2100, metavar="N", help=f"{ACCURACY}: size of the corpus")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help=f"{ACCURACY}: other cases of the same kinds")
    parser.add_argument("--case", metavar="FAMILY:NUMBER", help=f"{ACCURACY}: everything of one case")
    chosen = parser.parse_args()
    if chosen.names == [ACCURACY]:
        return twist_accuracy.report(chosen)
    if chosen.trajectories is not None:
        early_end.show_offline(chosen)
        return 0
    names = chosen.names or list(BENCHES)
    if unknown := [name for name in names if name not in BENCHES]:
        parser.error(f"expected {', '.join(BENCHES)}, got {', '.join(unknown)}")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    rows = [row for name in names for row in BENCHES[name]()]
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", highlight=False)
    show(rows, console)
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
