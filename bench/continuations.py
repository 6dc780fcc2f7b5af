"""How far chance decides what a run comes to: continuations of the same instant with other random forces.

bench/data/bead_continuations.parquet holds runs of the bead model (the demo's growth, shear strains from 0.06 to 0.30,
a Sobol sequence). At each of some instants four more runs continue from the run's restart file, with other seeds of
the thermostat. A policy that ends runs early can know the instant at best, so where continuations part it must err.
`python -m bench.continuations FILE --runs N` makes such a file, and adds to one that is there.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, log2
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow
import pyarrow.parquet

from bench.table import Row
from moireloop_analyzer.settling.landmarks import densest
from moireloop_analyzer.settling.reliability import wilson
from moireloop_analyzer.settling.sureness import FINAL_FRAMES, Ends

if TYPE_CHECKING:
    from moireloop_worker.lammps.engine import Engine
    from moireloop_worker.models.growth_model import Configuration, Plan
    from moireloop_worker.models.settings import BeadSettings

FILE: Final = Path(__file__).parent / "data" / "bead_continuations.parquet"

GROWTH: Final = {"cells": (12, 12), "anneal_steps": 5000, "quench_steps": 15_000}

LOOKS: Final = (0.35, 0.45, 0.55, 0.65, 0.75)
"""Shares of the plan at which a run is continued."""

CLONES: Final = 4

EVERY_STEPS: Final = 500

WRONG_DEG: Final = 0.1

SPACE: Final = {"temperature_k": (1500.0, 4500.0), "lattice_strain": (0.0, 0.05), "shear_strain": (0.06, 0.30)}

Twists = tuple[float | None, ...]
"""What a run and its continuations from one instant come to, in degrees; None where there is no twist."""


@dataclass(frozen=True)
class Continued:
    """A run: at which shares of its plan it was continued, and what came of it each time, its own twist first."""

    looks: tuple[float, ...]
    twists: tuple[Twists, ...]


def rows(runs: int | None = None, growth: Mapping[str, Any] = GROWTH) -> list[Row]:
    """What chance decides in the runs that are kept here, or in so many new ones."""
    found = kept(FILE) if runs is None else list(branched(runs, growth))
    shares = parted(found)
    apart = [f"{share:.0%} from {look:g}" for look, share in shares.items()]
    last_look, last_share = list(shares.items())[-1]
    return [
        Row(
            f"continuations of one instant that end over {WRONG_DEG:g}° apart, from {last_look:g} of the plan",
            100 * last_share, "%", 2, "at most", f"{len(found)} runs; {', '.join(apart)}",
        ),
        _row(found, 1, "four continuations agree"),
        _row(found, 2, "all of two instants agree"),
    ]  # fmt: skip


def _row(runs: Sequence[Continued], looks: int, what: str) -> Row:
    ends = known(runs, looks)
    wrong = ends.wrong / ends.ended if ends.ended else 0.0
    low, high = wilson(wrong, ends.ended * ends.runs)
    baseline = f"{ends.ended:.0%} ended, {wrong:.1%} of them wrong ({low:.1%} to {high:.1%} with 95 %)"
    return Row(f"steps saved where a run ends once {what}", 100 * ends.saved, "%", 50, "at least", baseline)


def parted(runs: Sequence[Continued]) -> dict[float, float]:
    """For each look the share of pairs from one instant that end over WRONG_DEG apart, or only one with a twist."""
    pairs: dict[float, list[bool]] = {}
    for run in runs:
        for look, twists in zip(run.looks, run.twists, strict=True):
            pairs.setdefault(look, []).extend(not _is_same(*pair) for pair in combinations(twists, 2))
    return {look: float(np.mean(differ)) for look, differ in sorted(pairs.items())}


def known(runs: Sequence[Continued], looks: int) -> Ends:
    """What ends a run that is judged by how the others ended which continue from the same instants.

    Each of the runs from an instant is judged in turn by the others of it. It ends at the first instant at which all
    of them agree, and, with two `looks`, all runs from the instant before it as well. Wrong is more than WRONG_DEG
    off what they agree on. `runs` of the result counts a run once, however many continuations it has.
    """
    found = [_end(run, looks, number) for run in runs for number in range(len(run.twists[0]))]
    ended = [end for end in found if end is not None]
    total = max(1, len(found))
    wrong, saved = sum(is_wrong for _, is_wrong in ended), sum(1 - look for look, _ in ended)
    return Ends(len(ended) / total, wrong / total, saved / total, len(runs))


def _end(run: Continued, looks: int, number: int) -> tuple[float, bool] | None:
    """The look at which one of the runs ends, and whether that is wrong; None where it ends at none."""
    for place in range(looks - 1, len(run.looks)):
        own, others = run.twists[place][number], _others(run.twists[place], number)
        seen = [*others, *(twist for before in run.twists[place - looks + 1 : place] for twist in before)]
        if None not in seen and all(_is_same(*pair) for pair in combinations(seen, 2)):
            agreed_deg = densest(np.array(others), WRONG_DEG)
            return run.looks[place], not _is_same(own, agreed_deg)
    return None


def _others(twists: Twists, number: int) -> Twists:
    return twists[:number] + twists[number + 1 :]


def _is_same(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) <= WRONG_DEG)


def kept(file: Path) -> list[Continued]:
    """The runs of a file that `keep` has written."""
    found: dict[int, dict[float, list[float | None]]] = {}
    for row in pyarrow.parquet.read_table(file).to_pylist():
        twist_deg = None if row["twist_mdeg"] is None else row["twist_mdeg"] / 1000
        found.setdefault(row["run"], {}).setdefault(row["look_percent"] / 100, []).append(twist_deg)
    return [Continued(tuple(looks), tuple(map(tuple, looks.values()))) for looks in found.values()]


def keep(runs: Mapping[int, Continued], file: Path) -> None:
    """Write runs by their numbers."""
    columns = [
        (number, round(100 * look), None if twist is None else round(1000 * twist))
        for number, run in runs.items()
        for look, twists in zip(run.looks, run.twists, strict=True)
        for twist in twists
    ]
    names = {"run": pyarrow.int32(), "look_percent": pyarrow.int8(), "twist_mdeg": pyarrow.int32()}
    rows = [dict(zip(names, column, strict=True)) for column in columns]
    table = pyarrow.Table.from_pylist(rows, pyarrow.schema(list(names.items())))
    pyarrow.parquet.write_table(table, file, compression="zstd")


def branched(runs: int, growth: Mapping[str, Any] = GROWTH, first: int = 0) -> Iterator[Continued]:
    """Make runs and their continuations: about twelve runs' time each."""
    from mpi4py import MPI
    from scipy.stats import qmc

    from moireloop_worker.lammps.engine import Engine
    from moireloop_worker.models.settings import BeadSettings

    settings = BeadSettings.model_validate({**growth, "prepared_seeds": 1})
    places = qmc.Sobol(len(SPACE), rng=4711).random_base2(ceil(log2(first + runs)))[first : first + runs]
    low, high = np.array(list(SPACE.values())).T
    engine = Engine(MPI.COMM_SELF)
    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepared(engine, settings, Path(folder))
        for number, values in enumerate(low + (high - low) * places, first):
            parameters = dict(zip(SPACE, map(float, values), strict=True))
            yield _branched(_Bead(engine, settings, parameters, str(prepared)), 1 + number * 1000, Path(folder) / "run")
    engine.close()


def _prepared(engine: Engine, settings: BeadSettings, folder: Path) -> Path:
    from moireloop_worker.models.bead import Bead

    engine.run(Bead(settings).preparation(0, engine.version).plan)
    engine.write_structure(folder / "prepared.data")
    return folder / "prepared.data"


@dataclass(frozen=True)
class _Bead:
    """One candidate, run from any of its restart files with any seed."""

    engine: Engine
    settings: BeadSettings
    parameters: Mapping[str, float]
    prepared: str

    def run(self, seed: int, folder: Path, until: float = 1.0) -> float | None:
        """Run on to this share of the plan; the twist that the last frames show, None where one has none.

        The run continues from the newest restart file in the folder, and leaves one where it stops.
        """
        from moireloop_worker.lammps.restarts import RestartFiles
        from moireloop_worker.models.growth_model import restart_key

        plan, version = self._plan(seed), self.engine.version
        files = RestartFiles(folder, restart_key(self._plan(1), version), version, every_s=3600.0)
        folder.mkdir(exist_ok=True)
        watch = _watch(round(until * plan.steps) if until < 1 else None)
        ended = self.engine.run(plan, every_steps=EVERY_STEPS, watch=watch, restarts=files)
        return self._twist_deg([*watch.frames[1 - FINAL_FRAMES :], *([ended.final] if ended.final else [])])

    def _plan(self, seed: int) -> Plan:
        from moireloop_worker.models.bead import Bead

        return Bead(self.settings).plan(self.parameters, seed, self.prepared)

    def _twist_deg(self, frames: Sequence[Configuration]) -> float | None:
        from moireloop_analyzer.twist import measure_twist

        twists = [
            measure_twist(
                frame.positions, frame.types, frame.cell, (True, True, False), metal_types=(1, 2), chalcogen_types=()
            ).twist_deg
            for frame in frames
        ]
        shown = [twist for twist in twists if twist is not None]
        return median(shown) if shown and len(shown) == len(twists) else None


def _watch(until_step: int | None) -> Any:
    from moireloop_worker.lammps.engine import Watch

    class Until(Watch):
        """Keeps the frames, and stops a run that is to be continued."""

        within_a_frame = True

        def __init__(self) -> None:
            self.frames: list[Configuration] = []

        def frame(self, snapshot: Configuration) -> None:
            self.frames.append(snapshot)

        def stop(self, step: int) -> bool:
            return until_step is not None and step >= until_step

        def goes_on(self, step: int) -> bool:
            return True

    return Until()


def _branched(bead: _Bead, seed: int, folder: Path) -> Continued:
    """One run, continued CLONES times from each look."""
    others: list[list[float | None]] = []
    for place, look in enumerate(LOOKS):
        bead.run(seed, folder, until=look)
        others.append([])
        for number in range(1, CLONES + 1):
            copy = shutil.copytree(folder, folder.with_name("clone"))
            others[-1].append(bead.run(seed + 10 * (place + 1) + number, copy))
            shutil.rmtree(copy)
    own = bead.run(seed, folder)
    shutil.rmtree(folder)
    return Continued(LOOKS, tuple((own, *twists) for twists in others))


def main() -> None:
    """Make a file of runs, or add to it; what is done is kept after each run."""
    parser = argparse.ArgumentParser(prog="python -m bench.continuations", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first run, to divide the work")
    chosen = parser.parse_args()
    done = dict(enumerate(kept(chosen.file), chosen.first)) if chosen.file.exists() else {}
    first = chosen.first + len(done)
    for number, run in enumerate(branched(chosen.first + chosen.runs - first, first=first), first):
        done[number] = run
        keep(done, chosen.file)
        print(f"run {number}: {run.twists[0][0]}", flush=True)


if __name__ == "__main__":
    main()
