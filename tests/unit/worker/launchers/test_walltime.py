"""When a pool gives back: by the end of its allocation, by a notice, and what a time on the command line means."""

from __future__ import annotations

from datetime import UTC

import pytest

from moireloop_worker.launchers.walltime import ASK_EVERY_S, Walltime, end_of_text, will_end_in_time

NOON_S = 1_796_040_000.0
"""2026-11-30T12:00:00Z."""


def test_pool_without_an_end_never_gives_back() -> None:
    """No end is known, and no notice was sent."""
    walltime = Walltime(60.0, NOON_S)
    walltime.set_end(None, 0.0)
    assert walltime.reason(NOON_S + 1e9) is None
    assert walltime.gives_back_s is None


def test_everything_is_given_back_the_reserve_before_the_end() -> None:
    """Not a second earlier, and the reason names the time that is left."""
    walltime = Walltime(60.0, NOON_S)
    walltime.set_end(NOON_S + 3600.0, 0.0)
    assert walltime.reason(NOON_S + 3539.9) is None
    assert walltime.reason(NOON_S + 3540.0) == "the allocation ends in 60 s (reserve 60 s)"
    assert walltime.reason(NOON_S + 4000.0) == "the allocation is over (reserve 60 s)"


def test_end_may_change() -> None:
    """The launcher is asked again; a longer allocation is used, a shorter one is heeded."""
    walltime = Walltime(60.0, NOON_S)
    assert walltime.is_due(0.0)
    walltime.set_end(NOON_S + 3600.0, 0.0)
    assert not walltime.is_due(ASK_EVERY_S - 0.1)
    assert walltime.is_due(ASK_EVERY_S)
    walltime.set_end(NOON_S + 7200.0, ASK_EVERY_S)
    assert walltime.reason(NOON_S + 3600.0) is None
    walltime.set_end(NOON_S + 1800.0, 2 * ASK_EVERY_S)
    assert walltime.reason(NOON_S + 1800.0) is not None


def test_launcher_that_knows_nothing_for_once_changes_nothing() -> None:
    """A scheduler that does not respond is no allocation without an end."""
    walltime = Walltime(60.0, NOON_S)
    walltime.set_end(NOON_S + 3600.0, 0.0)
    walltime.set_end(None, ASK_EVERY_S)
    assert walltime.ends_s == NOON_S + 3600.0


def test_earlier_of_two_ends_counts() -> None:
    """The end given by --until, and the launcher's."""
    walltime = Walltime(60.0, NOON_S, until_s=NOON_S + 600.0)
    walltime.set_end(NOON_S + 3600.0, 0.0)
    assert walltime.ends_s == NOON_S + 600.0
    walltime.set_end(NOON_S + 300.0, ASK_EVERY_S)
    assert walltime.ends_s == NOON_S + 300.0


def test_short_allocation_still_works() -> None:
    """The reserve is a third of it at most: with a minute and a reserve of a minute nothing would ever be run."""
    walltime = Walltime(60.0, NOON_S, until_s=NOON_S + 60.0)
    assert walltime.reserve_s == pytest.approx(20.0)
    assert walltime.reason(NOON_S + 39.0) is None
    assert walltime.reason(NOON_S + 41.0) is not None


def test_reserve_is_enough_for_what_was_measured() -> None:
    """Where giving back has taken 50 s once, 60 s are too few."""
    walltime = Walltime(60.0, NOON_S, until_s=NOON_S + 3600.0, hand_back_s=50.0)
    assert walltime.reserve_s == 100.0
    assert Walltime(60.0, NOON_S, until_s=NOON_S + 3600.0, hand_back_s=2.0).reserve_s == 60.0


def test_notice_says_give_back_now() -> None:
    """Whatever the end is, and the first one is named."""
    walltime = Walltime(60.0, NOON_S)
    walltime.notice("SIGUSR1")
    walltime.notice("SIGALRM")
    assert walltime.reason(NOON_S) == "SIGUSR1 says to give everything back"


def test_workers_may_take_nearly_all_the_time_that_is_left() -> None:
    """Large restart files take long; where no end is known they get what they always got."""
    assert Walltime(300.0, NOON_S, until_s=NOON_S + 3600.0).patience_s(NOON_S + 3300.0, 10.0) == 295.0
    assert Walltime(300.0, NOON_S, until_s=NOON_S + 3600.0).patience_s(NOON_S + 3599.0, 10.0) == 10.0
    assert Walltime(300.0, NOON_S).patience_s(NOON_S, 10.0) == 10.0


@pytest.mark.parametrize(
    ("gives_back_s", "run_s", "worth"),
    [
        (None, 1e6, True),
        (NOON_S + 100.0, None, True),
        (NOON_S + 100.0, 99.0, True),
        (NOON_S + 100.0, 101.0, False),
        (NOON_S - 1.0, None, False),
    ],
)
def test_run_that_nothing_carries_on_must_fit(gives_back_s: float | None, run_s: float | None, worth: bool) -> None:
    """By the speed that was measured; where nothing was, it is tried."""
    assert will_end_in_time(NOON_S, gives_back_s, run_s) is worth


@pytest.mark.parametrize(
    ("text", "later_s"),
    [
        ("00:00:40", 40.0),
        ("12:30:00", 45_000.0),
        ("59:30", 3570.0),
        ("1-02:03:04", 93_784.0),
        ("100:00:00", 360_000.0),
        ("2026-11-30T13:00", 3600.0),
        ("2026-11-30 12:00:01", 1.0),
        ("2026-11-30T14:00+01:00", 3600.0),
        ("2026-12-01", 43_200.0),
    ],
)
def test_times_that_are_understood(text: str, later_s: float) -> None:
    """Times as schedulers write them, and ISO 8601."""
    assert end_of_text(text, NOON_S, UTC) == pytest.approx(NOON_S + later_s)


@pytest.mark.parametrize(
    "text", ["", "12", "soon", "25:61", "-00:10:00", "2026-13-01", "2020-01-01", "0:00", "1e9", "\u0663:\u0660\u0660"]
)
def test_times_that_are_none_are_refused(text: str) -> None:
    """With what was expected and what came."""
    with pytest.raises(ValueError, match=f"expected a time .*, got {text!r}"):
        end_of_text(text, NOON_S, UTC)
