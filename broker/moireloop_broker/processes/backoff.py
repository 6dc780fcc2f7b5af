"""How long to wait before something that died is started again (pure)."""

from __future__ import annotations

FIRST_S = 0.5

LONGEST_S = 30.0


class Backoff:
    """Waits that double with every death: 0.5, 1, 2 ... 30 s; `reset` after a healthy life."""

    def __init__(self) -> None:
        self._deaths = 0

    def next_s(self) -> float:
        """Seconds to wait after one more death."""
        wait_s = min(LONGEST_S, FIRST_S * 2.0**self._deaths)
        self._deaths = min(self._deaths + 1, 30)
        return wait_s

    def reset(self) -> None:
        """Forget the deaths so far."""
        self._deaths = 0
