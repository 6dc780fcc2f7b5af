"""MoS2 in a real LAMMPS: it melts, is refused where it does not, and runs through its protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from moireloop_analyzer import measure_twist
from moireloop_broker.contract.events import Candidate
from moireloop_broker.state.work_queue.leases import Lease
from moireloop_worker.lammps.engine import Engine, Watch
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import Configuration
from moireloop_worker.models.mos2 import Mos2, rebo_file
from moireloop_worker.models.mos2_settings import ReaxffSettings, ReboSettings
from moireloop_worker.models.settings import BeadSettings
from moireloop_worker.run.evaluation import Evaluator
from moireloop_worker.run.molten import NotMolten, hexatic_order
from moireloop_worker.run.preparation import PreparedStructures, prepared_structure

REAXFF = Path(__file__).parents[4] / "shared" / "data" / "ffield.reax.MoS"
needs_reaxff = pytest.mark.skipif(not REAXFF.exists(), reason=f"the paper's force field is not there: {REAXFF}")
PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.0, "shear_strain": 0.0555}
BRIEF = {"preset": "small", "cells": (5, 5), "melt_ps": 0.3, "equilibrate_ps": 0.05}


def prepare(engine: Engine, model: Mos2 | Bead, folder: Path) -> Path:
    preparation = model.preparation(0, engine.version)
    return Path(prepared_structure(MPI.COMM_WORLD, engine, PreparedStructures(folder), preparation, Watch()))


def order(snapshot: Configuration, layer_type: int) -> float:
    return hexatic_order(snapshot.positions[snapshot.types == layer_type, :2], snapshot.cell[:2, :2])


class Frames(Watch):
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[Configuration] = []

    def frame(self, snapshot: Configuration) -> None:
        self.seen.append(snapshot)


def test_rebo_grows_from_a_molten_layer(engine: Engine, tmp_path: Path) -> None:
    """The upper layer melts above a crystal; the run has the wanted cell, time and temperature."""
    model = Mos2(ReboSettings.model_validate({**BRIEF, "anneal_ps": 0.05, "quench_ps": 0.2}, strict=False))
    prepared = prepare(engine, model, tmp_path)
    plan = model.plan({"temperature_k": 2000.0, "lattice_strain": 0.03, "shear_strain": 0.0555}, 5, str(prepared))
    frames = Frames()
    final = engine.run(plan, every_steps=10, watch=frames).final
    assert final is not None
    first = frames.seen[0]
    assert order(first, 1) > 0.8
    assert order(first, 3) < 0.4
    assert final.time_ps == pytest.approx(0.25)
    anneal = [s.temperature_k for s in frames.seen if 20 <= s.step <= 50]
    assert 1000 < np.mean([kelvin or 0.0 for kelvin in anneal]) < 3000
    assert (final.temperature_k or 0.0) < 1000
    width, height, tilt = prepared_cell(prepared)
    assert final.cell[0, 0] == pytest.approx(width * 1.03)
    assert final.cell[1, 1] == pytest.approx(height * 1.03)
    assert final.cell[1, 0] == pytest.approx(1.03 * (tilt + 0.0555 * height))
    assert final.positions[:, 2].min() > 0.5
    assert final.positions[:, 2].max() < 11.5


def prepared_cell(path: Path) -> tuple[float, float, float]:
    """Width, height and tilt of the cell in a LAMMPS data file."""
    rows = {tuple(words[-2:]): words for words in map(str.split, path.read_text().splitlines()[:20]) if len(words) > 3}
    width = float(rows["xlo", "xhi"][1]) - float(rows["xlo", "xhi"][0])
    height = float(rows["ylo", "yhi"][1]) - float(rows["ylo", "yhi"][0])
    return width, height, float(next(words for words in rows.values() if "xy" in words)[0])


def test_rebo_at_the_seeds_temperature_is_not_molten(engine: Engine, tmp_path: Path) -> None:
    """REBO's layer survives 5000 K as a crystal: that is an error that says so, without computing it twice.

    A structure of which less is asked is another matter.
    """
    model = Mos2(ReboSettings.model_validate({**BRIEF, "melt_k": 5000.0}, strict=False))
    with pytest.raises(NotMolten, match=r"expected a molten upper layer .* got 0\.[5-9]\d; melt it hotter"):
        prepare(engine, model, tmp_path)
    assert not list(tmp_path.glob("*.data"))
    spent_s = engine.md_s
    with pytest.raises(NotMolten, match="expected a molten upper layer"):
        prepare(engine, model, tmp_path)
    assert engine.md_s == spent_s
    more = Mos2(ReboSettings.model_validate({**BRIEF, "melt_k": 5000.0, "molten_order": 1.0}, strict=False))
    assert prepare(engine, more, tmp_path).exists()


def test_beads_that_were_not_heated_are_not_molten(engine: Engine, tmp_path: Path) -> None:
    """Beads are checked where their melt ends."""
    assert prepare(engine, Bead(BeadSettings(cells=(6, 6), melt_steps=500)), tmp_path).exists()
    with pytest.raises(NotMolten, match="at step 500 of the preparation"):
        prepare(engine, Bead(BeadSettings(cells=(6, 6), melt_steps=500, melt_k=500.0)), tmp_path)


@needs_reaxff
def test_reaxff_starts_from_a_perfect_bilayer(engine: Engine) -> None:
    """Without steps the plan is the perfect 2H bilayer: six atoms a cell, no twist."""
    settings = ReaxffSettings.model_validate({**BRIEF, "force_field": REAXFF, "cells": (6, 6)}, strict=False)
    plan = Mos2(settings).preparation(0, engine.version).plan
    still = type(plan)(plan.setup, plan.structure, plan.forces, (), plan.timestep_ps)
    final = engine.run(still).final
    assert final is not None
    assert len(final.positions) == 216
    estimate = measure_twist(
        final.positions.astype(np.float64),
        final.types,
        final.cell,
        Mos2.periodic,
        metal_types=(1, 3),
        chalcogen_types=(),
    )
    assert estimate.twist_deg == pytest.approx(0.0, abs=1e-3)


@needs_reaxff
def test_reaxff_melts_and_runs(engine: Engine, tmp_path: Path) -> None:
    """The paper's force field goes through the whole protocol, in femtoseconds and kcal/mol."""
    brief = {**BRIEF, "cells": (4, 4), "melt_ps": 0.1, "equilibrate_ps": 0.02, "molten_order": 1.0}
    settings = {**brief, "force_field": REAXFF, "anneal_ps": 0.02, "quench_ps": 0.02}
    model = Mos2(ReaxffSettings.model_validate(settings, strict=False))
    prepared = prepare(engine, model, tmp_path)
    plan = model.plan({"temperature_k": 2000.0, "lattice_strain": 0.0, "shear_strain": 0.0555}, 5, str(prepared))
    ended = engine.run(plan)
    assert ended.final is not None
    assert ended.steps == 40
    assert ended.final.time_ps == pytest.approx(0.04)
    assert 100 < (ended.final.temperature_k or 0.0) < 3000


def lease_of(candidate_id: str) -> Lease:
    candidate = Candidate(candidate_id=candidate_id, parameters=PARAMETERS, seed=3, proposed_s=0.0)
    return Lease(candidate=candidate, attempt=1, worker="worker-0", queued_s=0.0, leased_s=0.0)


def test_changed_force_field_is_prepared_again(engine: Engine, tmp_path: Path) -> None:
    """The same file is prepared from once; with another content under the same name, again."""
    own = tmp_path / "own.rebomos"
    own.write_bytes(rebo_file().read_bytes())
    settings = {**BRIEF, "force_field": own, "anneal_ps": 0.001, "quench_ps": 0.001, "molten_order": 1.0}
    keys: list[str] = []
    for text in ("", "", "# a remark\n"):
        own.write_text(rebo_file().read_text() + text)
        model = Mos2(ReboSettings.model_validate(settings, strict=False))
        evaluator = Evaluator(MPI.COMM_WORLD, engine, model, tmp_path, 0)
        keys.append(evaluator.evaluate(lease_of(f"c{len(keys)}"), Watch()).preparation_key)
    assert keys[0] == keys[1] != keys[2]
    assert len(list((tmp_path / "prepared").glob("*.data"))) == 2
