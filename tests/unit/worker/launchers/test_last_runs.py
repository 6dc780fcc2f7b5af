"""Runs that nothing can carry on are begun only where they end before everything is given back."""

from __future__ import annotations

import time

from moireloop_worker.launchers.last_runs import LastRuns
from moireloop_worker.launchers.walltime import Walltime


class Said:
    """What the pool says of the end of its allocation, and how often it was asked."""

    def __init__(self, left_s: float | None) -> None:
        self.ends_s = None if left_s is None else time.time() + left_s
        self.asked = 0

    def __call__(self) -> float | None:
        self.asked += 1
        return self.ends_s


def last_runs(said: Said) -> LastRuns:
    """Of a worker that keeps a reserve of 60 s, in an allocation that began long ago."""
    return LastRuns(Walltime(60.0, time.time() - 86_400.0), said)


def test_run_that_would_not_end_is_not_begun() -> None:
    """The longest of the last runs took 100 s, and 90 s are left before the hand-back."""
    runs = last_runs(Said(150.0))
    runs.note(20.0, is_carried_on=False)
    assert runs.may_begin()
    runs.note(100.0, is_carried_on=False)
    assert not runs.may_begin()


def test_only_the_last_runs_count() -> None:
    """A long run of long ago says little of the next one."""
    runs = last_runs(Said(150.0))
    for seconds in (100.0, 10.0, 10.0, 10.0, 10.0, 10.0):
        runs.note(seconds, is_carried_on=False)
    assert runs.run_s == 10.0
    assert runs.may_begin()


def test_run_that_a_restart_file_carries_on_is_always_worth_beginning() -> None:
    """Nobody is asked for the time then."""
    said = Said(61.0)
    runs = last_runs(said)
    runs.note(10_000.0, is_carried_on=True)
    assert runs.may_begin()
    assert said.asked == 0


def test_without_an_end_everything_is_begun() -> None:
    """And the pool is asked at most once a second, however short the runs are."""
    said = Said(None)
    runs = last_runs(said)
    runs.note(10_000.0, is_carried_on=False)
    assert all(runs.may_begin() for _ in range(100))
    assert said.asked <= 2
