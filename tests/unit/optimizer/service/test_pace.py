"""How far ahead of the workers the queue is kept."""

from __future__ import annotations

import pytest

from moireloop_optimizer.service.pace import MOST_AHEAD, Pace


@pytest.mark.parametrize(
    ("workers", "run_s", "suggest_s", "ahead"),
    [
        (1, 3600.0, 0.5, 2),
        (2, 2.0, 0.5, 2),
        (2, 2.0, 1.0, 3),
        (8, 2.0, 0.5, 5),
        (100, 3600.0, 1.0, 2),
        (2, 0.01, 0.5, 201),
        (2, 0.0, 0.5, MOST_AHEAD),
    ],
)
def test_the_queue_covers_twice_a_suggestion(workers: int, run_s: float, suggest_s: float, ahead: int) -> None:
    """What the workers take during a suggestion, twice, and one more."""
    pace = Pace()
    pace.ran(run_s)
    pace.suggested(suggest_s)
    assert pace.ahead(workers) == ahead


def test_durations_are_followed() -> None:
    """The mean moves to new durations, and one outlier does not take it over."""
    pace = Pace()
    for _ in range(40):
        pace.ran(10.0)
    pace.ran(100.0)
    assert 10.0 < pace.run_s < 40.0
    for _ in range(40):
        pace.ran(1.0)
    assert pace.run_s == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("workers", "run_s", "suggest_s", "at_once"),
    [(2, 2.0, 0.5, 2), (2, 2.0, 4.0, 4), (150, 3600.0, 2.0, 2), (8, 1.0, 1.0, 8)],
)
def test_the_model_is_asked_for_what_the_workers_take_meanwhile(
    workers: int, run_s: float, suggest_s: float, at_once: int
) -> None:
    """So many candidates at a time as are taken during one suggestion, never fewer than two."""
    pace = Pace()
    pace.ran(run_s)
    pace.suggested(suggest_s)
    assert pace.at_once(workers) == at_once
