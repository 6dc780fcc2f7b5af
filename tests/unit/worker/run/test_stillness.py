"""A run is stuck when nothing moves before somebody's eyes, not when these were closed."""

from __future__ import annotations

from moireloop_worker.run.stillness import LONGEST_GAP_S, Stillness


def test_silence_adds_up_until_something_moves() -> None:
    """It counts from the first look after a sign of life."""
    run = Stillness(1.0, 0.0)
    assert [run.look(float(now)) for now in (1, 2, 3, 4)] == [0.0, 1.0, 2.0, 3.0]
    run.moved()
    assert [run.look(float(now)) for now in (5, 6)] == [0.0, 1.0]


def test_pause_of_everything_restarts_the_runs_time() -> None:
    """`docker pause`, Slurm's suspend and SIGSTOP stop the onlooker too, for minutes or a night, again and again."""
    run = Stillness(1.0, 0.0)
    for wake in (1000.0, 50_000.0, 90_000.0):
        assert run.look(wake) == 0.0
        assert run.look(wake + 1) == 1.0


def test_looks_that_are_late_on_a_busy_machine_still_count() -> None:
    """A run that is stuck is found also where the looks come late."""
    run, late_s = Stillness(0.5, 0.0), LONGEST_GAP_S
    run.look(late_s)
    assert run.look(2 * late_s) == late_s
    assert run.look(3 * late_s) == 2 * late_s
