"""How tests wait: for a condition, with its description, and never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(holds: Callable[[], T | None], description: str, patience_s: float = 60.0, every_s: float = 0.02) -> T:
    """Wait until a condition is true; returns its value, and fails with the description when it never is.

    Looks that cost much are taken less often, so that the load of waiting does not slow down what is waited for.
    """
    deadline = time.monotonic() + patience_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for: {description}"
        time.sleep(every_s)
    return answer
