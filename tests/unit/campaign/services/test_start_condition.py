"""When the workers may begin, and whether a session says that they wait."""

from __future__ import annotations

import pytest

from moireloop.services.start_condition import FIRST_ANALYZER_S, awaits_analyzer, may_begin


def test_workers_begin_with_the_first_analyzer() -> None:
    """One of three is enough."""
    assert not may_begin(analyzers=3, announced=0, waited_s=30.0)
    assert may_begin(analyzers=3, announced=1, waited_s=30.0)


def test_workers_wait_for_a_bounded_time() -> None:
    """An analyzer that never comes does not block the campaign for ever."""
    assert may_begin(analyzers=1, announced=0, waited_s=FIRST_ANALYZER_S)


def test_there_is_no_wait_without_an_analyzer() -> None:
    """As in a session that was started without one."""
    assert may_begin(analyzers=0, announced=0, waited_s=0.0)


@pytest.mark.parametrize(
    ("state", "services", "awaited"),
    [
        ("started", ("analyzer-0", "optimizer"), True),
        ("resumed", ("analyzer-0", "optimizer"), True),
        ("started", ("analyzer-0", "optimizer", "pool"), False),
        ("started", ("broker",), False),
        ("draining", ("analyzer-0", "optimizer"), False),
    ],
)
def test_waiting_is_shown_by_the_services(state: str, services: tuple[str, ...], awaited: bool) -> None:
    """A session waits when it has analyzers and no pool yet, and is not about to end."""
    assert awaits_analyzer(state, dict.fromkeys(services, "started")) is awaited
