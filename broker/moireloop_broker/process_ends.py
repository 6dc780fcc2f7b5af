"""How a process ended, in words (adapter)."""

from __future__ import annotations

import contextlib
import signal


def exit_reason(code: int) -> str:
    """How a process ended, in words, from its return code."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    return f"ended with exit code {code}"
