"""At which steps of a run to look up from MD, and when a restart file is to be written (pure)."""

from __future__ import annotations

from typing import Final

LOOK_UP_S: Final = 0.25

SHORTEST_LOOK_UP_S: Final = 0.015

LOOK_UPS_PER_FRAME: Final = 3

FIRST_STEPS: Final = 20

MOST_STEPS: Final = 1_000_000

FRAMES_AT_ONCE: Final = 32

HELD_BYTES: Final = 256 * 1024 * 1024

HELD_BYTES_PER_ATOM: Final = 32
"""Of a frame that waits for the next look-up: position, id and type."""

LONGER: Final = 8
"""How many times farther than a run has come its next restart file may be: the farther, the surer its speed."""


SHORTEST_INTERVAL: Final = 3
"""Steps between two restart files: one to check that it can be written, one to take it over."""


class LookUps:
    """Where a run is, and how far to go before looking up: about LOOK_UP_S, and at most so many frames and bytes.

    Within a frame interval it looks up LOOK_UPS_PER_FRAME times, though not sooner than after SHORTEST_LOOK_UP_S, and
    at each frame, so that the frame goes out at once. `step` is the last step that is over.
    """

    def __init__(self, every_steps: int, step: int, atoms: int, *, within_a_frame: bool) -> None:
        self.step = step
        self._first = step
        self._frame_steps = every_steps
        self._within_a_frame = within_a_frame and every_steps > 0
        frames_at_once = max(1, min(FRAMES_AT_ONCE, HELD_BYTES // (HELD_BYTES_PER_ATOM * max(1, atoms))))
        self._most = max(1, every_steps * frames_at_once - (frames_at_once > 1)) if every_steps else MOST_STEPS
        self._step_s = 0.0

    def length(self, last: int) -> int:
        """Steps to the next look-up, none of them beyond the end `last` of the stage."""
        in_time = max(1, int(LOOK_UP_S / self._step_s)) if self._step_s else FIRST_STEPS
        if self._within_a_frame and self._step_s:
            in_time = self._to_next_part(in_time)
        return min(self._most, last - self.step, in_time)

    def restart_step(self, step: int, due_s: float, last: int) -> int:
        """The step after `step` at which to write a restart file that is due in so many seconds.

        It goes by the speed of the run so far, since LAMMPS wants to know the step beforehand. Early files can be thrown
        away, so it is rather too early while the speed is not known well. It is not before the next look-up.
        """
        steps = int(max(0.0, due_s) / self._step_s) if self._step_s else FIRST_STEPS
        farthest = max(FIRST_STEPS, LONGER * (step - self._first))
        return step + max(self.length(last), min(steps, farthest), SHORTEST_INTERVAL)

    def done(self, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        self.step += steps
        if steps:
            self._step_s = seconds / steps

    def _to_next_part(self, longest: int) -> int:
        """Steps to the end of the present part of a frame interval, or of several intervals where these are short."""
        frame, done = self._frame_steps, self.step % self._frame_steps
        shortest = max(1, int(SHORTEST_LOOK_UP_S / self._step_s))
        if shortest >= frame:
            return frame * (shortest // frame) - done
        parts = max(1, frame // min(longest, max(shortest, frame // LOOK_UPS_PER_FRAME)))
        part = -(-frame // parts)
        return min(part - done % part, frame - done)
