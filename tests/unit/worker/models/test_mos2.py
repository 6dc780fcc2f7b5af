"""Growth models of MoS2: what they plan, without running it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moireloop_worker.models import growth_model, growth_settings, required_parameters
from moireloop_worker.models.growth_model import Molten, Once, Plan
from moireloop_worker.models.mos2 import Mos2, rebo_file
from moireloop_worker.models.mos2_settings import ReaxffSettings, ReboSettings

PARAMETERS = {"temperature_k": 2500.0, "lattice_strain": 0.02, "shear_strain": 0.055}
FIELD = Path("/data/ffield.reax.MoS")


def stages(plan: Plan) -> list[tuple[str, float]]:
    """Name and length in ps of each stage."""
    return [(stage.name, stage.steps * plan.timestep_ps) for stage in plan.stages]


def commands(plan: Plan) -> list[str]:
    """All commands of a plan in order."""
    return [
        *plan.setup,
        *plan.structure,
        *plan.forces,
        *(command for stage in plan.stages for command in stage.commands),
    ]


@pytest.mark.parametrize("settings", [ReboSettings(), ReaxffSettings(force_field=FIELD)])
def test_preset_paper_is_the_protocol_of_the_paper(settings: ReboSettings | ReaxffSettings) -> None:
    """864 atoms; melt 50 ps, equilibrate 50 ps at 300 K; 50 ps at T, quench to 0 K over 0.5 ns or 1e6 steps."""
    model = Mos2(settings)
    assert 6 * settings.cells[0] * settings.cells[1] == 864
    assert settings.timestep_fs == 0.5
    assert stages(model.preparation(0, 1).plan) == [("melt", 50.0), ("equilibrate", 50.0)]
    plan = model.plan(PARAMETERS, 7, "start.data")
    assert stages(plan) == [("anneal", 50.0), ("quench", 500.0)]
    assert plan.stages[1].steps == 1_000_000
    thermostats = [c.split()[4:6] for c in commands(plan) if " langevin " in c]
    assert thermostats == [["2500.0", "2500.0"], ["2500.0", "0.0"]]
    assert (settings.equilibrate_k, settings.pressure_atm, settings.walls_angstrom) == (300.0, 1.0, 12.0)


def test_seeds_melt_is_that_of_the_seeds_force_field() -> None:
    """ReaxFF melts at the paper's 5000 K; REBO, which survives that as a crystal, at 12000 K."""
    assert ReaxffSettings(force_field=FIELD).melt_k == 5000.0
    assert ReboSettings().melt_k == 12_000.0


def test_preset_small_can_be_changed_key_by_key() -> None:
    """A key that is given stands, the others of the preset too; what a preset does not name is the paper's."""
    settings = growth_settings({"model": "mos2-rebo", "preset": "small", "quench_ps": 3.0})
    assert isinstance(settings, ReboSettings)
    assert settings.quench_ps == 3.0
    assert settings.cells == (6, 6)
    assert settings.walls_angstrom == 12.0
    assert growth_settings(json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize(
    ("settings", "timestep", "damping", "pressure"),
    [(ReboSettings(), 0.0005, 0.05, 1.01325), (ReaxffSettings(force_field=FIELD), 0.5, 50.0, 1.0)],
)
def test_numbers_are_in_lammps_units(
    settings: ReboSettings | ReaxffSettings, timestep: float, damping: float, pressure: float
) -> None:
    """Time step, damping and pressure are in ps and bar with REBO (metal), in fs and atm with ReaxFF (real)."""
    model = Mos2(settings)
    run, preparation = model.plan(PARAMETERS, 7, "p"), model.preparation(0, 1).plan
    assert f"timestep {timestep!r}" in run.forces
    assert {float(c.split()[6]) for c in commands(run) if " langevin " in c} == {damping}
    (barostat,) = [c.split() for c in commands(preparation) if " nph " in c]
    assert float(barostat[5]) == pressure


def test_energies_of_the_walls_agree_between_units() -> None:
    """1 eV is 23.06 kcal/mol: the same wall in both unit styles."""
    depth = []
    for settings in (ReboSettings(), ReaxffSettings(force_field=FIELD)):
        (wall,) = [c.split() for c in Mos2(settings).plan(PARAMETERS, 7, "p").forces if "wall/lj126" in c]
        depth.append(float(wall[6]))
    assert depth[0] == 0.05
    assert depth[1] == pytest.approx(0.05 * 1.602176634e-19 * 6.02214076e23 / 4184, rel=1e-7)


def test_upper_layer_must_be_molten() -> None:
    """The preparation is checked by the order of the upper layer's Mo atoms."""
    preparation = Mos2(ReboSettings(molten_order=0.3)).preparation(0, 1)
    assert preparation.molten == Molten(3, 0.3, preparation.plan.steps)


def test_what_changes_atoms_is_done_once() -> None:
    """A resumed run neither creates velocities nor strains the cell again."""
    plan = Mos2(ReboSettings()).plan(PARAMETERS, 7, "p")
    assert all(isinstance(c, Once) for c in commands(plan) if c.startswith("velocity"))
    assert not any(c.startswith(("change_box", "velocity")) for c in (*plan.setup, *plan.forces))


def test_force_field_is_named_and_part_of_the_key(tmp_path: Path) -> None:
    """REBO takes the file that LAMMPS brings, unless one is named; another file is another preparation."""
    assert rebo_file().is_file()
    assert Mos2(ReboSettings()).potential_files == (rebo_file(),)
    own = ReboSettings(force_field=tmp_path / "own.rebomos")
    assert Mos2(own).preparation(0, 1).key != Mos2(ReboSettings()).preparation(0, 1).key


def test_parameters_are_the_seeds() -> None:
    """Temperature, lattice strain and shear strain."""
    assert list(required_parameters(ReboSettings())) == ["temperature_k", "lattice_strain", "shear_strain"]
    assert isinstance(growth_model(ReboSettings()), Mos2)


def test_preset_of_earlier_versions_is_read() -> None:
    """A file that says `seed` means the paper's numbers; what is kept of it says `paper`."""
    former = growth_settings({"model": "mos2-rebo", "preset": "seed"})
    assert former == ReboSettings()
    assert former.model_dump()["preset"] == "paper"
