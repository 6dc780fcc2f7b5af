"""Strangers cannot fill the disk by way of a service's log."""

from __future__ import annotations

import logging

from moireloop_broker.processes.log_limit import LogLimit


class Clock:
    """A clock that is moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def line(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("name", logging.WARNING, __file__, 1, text, arguments, None)


def test_burst_is_written_then_one_line_in_a_while() -> None:
    """Of 10 000 lines in a second a burst of 20 is written; the next one says what was left out."""
    clock = Clock()
    limit = LogLimit(burst=20, every_s=5.0, clock_s=clock)
    assert sum(limit.filter(line("request refused reason=%s", number)) for number in range(10_000)) == 20
    clock.now_s = 5.0
    late = line("request refused reason=%s", "x")
    assert limit.filter(late)
    assert late.getMessage() == "request refused reason=x (suppressed before it: 9980 similar ones)"
    assert not limit.filter(line("request refused reason=%s", "y"))


def test_kinds_do_not_hide_each_other() -> None:
    """A flood of one kind leaves room for a single line of another."""
    limit = LogLimit(burst=1, every_s=5.0, clock_s=Clock())
    assert limit.filter(line("flood"))
    assert not limit.filter(line("flood"))
    assert limit.filter(line("lease expired candidate=%s", "c1"))


def test_flood_of_a_day_writes_a_bounded_log() -> None:
    """At most one line in five seconds, whatever comes."""
    clock = Clock()
    limit = LogLimit(burst=20, every_s=5.0, clock_s=clock)
    written = 0
    for second in range(3600):
        clock.now_s = float(second)
        written += sum(limit.filter(line("flood")) for _ in range(3))
    assert written <= 20 + 3600 / 5
