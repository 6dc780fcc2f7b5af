"""The commands that LAMMPS gets from a plan, from its first step or from a restart file, and when to look up (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from moireloop_worker.inputs.superseded import in_force
from moireloop_worker.models.growth_model import Once, Plan, quoted

LOOK_UP_S: Final = 0.5
"""Seconds between two look-ups. Each one costs a run a millisecond or two: its caches are cold afterwards, and where
workers and services share cores, sending frames wakes those that wait for them."""

SHORTEST_LOOK_UP_S: Final = 0.015

LOOK_UPS_PER_FRAME: Final = 2

FIRST_STEPS: Final = 20

MOST_STEPS: Final = 1_000_000

FRAMES_AT_ONCE: Final = 32

HELD_BYTES: Final = 256 * 1024 * 1024

HELD_BYTES_PER_ATOM: Final = 32
"""Of a frame that waits for the next look-up: position, id and type."""

LONGER: Final = 8
"""How many times farther than a run has come its next restart file may be: the farther, the surer its speed."""


NO_FURTHER: Final = 1_000_000_000

SHORTEST_INTERVAL: Final = 3
"""Steps between two restart files: one to check that it can be written, one to take it over."""

FORGET: Final = "run 0 post no"
"""LAMMPS gives what a restart file has of a fix to each new fix of that name, until its first run."""

MOVES_NOTHING: Final = frozenset({"group", "ndx2group", "run"})
"""Commands that, marked as `Once` too, leave atoms and cell as they are; such a `run` is one of no steps."""


@dataclass(frozen=True)
class Leg:
    """What is to be run of one stage: `commands`, then the steps from `step` to `last`.

    The stage spans the steps from `first` to `last`, and so do its ramps, wherever in it the leg begins.
    """

    commands: tuple[str, ...]
    step: int
    first: int
    last: int

    @property
    def ramp(self) -> str:
        """The keywords of LAMMPS's `run` that define what its ramps span."""
        return f"start {self.first} stop {self.last}"


def beginning(plan: Plan, restart_file: str | None = None, step: int = 0) -> tuple[str, ...]:
    """The commands before the first leg; a restart file of this step takes the place of the plan's structure."""
    if restart_file is None:
        return (*plan.setup, *plan.structure, *plan.forces)
    forces, _ = _commands_after_restart(plan, step)
    return (*plan.setup, f"read_restart {quoted(restart_file)}", *forces)


def legs(plan: Plan, step: int = 0) -> tuple[Leg, ...]:
    """What is left to run after `step` steps of a plan, one leg for each stage that is not over.

    The commands of stages that were begun come before the first leg's, as far as they are in force and not marked as
    `Once`. On the border of two stages the second one was not begun. There LAMMPS is made to forget what the file
    remembers of fixes, so that a new one of the same name starts over.
    """
    left: list[Leg] = []
    first = 0
    for stage in plan.stages:
        last = first + stage.steps
        if not _is_over(first, last, step):
            commands = stage.commands
            if step and not left:
                commands = (*_commands_after_restart(plan, step)[1], *(() if first < step else (FORGET, *commands)))
            left.append(Leg(commands, max(first, step), first, last))
        first = last
    return tuple(left)


def _is_over(first: int, last: int, step: int) -> bool:
    """Whether a stage has nothing left to do after `step` steps. One without steps is done on its border."""
    return first < step and last <= step


def _commands_after_restart(plan: Plan, step: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the forces, and of all stages that were begun by this step, what is given again after a restart file."""
    begun: list[str] = []
    first = 0
    for stage in plan.stages:
        begun += stage.commands if first < step else ()
        first += stage.steps
    forces, stages = _repeatable(plan.forces), _repeatable(begun)
    commands = in_force((*forces, *stages))
    return _without_none(commands[: len(forces)]), _without_none(commands[len(forces) :])


def _without_none(commands: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(text for text in commands if text is not None)


def conclusion(plan: Plan, step: int) -> tuple[str, ...]:
    """The commands for a run that is ended early at `step`, so that its structure compares with whole runs.

    These are the commands of a last stage without steps. Before them come the commands of stages that were not begun,
    except any that change atoms or cell. So the same forces act and the same names are known.
    """
    if not plan.stages or plan.stages[-1].steps:
        return ()
    commands: list[str] = []
    first = 0
    for stage in plan.stages[:-1]:
        if first >= step:
            commands += [c for c in stage.commands if not isinstance(c, Once) or c.split()[0] in MOVES_NOTHING]
        first += stage.steps
    return (*commands, *plan.stages[-1].commands)


def _repeatable(commands: Iterable[str]) -> tuple[str, ...]:
    return tuple(command for command in commands if not isinstance(command, Once))


class LookUps:
    """Where a run is, and how far to go before looking up: about LOOK_UP_S, with limits on frames and bytes.

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
        self._passed_s = 0.0

    def length(self, last: int) -> int:
        """Steps to the next look-up, none of them beyond the end `last` of the stage."""
        in_time = max(1, int(LOOK_UP_S / self._step_s)) if self._step_s else FIRST_STEPS
        if self._within_a_frame and self._step_s:
            in_time = self._to_next_part(in_time)
        return min(self._most, last - self.step, in_time)

    def restart_step(self, step: int, due_s: float, last: int, setup_s: float = 0.0) -> int:
        """The step after `step` at which to write a restart file that is due in a number of seconds.

        LAMMPS needs the step beforehand, so the step follows from the speed so far. At first it follows from the time
        that LAMMPS took to set up, which is the time of a step or more. Early files can be thrown away, so the step is
        rather too early. It is not before the next look-up.
        """
        steps = int(max(0.0, due_s) / (self.pace_s or setup_s or due_s or 1.0))
        if self.pace_s:
            steps = min(steps, max(FIRST_STEPS, LONGER * (step - self._first)))
        return step + max(self.length(last), min(steps, NO_FURTHER), SHORTEST_INTERVAL)

    def done(self, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        self.step += steps
        if steps:
            self._step_s = seconds / steps
            self._passed_s += seconds

    @property
    def pace_s(self) -> float:
        """Seconds for a step, of late or on average, whichever is more; 0 before the first ones."""
        done = self.step - self._first
        return max(self._step_s, self._passed_s / done) if done else 0.0

    def _to_next_part(self, longest: int) -> int:
        """Steps to the end of the present part of a frame interval, or of several intervals where these are short."""
        frame, done = self._frame_steps, self.step % self._frame_steps
        shortest = max(1, int(SHORTEST_LOOK_UP_S / self._step_s))
        if shortest >= frame:
            return frame * (shortest // frame) - done
        parts = max(1, frame // min(longest, max(shortest, frame // LOOK_UPS_PER_FRAME)))
        part = -(-frame // parts)
        return min(part - done % part, frame - done)
