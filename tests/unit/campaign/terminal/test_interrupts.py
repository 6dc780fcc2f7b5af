"""What Ctrl-C means, and when."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator

import pytest

from moireloop.terminal.session_view import Interrupts

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM)


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """A session's interrupts; the handlers of before come back."""
    before = {number: signal.getsignal(number) for number in HEARD}
    yield Interrupts(hand_back=False)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_while_it_runs_interrupts_are_counted(interrupts: Interrupts) -> None:
    """The conductor looks at them between two steps."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(number)
    assert (interrupts.count, interrupts.raised) == (2, False)


def test_second_interrupt_ends_what_the_end_takes(interrupts: Interrupts) -> None:
    """Not the first one; and none any more when everything is being ended."""
    interrupts.raise_from(2)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    interrupts.raise_from(math.inf)
    signal.raise_signal(signal.SIGINT)
    assert (interrupts.count, interrupts.raised) == (3, True)
