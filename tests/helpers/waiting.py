"""How tests wait: for a condition, with its description, and never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(holds: Callable[[], T | None], description: str, patience_s: float = 60.0) -> T:
    """Wait until a condition is true; answers what it gave, and fails with the description when it never is."""
    deadline = time.monotonic() + patience_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for: {description}"
        time.sleep(0.02)
    return answer
