"""How many finished runs an analyzer takes at once."""

from __future__ import annotations

from moireloop_analyzer.service.analyzer import AT_ONCE_S, MOST_AT_ONCE, Pace


def test_number_follows_the_time_that_a_run_took() -> None:
    """As many as fit into AT_ONCE_S, at most twice as many as before, at least one, at most MOST_AT_ONCE."""
    pace, taken = Pace(), list[int]()
    for seconds in (AT_ONCE_S / 10, AT_ONCE_S / 10, AT_ONCE_S / 3, 10 * AT_ONCE_S, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0):
        pace.note(seconds * 0.999)
        taken.append(pace.at_once)
    assert taken == [2, 4, 3, 1, 2, 4, 8, 16, MOST_AT_ONCE, MOST_AT_ONCE]
