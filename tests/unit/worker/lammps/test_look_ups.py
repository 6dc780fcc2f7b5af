"""How far a run goes before it is looked at, and to its next restart file."""

from __future__ import annotations

import pytest

from moireloop_worker.lammps.schedule import FIRST_STEPS, LOOK_UP_S, LookUps


def going(step_s: float, steps: int = 1000, every_steps: int = 0) -> LookUps:
    """After this many steps at this speed."""
    looks = LookUps(every_steps, 0, 100, within_a_frame=False)
    looks.done(steps, steps * step_s)
    return looks


def test_it_looks_up_about_each_half_second() -> None:
    """However fast the steps are; soon at first, never beyond the end of the stage."""
    assert LookUps(0, 0, 100, within_a_frame=False).length(10**6) == FIRST_STEPS
    assert going(0.001).length(10**6) == int(LOOK_UP_S / 0.001)
    assert going(10.0).length(10**6) == 1
    assert going(0.001).length(1100) == 100


@pytest.mark.parametrize("step_s", [1e-4, 1e-2, 1.0])
def test_restart_file_comes_when_it_is_due(step_s: float) -> None:
    """By the speed of the run so far."""
    looks = going(step_s, steps=10**7)
    assert looks.restart_step(10**7, 300.0, 10**9) - 10**7 == pytest.approx(300.0 / step_s, rel=1e-6)


def test_restart_file_is_early_while_the_speed_is_not_sure() -> None:
    """At first by the time that LAMMPS has taken to set up, then at most eight times as far as the run has come."""
    new = LookUps(0, 0, 100, within_a_frame=False)
    assert new.restart_step(0, 300.0, 10**9, setup_s=0.01) == 30_000
    assert going(1e-4, steps=100).restart_step(100, 300.0, 10**9) == 100 + max(8 * 100, int(LOOK_UP_S / 1e-4))


def test_restart_files_leave_room_for_the_steps_around_them() -> None:
    """One step before a file it is looked whether it can be written, one step after it is taken over."""
    assert going(10.0).restart_step(1000, 0.0, 10**6) == 1003
    assert going(1e-3, every_steps=20).restart_step(1000, 0.0, 10**6) == 1000 + int(LOOK_UP_S / 1e-3)
