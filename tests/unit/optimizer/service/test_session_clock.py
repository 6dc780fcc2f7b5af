"""When a session runs, by the order of the log."""

from __future__ import annotations

from moireloop_optimizer.service.session_clock import SessionClock
from tests.helpers.campaign_events import changed


def test_clock_that_was_set_back_between_sessions_does_not_close_the_next() -> None:
    """A session resumed on a machine whose clock is behind takes candidates, and its time counts from its start."""
    clock = SessionClock()
    for event in (changed("started", 1000.0), changed("stopped", 2000.0), changed("resumed", 500.0)):
        clock.changed(event)
    assert not clock.is_closed
    assert clock.elapsed_s(510.0) == 10.0


def test_log_that_is_read_again_changes_nothing() -> None:
    """Events that are known already do not open a session that has ended."""
    clock = SessionClock()
    for event in (changed("started", 1.0), changed("draining", 2.0), changed("started", 1.0)):
        clock.changed(event)
    assert clock.is_closed
