"""Waits between the deaths of what is started again."""

from __future__ import annotations

from moireloop_broker.processes.backoff import FIRST_S, LONGEST_S, Backoff


def test_waits_double_up_to_the_longest() -> None:
    """0.5, 1, 2 ... seconds, and never more than 30, however often it dies."""
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert {backoff.next_s() for _ in range(2000)} == {LONGEST_S}


def test_healthy_life_begins_anew() -> None:
    """After a reset the first wait is the shortest again."""
    backoff = Backoff()
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == FIRST_S
