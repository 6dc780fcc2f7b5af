"""What holds for every test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Final

import pytest

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM)


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A main function that a test calls may set signals, and programs started later inherit what is ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)
