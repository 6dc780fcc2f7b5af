"""A watch that ends a run in its middle."""

from __future__ import annotations

from moireloop_worker.lammps.engine import Watch
from moireloop_worker.models.growth_model import Configuration


class StopAt(Watch):
    """Stops a run at the first look-up from a step on, for another attempt to go on or for good. Keeps the frames."""

    def __init__(self, step: int, *, goes_on: bool = True) -> None:
        self.frames: list[Configuration] = []
        self._step = step
        self._goes_on = goes_on

    def frame(self, snapshot: Configuration) -> None:
        self.frames.append(snapshot)

    def stop(self, step: int) -> bool:
        return step >= self._step

    def goes_on(self, step: int) -> bool:
        return self._goes_on
