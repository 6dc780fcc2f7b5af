"""Generators as a user's file may have them, most of them bad: named by tests as strategies_of_others.py:Class."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from gest_api.vocs import VOCS


class Middle:
    """Always the middle of the search space, a little farther along the first parameter each time."""

    def __init__(self, vocs: VOCS, step: float = 0.01) -> None:
        self.vocs = vocs
        self.step = step
        self.told = 0

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        return [self._point(0.5 + self.step * (self.told + number)) for number in range(num_points)]

    def ingest(self, results: list[dict[str, Any]]) -> None:
        self.told += len(results)

    def _point(self, share: float) -> dict[str, float]:
        bounds = zip(self.vocs.variable_names, self.vocs.bounds, strict=True)
        return {name: low + min(share, 1.0) * (high - low) for name, (low, high) in bounds}


class Raises(Middle):
    """Has no idea."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        raise RuntimeError("no idea")


class Hangs(Middle):
    """Never comes back."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        while True:
            time.sleep(1)


class Dies(Middle):
    """Takes its process along."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        os.kill(os.getpid(), signal.SIGSEGV)
        return []
