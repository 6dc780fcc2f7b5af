"""`python -m bench.paper_figures`: makes the missing searches, draws the figures, tests the claims (main)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from bench.grid import GRID_FILE
from bench.landscapes import Emulator, Landscape, Plateaus, Ridges, Smooth
from bench.paper_figures import parameter_drawing, search_drawing
from bench.paper_figures.claims import Claim, Evidence, all_claims
from bench.paper_figures.measures import grid_twists_deg
from bench.paper_figures.panels import parameters
from bench.paper_figures.searches import Setup, Traces, all_searched, digest, setups
from bench.published import SETTINGS

ANALYTIC: dict[str, type[Smooth] | type[Ridges] | type[Plateaus]] = {
    "smooth": Smooth,
    "ridges": Ridges,
    "plateaus": Plateaus,
}
DOTS_PER_INCH = 130


def main() -> int:
    """Draw the figures of a landscape into a folder."""
    parser = argparse.ArgumentParser(prog="python -m bench.paper_figures", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/paper-figures"), help="where figures and samples go")
    parser.add_argument(
        "--repetitions", type=int, default=3, metavar="N", help="searches of each kind; the paper has 3"
    )
    parser.add_argument("--landscape", choices=["bead", *ANALYTIC], default="bead")
    parser.add_argument("--grid", type=Path, default=GRID_FILE, metavar="FILE", help="table of bench.grid, for bead")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="searches made at once")
    chosen = parser.parse_args()
    if min(chosen.repetitions, chosen.processes) < 1:
        parser.error(f"expected one or more, got {chosen.repetitions} repetitions in {chosen.processes} processes")
    if chosen.landscape == "bead" and not chosen.grid.exists():
        parser.error(f"expected the table of the grid at {chosen.grid}; `python -m bench.grid FOLDER` makes it")
    torch.set_num_threads(1)
    landscape, made_from = _landscape(chosen.landscape, chosen.grid)
    wanted = setups(chosen.repetitions, beside=chosen.landscape == "bead")
    console = Console(width=None if sys.stdout.isatty() else 220)
    cache = chosen.folder / f"traces-{landscape.name}.parquet"
    source = f"{made_from}; {SETTINGS}"
    evidence = _evidence(
        landscape, wanted, all_searched(landscape, wanted, cache, source, processes=chosen.processes), console
    )
    folder = chosen.folder / landscape.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures(evidence, landscape.name).items():
        figure.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH)
    claims = all_claims(evidence)
    (folder / "claims.md").write_text(markdown(claims), encoding="utf-8")
    console.print(f"figures and claims.md in {folder}")
    console.print(_table(claims, f"{landscape.name}, repetitions: {chosen.repetitions}"))
    return 0


def figures(evidence: Evidence, landscape: str) -> dict[str, Figure]:
    """Every figure, by the name of its file."""
    axes_of = parameters(landscape)
    return {
        "fig3a-regret-by-sample": search_drawing.by_size(evidence),
        "fig3b-best-by-cycle": search_drawing.best_by_cycle(evidence),
        "fig4a-thompson-qei": search_drawing.thompson_against_qei(evidence),
        "fig4b-efficiency": search_drawing.efficiencies(evidence),
        "fig5b-thompson-random": search_drawing.thompson_against_random(evidence),
        "fig6-three-targets": search_drawing.three_targets(evidence, axes_of),
        "figS1-landscape": parameter_drawing.landscape(evidence, axes_of),
        "figS2-diversity": parameter_drawing.diversity(evidence, axes_of),
        "figS3-evolution": parameter_drawing.evolution(evidence, axes_of),
        "figS4-histogram": parameter_drawing.histogram(evidence),
    }


def _landscape(name: str, grid: Path) -> tuple[Landscape, str]:
    """The landscape, and a word for what it was made from."""
    if name == "bead":
        return Emulator(grid), digest(grid)
    landscape = ANALYTIC[name]()
    return landscape, repr(landscape)


def _evidence(landscape: Landscape, wanted: Sequence[Setup], made: Iterable[Traces], console: Console) -> Evidence:
    begun_s = time.perf_counter()
    traces: Traces = {}
    for traces in made:
        done = sum(setup in traces for setup in wanted)
        console.print(f"{done} of {len(wanted)} searches, {time.perf_counter() - begun_s:.0f} s", highlight=False)
    return Evidence(traces, grid_twists_deg(landscape))


def markdown(claims: Sequence[Claim]) -> str:
    """The claims as a table for docs/paper-figures.md."""
    rows = [f"| {claim.letter} | {claim.said} | {claim.measured} | {claim.verdict} |" for claim in claims]
    return "\n".join(["| | The paper says | Measured | Verdict |", "|---|---|---|---|", *rows]) + "\n"


def _table(claims: Sequence[Claim], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("", "what the paper says", "measured", "verdict"):
        table.add_column(heading)
    colours = {"holds": "green", "does not hold": "red", "open": "yellow"}
    for claim in claims:
        table.add_row(claim.letter, claim.said, claim.measured, f"[{colours[claim.verdict]}]{claim.verdict}[/]")
    return table


if __name__ == "__main__":
    sys.exit(main())
