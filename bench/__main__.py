"""`python -m bench [NAME ...]`: runs the benchmarks, all or those named, and prints one table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.table import Row, show

BEAD = {"model": "bead", "cells": [8, 8], "melt_steps": 200, "anneal_steps": 1000, "quench_steps": 2000}
EASILY_SETTLED = {"frames": 2, "within_deg": 30.0, "sigma_deg": 30.0, "order_within": 1.0, "min_order": 0.0}


@dataclass(frozen=True)
class Bench:
    """One benchmark: the module whose `rows` measures, and the arguments with which it is over in a few seconds."""

    module: str
    tiny: Mapping[str, Any]

    def rows(self, *, tiny: bool = False, **more: Any) -> list[Row]:
        """Measure; the numbers of a tiny run say nothing but that it runs."""
        measure: Callable[..., list[Row]] = import_module(f"bench.{self.module}").rows
        return measure(**{**(self.tiny if tiny else {}), **more})


BENCHES: Final = {
    "startup": Bench("startup", {"rounds": 1}),
    "queue": Bench("queue", {"candidates": 10, "slices": 2, "single": 2}),
    "demo": Bench(
        "demo",
        {
            "results": 2, "initial": 2, "anneal_steps": 1000, "quench_steps": 2000, "strategy": "random",
            "figures": False,
        },
    ),
    "launch": Bench(
        "launch",
        {"rounds": 1, "runs": 2, "noops": 5, "deaths": 1, "only": "local", "growth": BEAD, "strategy": "random",
         "run_s": None},
    ),
    "waits": Bench("waits", {"earlier": 4, "more": 3, "growth": BEAD}),
    "frames": Bench("frames", {"sizes": [(10_000, 5)], "rounds": 1}),
    "streaming": Bench("streaming", {"models": ["bead"], "steps": 200, "pairs": 2}),
    "early-end": Bench(
        "early_end",
        {"runs": 2, "slow_runs": 0, "growth": BEAD, "settled": EASILY_SETTLED},
    ),
    "early-learnt": Bench("early_learnt", {"runs": 60, "level": 0.9, "splits": 1}),
    "continuations": Bench("continuations", {"runs": 1, "growth": BEAD}),
    "twist": Bench("twist_speed", {"sizes": [864], "seconds": 0.0, "cold": False}),
    "structure": Bench("structure_speed", {"sizes": [864], "repeats": 1}),
    "suggest": Bench("suggest_speed", {"names": ["ridges"], "sizes": [25], "large": [40], "number": 20}),
    "gateway": Bench("gateway", {"results": 60, "events": 20, "delays": 2, "listeners": (1, 2)}),
    "replays": Bench("replays", {"results": 60, "clients": 2, "asked": 3}),
    "long": Bench("long_campaign", {"results": 12, "short": 2, "commands": []}),
    "scale": Bench(
        "scale", {"workers": [20], "run_s": 1.0, "warm_s": 1.0, "seconds": 2.0, "frame_every_s": 0.5, "proposed": 500},
    ),
    "frames-scale": Bench(
        "frames_at_scale",
        {"workers": 10, "analyzers": 2, "every_s": 0.2, "warm_s": 1.0, "seconds": 2.0, "killed": [True]},
    ),
    "peers": Bench("peers", {"tasks": 10, "rounds": 1, "names": ["executorlib"], "make": False}),
    "targets": Bench("many_targets", {"names": ["smooth"], "repetitions": 1}),
    "asynchronous": Bench("asynchronous", {"places": [("smooth", 8.5)], "campaigns": 1}),
}  # fmt: skip
OPTIONAL: Final = frozenset({"peers"})
"""Run by name alone: it installs the programs that it compares with."""

ACCURACY = "twist-accuracy"


def main() -> int:
    """Run what was asked for; 0 when every goal is reached, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names_help = f"one of {', '.join(BENCHES)}; default all of them but {', '.join(OPTIONAL)}; or {ACCURACY} alone"
    parser.add_argument("names", nargs="*", metavar="NAME", help=names_help)
    parser.add_argument(
        "--trajectories", type=Path, metavar="FILE", help="early-end: replay the settled policy on trajectories.parquet"
    )
    parser.add_argument(
        "--settled", nargs="*", default=[], metavar="KEY=VALUE", help="keys of [early_end.settled] for --trajectories"
    )
    parser.add_argument(
        "--learnt", nargs="*", metavar="KEY=VALUE",
        help="early-learnt: the curve and all levels, with these keys of [early_end.learnt], also for --trajectories",
    )  # fmt: skip
    parser.add_argument("--figure", type=Path, metavar="PNG", help="early-learnt with --learnt: also draw both there")
    parser.add_argument("--cases", type=int, default=2100, metavar="N", help=f"{ACCURACY}: size of the corpus")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help=f"{ACCURACY}: other cases of the same kinds")
    parser.add_argument("--case", metavar="FAMILY:NUMBER", help=f"{ACCURACY}: everything of one case")
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        metavar="N",
        help="scale: simulated workers, by default 100 1000 10000",
    )
    parser.add_argument("--tiny", action="store_true", help="so small that it only shows whether all of it runs")
    chosen = parser.parse_args()
    if chosen.names == [ACCURACY]:
        from bench.twist_accuracy import report

        return report(chosen)
    if chosen.learnt is not None:
        from bench.early_learnt import show_learnt

        show_learnt(chosen)
        return 0
    if chosen.trajectories is not None:
        from bench.early_end import show_offline

        show_offline(chosen)
        return 0
    names = chosen.names or [name for name in BENCHES if name not in OPTIONAL]
    if unknown := [name for name in names if name not in BENCHES]:
        parser.error(f"expected {', '.join(BENCHES)}, got {', '.join(unknown)}")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    more = {"scale": {"workers": chosen.workers}} if chosen.workers else {}
    rows = [row for name in names for row in BENCHES[name].rows(tiny=chosen.tiny, **more.get(name, {}))]
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", highlight=False)
    show(rows, console)
    return 0 if chosen.tiny or all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
