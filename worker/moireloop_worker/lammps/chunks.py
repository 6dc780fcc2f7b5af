"""In which pieces the steps of a run are done (pure)."""

from __future__ import annotations

from typing import Final

ANSWER_S: Final = 0.25

SHORTEST_ANSWER_S: Final = 0.015

ANSWERS_PER_FRAME: Final = 3

FIRST_STEPS: Final = 20

MOST_STEPS: Final = 1_000_000

FRAMES_AT_ONCE: Final = 32

HELD_BYTES: Final = 256 * 1024 * 1024

HELD_BYTES_PER_ATOM: Final = 32
"""Of a frame that waits for the end of its chunk: position, id and type."""


class Chunks:
    """Where a run is, and how far to go before looking up: about ANSWER_S, and at most so many frames and bytes.

    Within a frame interval it looks up ANSWERS_PER_FRAME times, though not sooner than after SHORTEST_ANSWER_S, and
    at each frame, so that the frame goes out at once. `set_up` is whether LAMMPS can go on where it is without
    setting up anew.
    """

    def __init__(self, every_steps: int, step: int, atoms: int, *, within_a_frame: bool) -> None:
        self.step = step
        self.set_up = False
        self._frame_steps = every_steps
        self._within_a_frame = within_a_frame and every_steps > 0
        frames_at_once = HELD_BYTES // (HELD_BYTES_PER_ATOM * max(1, atoms))
        self._most = every_steps * max(1, min(FRAMES_AT_ONCE, frames_at_once)) or MOST_STEPS
        self._step_s = 0.0

    def length(self, last: int) -> int:
        """Steps of the next chunk, none of them beyond the end `last` of the stage."""
        in_time = max(1, int(ANSWER_S / self._step_s)) if self._step_s else FIRST_STEPS
        if self._within_a_frame and self._step_s:
            in_time = self._to_next_part(in_time)
        return min(self._most, last - self.step, in_time)

    def _to_next_part(self, longest: int) -> int:
        """Steps to the end of the present part of a frame interval, or of several intervals where these are short."""
        frame, done = self._frame_steps, self.step % self._frame_steps
        shortest = max(1, int(SHORTEST_ANSWER_S / self._step_s))
        if shortest >= frame:
            return frame * (shortest // frame) - done
        parts = max(1, frame // min(longest, max(shortest, frame // ANSWERS_PER_FRAME)))
        part = -(-frame // parts)
        return min(part - done % part, frame - done)

    def done(self, steps: int, seconds: float) -> None:
        """A chunk of so many steps took so long."""
        self.step += steps
        self.set_up = True
        self._step_s = seconds / steps
