"""Waits between the deaths of what is started again."""

from __future__ import annotations

from moireloop_broker.processes.backoff import FIRST_S, LONGEST_S, Backoff, Revival


def test_waits_double_up_to_the_longest() -> None:
    """0.5, 1, 2 ... seconds, and never more than 30, however often it dies."""
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert {backoff.next_s() for _ in range(2000)} == {LONGEST_S}


def test_healthy_life_resets_the_back_off() -> None:
    """After a reset the first wait is the shortest again."""
    backoff = Backoff()
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == FIRST_S


def test_what_lived_well_is_revived_at_once() -> None:
    """Deaths in a row add up and wait longer; a healthy or a productive life starts over."""
    revival = Revival()
    assert revival.is_due(0.0)
    events = []
    for lived_s, is_productive in ((1.0, False), (1.0, False), (60.0, False), (1.0, False), (1.0, True)):
        revival.started(100.0)
        assert not revival.is_due(1e9)
        wait_s = revival.ended(100.0 + lived_s, healthy_s=30.0, is_productive=is_productive)
        events.append((wait_s, revival.deaths))
        assert not revival.is_due(100.0 + lived_s + wait_s - 0.1)
        assert revival.is_due(100.0 + lived_s + wait_s)
    assert events == [(0.5, 1), (1.0, 2), (0.5, 1), (1.0, 2), (0.5, 1)]
