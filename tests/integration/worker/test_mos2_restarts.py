"""A run of a real potential goes on from a restart file: its barostat, thermostat and cell too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moireloop_worker.lammps.engine import Ended, Engine
from moireloop_worker.lammps.restarts import RestartFiles
from moireloop_worker.models.growth_model import Plan
from moireloop_worker.models.mos2 import Mos2
from moireloop_worker.models.mos2_settings import ReaxffSettings, ReboSettings
from tests.integration.worker.lammps_files import data_of, thermo_of
from tests.integration.worker.stop_at import StopAt

FORCE_FIELD = Path("/work/shared/data/ffield.reax.MoS")
TIMES_PS = {"melt_ps": 0.01, "equilibrate_ps": 0.03, "timestep_fs": 0.5, "cells": (4, 4)}
MELT, STEPS = 20, 80


def model(name: str) -> Mos2:
    if name == "mos2-rebo":
        return Mos2(ReboSettings(preset="small", **TIMES_PS))  # type: ignore[arg-type]
    if not FORCE_FIELD.exists():
        pytest.skip(f"needs the force field {FORCE_FIELD}")
    return Mos2(ReaxffSettings(preset="small", force_field=FORCE_FIELD, **TIMES_PS))  # type: ignore[arg-type]


def logged_exactly(plan: Plan) -> Plan:
    thermo = ("thermo_style custom step temp pe press lx", "thermo 1", "thermo_modify format float %.15g")
    return replace(plan, forces=(*plan.forces, *thermo))


def run(engine: Engine, plan: Plan, folder: Path, *earlier: Path, stop_at: int = 10**9) -> Ended:
    folder.mkdir()
    restarts = RestartFiles(folder, "this plan", engine.version, 1e6, earlier)
    return engine.run(plan, log_file=folder / "log.lammps", every_steps=1, watch=StopAt(stop_at), restarts=restarts)


@pytest.mark.parametrize("name", ["mos2-rebo", "mos2-reaxff"])
def test_equilibration_goes_on_with_its_barostat(engine: Engine, name: str, tmp_path: Path) -> None:
    """Equilibration has no noise: interrupted once more, it ends where it ends without, cell and all.

    The attempt that goes on is in `fix nph`, which has replaced another integrator of the same name.
    """
    preparation = model(name).preparation(3, engine.version)
    plan = logged_exactly(preparation.plan)
    assert plan.steps == STEPS
    first = run(engine, plan, tmp_path / "attempt-1", stop_at=MELT + 1)
    assert MELT < first.steps < MELT + 33
    whole = run(engine, plan, tmp_path / "whole", tmp_path / "attempt-1")
    engine.write_structure(tmp_path / "whole.data")
    second = run(engine, plan, tmp_path / "attempt-2", tmp_path / "attempt-1", stop_at=first.steps + 10)
    assert first.steps + 10 <= second.steps < STEPS
    third = run(engine, plan, tmp_path / "attempt-3", tmp_path / "attempt-2", tmp_path / "attempt-1")
    engine.write_structure(tmp_path / "third.data")
    assert third.resumed_from is not None
    assert third.resumed_from.step == second.steps
    assert (third.steps, whole.steps) == (STEPS, STEPS)
    (expected, _), (found, _) = data_of(tmp_path / "whole.data"), data_of(tmp_path / "third.data")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for earlier, later in (("attempt-1", "attempt-2"), ("attempt-2", "attempt-3")):
        before, after = (thermo_of(tmp_path / place / "log.lammps") for place in (earlier, later))
        assert after[0][0] == before[-1][0]
        assert after[0][1] == pytest.approx(before[-1][1], rel=1e-12)
