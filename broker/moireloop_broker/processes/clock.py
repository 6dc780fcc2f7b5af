"""A clock for durations: it is never set, and it continues while the machine sleeps (adapter)."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_s() -> float:
    """Seconds since the machine was started, including suspension; the same in all of its processes."""
    return time.clock_gettime(_CLOCK)
