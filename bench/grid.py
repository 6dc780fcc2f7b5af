"""The exploratory grid of bead runs, made through moireloop itself, and the small table that is kept of it.

`python -m bench.grid FOLDER` makes it, or goes on with it where it was broken off; an hour on two cores.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
from rich.console import Console

from bench.campaigns import session, wait_until
from moireloop.campaign_file.load import keep_copy, read_campaign
from moireloop.results.table import results_table
from moireloop_broker.contract.events import Candidate, Result
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.work_queue.proposals import Proposer
from tests.helpers.campaign_files import BEAD, Section, small_campaign

Levels = Mapping[str, npt.NDArray[np.float64]]

LEVELS: Final[Levels] = {
    "temperature_k": np.linspace(1500.0, 4500.0, 9),
    "lattice_strain": np.linspace(0.0, 0.05, 7),
    "shear_strain": np.linspace(0.06, 0.30, 16),
}
"""Levels of each growth parameter; every combination is run. The twist is roughest along the shear."""

SEEDS: Final = 3
GRID_FILE: Final = Path(__file__).parent / "data" / "bead_grid.parquet"
COLUMNS: Final = (*LEVELS, "seed", "outcome", "twist_deg", "sigma_deg", "order_lower", "order_upper")
LATTICES: Final = ("cell_vectors_angstrom", "lower_vectors_angstrom", "upper_vectors_angstrom")
"""Further columns, of four numbers each: see Measurement."""

PATIENCE_S: Final = 6 * 3600.0


def candidates(levels: Levels = LEVELS, seeds: int = SEEDS) -> list[Candidate]:
    """Every combination of levels with every seed, in an order that is shuffled once and for all."""
    points = list(itertools.product(*levels.values()))
    made = [
        Candidate(
            candidate_id=f"g{number:04d}-{repetition}",
            parameters=dict(zip(levels, map(float, point), strict=True)),
            seed=seeds * number + repetition,
            strategy="grid",
            proposed_s=time.time(),
        )
        for number, point in enumerate(points)
        for repetition in range(seeds)
    ]
    order = np.random.default_rng(0).permutation(len(made))
    return [made[place] for place in order]


def make(
    folder: Path, workers: int, wanted: Sequence[Candidate], growth: Section = BEAD, table: Path = GRID_FILE
) -> None:
    """Run a grid of candidates in a folder, which may hold a part of it already, and write the table."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "grid.toml"
    sections = {
        "growth": growth,
        "workers": {"count": workers, "oversubscribe": True},
        "frames": {"every_steps": 10_000},
        "optimizer": {"strategy": "random"},
    }
    campaign = small_campaign("grid", sections, results=len(wanted), twist_deg=8.5, folder=folder / "grid.campaign")
    file.write_text(campaign.toml(), encoding="utf-8")
    resumed = campaign.folder.exists()
    CampaignFolder(campaign.folder).create()
    keep_copy(read_campaign(file), CampaignFolder(campaign.folder))
    with session(campaign, resumed=resumed, without=("optimizer",)) as (conductor, connection):
        client = connection.open_redis()
        proposer = Proposer(client, connection.keys)
        for candidate in wanted:
            proposer.propose(candidate)
        wait_until(
            lambda: conductor.step() is not None and len(conductor.history.results) >= len(wanted),
            f"{len(wanted)} runs",
            PATIENCE_S,
            every_s=0.5,
        )
        write(list(conductor.history.results), table)
        client.close()


def write(results: Sequence[Result], path: Path) -> None:
    """The table of the grid: a row for each run, in the order of the points and seeds."""
    table = results_table(results, (), {}).select(list(COLUMNS))
    for name in LATTICES:
        vectors = [getattr(result.measurement, name, None) for result in results]
        table = table.append_column(name, pa.array(vectors, pa.list_(pa.float32())))
    small = pa.schema([field.with_type(pa.float32()) if field.name in SMALL else field for field in table.schema])
    path.parent.mkdir(exist_ok=True)
    pyarrow.parquet.write_table(table.cast(small).sort_by("seed"), path, compression="zstd")


SMALL: Final = ("order_lower", "order_upper", "sigma_deg")
"""Columns kept in single precision."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.grid", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="workers, one core each")
    begun_s, chosen = time.perf_counter(), parser.parse_args()
    make(chosen.folder, chosen.workers, candidates())
    Console().print(f"{GRID_FILE} written after {time.perf_counter() - begun_s:.0f} s")
    sys.exit(0)
