"""Temperature, pressure and energies of frames describe the whole system at their step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moireloop_worker.lammps.engine import Engine, LammpsError, Watch
from moireloop_worker.models.growth_model import Configuration, Selection
from tests.integration.worker.argon import KCAL_MOL_EV, argon


def bomb(when: str) -> tuple[str, ...]:
    """Commands that make the energy infinite at some steps, and do nothing to the atoms."""
    energy = f"variable bomb atom exp(800*({when}))"
    force = "variable none equal 0.0"
    return (energy, force, "fix bomb all addforce v_none 0 0 energy v_bomb", "fix_modify bomb energy yes")


MIDDLE = bomb("(step>=20)*(step<=30)")
UNTIL_THE_END = bomb("step>=20")


class Recorder(Watch):
    """Keeps all frames."""

    def __init__(self) -> None:
        self.frames: list[Configuration] = []

    def frame(self, snapshot: Configuration) -> None:
        self.frames.append(snapshot)


def totals(snapshot: Configuration) -> list[Any]:
    return [snapshot.temperature_k, snapshot.pressure_bar, snapshot.potential_ev, snapshot.kinetic_ev]


def thermo_rows(log_file: Path) -> dict[int, list[float]]:
    """What LAMMPS itself printed: step -> temperature, pressure, potential and kinetic energy in its units."""
    lines = [line.split() for line in log_file.read_text(encoding="utf-8").splitlines()]
    rows = [line for line in lines if len(line) == 5 and line[0].isdigit()]
    return {int(row[0]): [float(number) for number in row[1:]] for row in rows}


@pytest.mark.parametrize(("units", "bar", "ev"), [("metal", 1.0, 1.0), ("real", 1.01325, KCAL_MOL_EV)])
def test_totals_are_those_that_lammps_prints(engine: Engine, tmp_path: Path, units: str, bar: float, ev: float) -> None:
    """Each frame and the end have the numbers of the thermo output for that very step, in bar and eV."""
    watch = Recorder()
    ended = engine.run(argon(units), log_file=tmp_path / "log", every_steps=8, watch=watch)
    assert ended.final is not None
    printed = thermo_rows(tmp_path / "log")
    assert [s.step for s in (*watch.frames, ended.final)] == [8, 16, 24, 32, 40]
    for snapshot in (*watch.frames, ended.final):
        expected = np.array(printed[snapshot.step]) * [1, bar, ev, ev]
        np.testing.assert_allclose(totals(snapshot), expected, rtol=1e-7)


def test_units_do_not_change_the_physics(engine: Engine) -> None:
    """The same argon in units metal and real has the same times, pressures and energies."""
    metal, real = (engine.run(argon(units), every_steps=8).final for units in ("metal", "real"))
    assert metal is not None
    assert real is not None
    assert metal.time_ps == real.time_ps == pytest.approx(0.08)
    np.testing.assert_allclose(totals(real), totals(metal), rtol=2e-4)


def test_energy_is_kept(engine: Engine) -> None:
    """Without a thermostat potential and kinetic energy change and their sum does not: both are of the same instant."""
    watch = Recorder()
    engine.run(argon(), every_steps=4, watch=watch)
    potential, kinetic = (np.array([totals(frame)[place] for frame in watch.frames], dtype=float) for place in (2, 3))
    assert np.ptp(kinetic) > 0.01
    assert np.ptp(potential + kinetic) < 1e-3 * np.ptp(kinetic)


def test_other_units_have_no_pressure_and_energies(engine: Engine) -> None:
    """In units lj there is neither bar nor eV; positions and times are there anyway."""
    watch = Recorder()
    engine.run(argon("lj"), every_steps=8, watch=watch)
    assert [totals(frame)[1:] for frame in watch.frames] == [[None, None, None]] * 4
    assert watch.frames[0].time_ps == pytest.approx(0.016)


@pytest.mark.parametrize("every_steps", [4, 100])
def test_nan_energy_ends_the_attempt(engine: Engine, every_steps: int) -> None:
    """The attempt ends at the first frame with an infinite energy, else at its end; the next run is unharmed."""
    step = 20 if every_steps == 4 else 40
    infinite = MIDDLE if every_steps == 4 else UNTIL_THE_END
    with pytest.raises(LammpsError, match=f"potential energy is not a number at step {step}$"):
        engine.run(argon("metal", 40, *infinite), every_steps=every_steps)
    assert engine.run(argon()).steps == 40


def test_energy_is_looked_at_without_frames_too(engine: Engine) -> None:
    """A preparation has no frames, and must not end in a structure that makes no sense."""
    with pytest.raises(LammpsError, match=r"potential energy is not a number at step 40$"):
        engine.run(argon("metal", 40, *UNTIL_THE_END))


def test_selection_leaves_other_atoms_out(engine: Engine) -> None:
    """With types chosen, frames and the final snapshot hold the atoms of these alone, in the order of their ids."""
    watch, whole = Recorder(), Recorder()
    chosen = engine.run(argon(), every_steps=8, watch=watch, selection=Selection(types=(2,))).final
    everything = engine.run(argon(), every_steps=8, watch=whole).final
    assert chosen is not None
    assert everything is not None
    for some, all_of_it in zip((*watch.frames, chosen), (*whole.frames, everything), strict=True):
        assert (len(some.positions), len(all_of_it.positions)) == (27, 108)
        np.testing.assert_array_equal(some.positions, all_of_it.positions[all_of_it.types == 2])
        assert set(some.types.tolist()) == {2}
        assert totals(some) == totals(all_of_it)
