"""One plan on its way through LAMMPS: each stage is one `run`, looked at and ended from inside its steps (adapter).

LAMMPS ties much to the beginning and the end of a `run`, so that none may be cut. From inside a step, between two
others, all ranks look up: snapshots that are due go out, and rank 0 decides whether the run ends with this step. LAMMPS
itself writes restart files at the end of a step that was set beforehand.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from moireloop_worker.lammps.console import Console
from moireloop_worker.lammps.library import END_OF_TIME_OUT, NEVER
from moireloop_worker.lammps.restarts import RestartFiles, RestartPoint
from moireloop_worker.lammps.schedule import Leg, LookUps, beginning, conclusion, legs
from moireloop_worker.models.growth_model import Configuration, Plan, Selection, quoted

log = logging.getLogger(__name__)

NEXT: Final = "moireloop_next_restart"

RESTART_STEP: Final = "moireloop_restart_step"
"""LAMMPS takes the step of the next restart file from a variable of style equal; we set the string behind it."""


@dataclass(frozen=True, eq=False)
class Ended:
    """How a plan ended: at which of its steps, whether it was stopped early, and on rank 0 its last instant.

    `resumed_from` is the restart file that it continued from, None when it began with its first step. `goes_on` is
    whether it was stopped so that another attempt continues from there.
    """

    steps: int
    stopped: bool
    final: Configuration | None
    resumed_from: RestartPoint | None = None
    goes_on: bool = False


class Watch:
    """What is done while a plan runs: nothing. A subclass looks at frames and may stop the run.

    `within_a_frame`, looked at on rank 0, is whether to ask so often that what follows from a frame is heard before
    the next one is due.
    """

    within_a_frame = False

    def begin(self, planned_steps: int) -> None:
        """Called before a candidate's run, with the steps of its whole plan; not before a preparation."""

    def frame(self, snapshot: Configuration) -> None:
        """Called for each multiple of `every_steps` but the last step of the run, soon after it.

        On all ranks, one after another alike, where each rank gets its own part; else on rank 0.
        """

    def ended(self) -> None:
        """Called on all ranks when the last frame of a finished run was taken."""

    def stop(self, step: int) -> bool:
        """Called at each look-up with the steps done so far; True ends the run with the step that is under way."""
        return False

    def goes_on(self, step: int) -> bool:
        """Called when `stop` has ended a run that has restart files; True writes one for another attempt."""
        return False

    def concludes(self, step: int) -> bool:
        """Called when `stop` has ended a run for good; True has it do what its plan does after its last step."""
        return False


@dataclass(frozen=True)
class _Orders:
    """What rank 0 decides at a look-up, for all ranks: to stop the run, and in which step to look up next."""

    stop: bool
    look_up: int


@dataclass(frozen=True)
class _NextRestart:
    """What rank 0 decides of a restart file that LAMMPS is about to write: whether it can be written, whether it is to
    be kept, and the step of the one after it."""

    is_writable: bool
    keep: bool
    after_it: int


class PlanRun:
    """One plan in one console.

    Args:
        every_steps: steps between frames; 0 for none.
        watch: as in Engine.run.
        restarts: used on rank 0.
        point: the restart file that the run continues from.

    `has_read` says whether LAMMPS has read the restart file, `has_moved` whether the run got beyond its first steps.
    """

    def __init__(
        self,
        console: Console,
        plan: Plan,
        every_steps: int,
        watch: Watch,
        restarts: RestartFiles | None,
        point: RestartPoint | None,
    ) -> None:
        self._console = console
        self._plan = plan
        self._every_steps = every_steps
        self._watch = watch
        self._restarts = restarts
        self._point = point
        self._leg = Leg((), 0, 0, plan.steps)
        self._stopped = self.has_moved = self.has_read = False
        self._failure: BaseException | None = None
        self._restart_at = self._look_up_at = self._set_up_at = NEVER
        self._written: int | None = None
        self._keeps = False
        self._looked_s = self._held_up_s = 0.0

    def run(self, selection: Selection) -> Ended:
        """Run it from an empty LAMMPS to its end, or until the watch stops it. Raises LammpsError."""
        console, plan, point = self._console, self._plan, self._point
        step, path = (point.step, str(point.path)) if point else (0, None)
        for command in beginning(plan, path, step):
            console.tell(command)
            self.has_read |= command.startswith("read_restart")
        for command in (*console.recorder.commands(self._every_steps), console.callback.command):
            console.command(command)
        with console.own_errors():
            console.recorder.start(step, plan.steps, self._every_steps, selection)
        console.callback.begin(self._on_step)
        self._atoms, within_a_frame = console.lammps.atoms(), self._watch.within_a_frame
        self._look_ups = LookUps(self._every_steps, step, self._atoms, within_a_frame=within_a_frame)
        for leg in legs(plan, step):
            self._run_leg(leg)
            if self._stopped:
                break
        return self._end()

    def _run_leg(self, leg: Leg) -> None:
        """Run what is left of one stage, or what the watch lets it."""
        for command in leg.commands:
            self._console.tell(command)
        while self._look_ups.step < leg.last and not self._stopped:
            self._leg = leg
            self._run_on()

    def _run_on(self) -> None:
        """One `run` to the end of a stage. It ends before that when it is stopped, and where a restart file is due that
        cannot be written."""
        console, leg, first = self._console, self._leg, self._look_ups.step
        orders: _Orders = console.from_first(lambda: self._orders(stop=False))
        self._look_up_at = orders.look_up
        self._begin_restarts()
        console.record.run(leg.last - first, leg.ramp)
        self._begin_clock()
        self._set_up_at = first
        console.callback.next_at(first)
        console.command(f"run {leg.last - first} post no {leg.ramp}")
        console.callback.next_at(NEVER)
        with console.own_errors():
            console.callback.raise_error()
        self._after_run()

    def _after_run(self) -> None:
        """The last look-up of a `run`, from outside. Nothing is stopped or kept at the very last step."""
        console, leg, step = self._console, self._leg, self._console.lammps.step()
        self._passed(step)
        console.pace_s[self._atoms] = self._look_ups.pace_s
        if self._restarts is not None:
            console.command("restart 0")
        if step < leg.last:
            console.command(END_OF_TIME_OUT)
            console.record.ended_after(step - leg.step, leg.ramp)
        with console.own_errors():
            self._hand_out(step)
        if not self._stopped:
            orders: _Orders = console.from_first(lambda: self._orders(stop=self._asks_to_stop(step)))
            self._stopped = orders.stop and step < self._plan.steps
        self._take_over(step, run_is_over=True)
        if self._failure is not None:
            raise self._failure

    def _on_step(self, step: int, atoms: int, ids: int | None, places: int | None) -> int:
        """Called inside a step in which something is to be done; the one before it is the last that is over."""
        console = self._console
        if step == self._set_up_at:
            self._has_set_up(step)
            return self._next_call(step + 1)
        if console.recorder.due(step) == step:
            console.recorder.take(step, atoms, ids, places)
        if step == self._restart_at - 1 and not self._prepare_restart():
            console.lammps.end_run()
            return NEVER
        if step >= self._look_up_at:
            self._look_up(step - 1)
            if self._stopped:
                console.lammps.end_run()
                return NEVER
        return self._next_call(step + 1)

    def _next_call(self, step: int) -> int:
        """The next step, from `step` on, in which something is to be done."""
        due = self._console.recorder.due(step)
        calls = [self._look_up_at, NEVER if due is None else due]
        if self._restart_at > step:
            calls.append(self._restart_at - 1)
        return max(step, min(calls))

    def _look_up(self, step: int) -> None:
        """From inside the step after `step`, the last one that is over."""
        self._passed(step)
        self._hand_out(step)
        orders: _Orders = self._console.from_first(lambda: self._orders(stop=self._asks_to_stop(step)))
        self._stopped, self._look_up_at = orders.stop, orders.look_up
        self._take_over(step)
        if self._written is not None:
            self._look_up_at = min(self._look_up_at, self._written + 1)
        self._begin_clock()

    def _orders(self, *, stop: bool) -> _Orders:
        """On rank 0. A look-up is inside a step, so it knows only the steps before that one."""
        step = self._look_ups.step + self._look_ups.length(self._leg.last) + 1
        return _Orders(stop or self._failure is not None, step)

    def _asks_to_stop(self, step: int) -> bool:
        """On rank 0. Its own errors end the run on all ranks first."""
        try:
            return self._watch.stop(step)
        except Exception as error:
            self._failure = error
            return True

    def _hand_out(self, step: int) -> None:
        """Report the frames up to a finished step to the watch. Raises NotANumber."""
        for snapshot in self._console.recorder.recorded(step + 1, self._plan.timestep_ps):
            try:
                self._watch.frame(snapshot)
            except Exception as error:
                if self._console.comm.rank != 0:
                    self._console.abort(f"frame of step {snapshot.step} cannot be sent: {error}")
                self._failure = error

    def _begin_clock(self) -> None:
        self._looked_s, self._held_up_s = time.perf_counter(), self._console.callback.held_up_s

    def _passed(self, step: int) -> None:
        """Up to this step all is over: how fast it went, without the time that we held it up."""
        held_up_s = self._console.callback.held_up_s - self._held_up_s
        self._look_ups.done(step - self._look_ups.step, time.perf_counter() - self._looked_s - held_up_s)
        self.has_moved = True

    def _begin_restarts(self) -> None:
        """Have LAMMPS write a restart file in the `run` that follows; it asks for the step when it has set up."""
        restarts, console = self._restarts, self._console
        if restarts is None:
            return
        console.command(f"variable {NEXT} string {NEVER}")
        console.command(f"variable {RESTART_STEP} equal v_{NEXT}")
        console.command(f"restart v_{RESTART_STEP} {quoted(console.from_first(lambda: restarts.root))}")

    def _has_set_up(self, step: int) -> None:
        """Called when LAMMPS has computed the first forces of a `run`, at its first step."""
        known_s = self._console.pace_s.get(self._atoms, 0.0)
        restarts, setup_s = self._restarts, known_s or time.perf_counter() - self._looked_s
        self._begin_clock()
        if restarts is not None:
            self._restart_at = self._console.from_first(
                lambda: self._look_ups.restart_step(step, restarts.due_s(), self._leg.last, setup_s)
            )
            self._console.lammps.set_string(NEXT, str(self._restart_at))

    def _restart_step(self, step: int, due_s: float) -> int:
        return self._look_ups.restart_step(step, due_s, self._leg.last)

    def _prepare_restart(self) -> bool:
        """Inside the step before a restart file's; returns False if the file cannot be written.

        LAMMPS would end on a single rank if it cannot open its file, and wants to know the step of the one after it
        when it writes it.
        """
        following: _NextRestart = self._console.from_first(lambda: self._next_restart(self._restart_at))
        if not following.is_writable:
            self._restart_at = NEVER
            return False
        self._console.lammps.set_string(NEXT, str(following.after_it))
        self._written, self._keeps = self._restart_at, following.keep
        self._restart_at = following.after_it
        self._look_up_at = min(self._look_up_at, self._written + 1)
        return True

    def _next_restart(self, step: int) -> _NextRestart:
        """On rank 0."""
        restarts = self._restarts
        if restarts is None or restarts.raw(step) is None:
            return _NextRestart(False, False, NEVER)
        keep = restarts.is_due()
        due_s = restarts.every_s if keep else restarts.due_s()
        return _NextRestart(True, keep, self._restart_step(step, due_s))

    def _take_over(self, step: int, *, run_is_over: bool = False) -> None:
        """Keep the restart file that LAMMPS has written by now, if the run continues."""
        written, restarts = self._written, self._restarts
        if written is None or restarts is None or (step < written and not run_is_over):
            return
        self._written = None
        if self._console.comm.rank == 0:
            keep = self._keeps and not self._stopped and written <= step and written < self._plan.steps
            restarts.take_over(written, written * self._plan.timestep_ps, keep=keep)

    def _write_restart(self) -> None:
        """Write a restart file of the present step, between two runs."""
        restarts, step = self._restarts, self._look_ups.step
        raw: Path | None = self._console.from_first(lambda: restarts.raw() if restarts else None)
        if restarts is None or raw is None:
            return
        self._console.command(f"write_restart {quoted(str(raw))}")
        if self._console.comm.rank == 0:
            restarts.keep(raw, step, step * self._plan.timestep_ps)

    def _end(self) -> Ended:
        """Decide what becomes of a run that was stopped, and look at the last instant."""
        console, step, goes_on = self._console, self._look_ups.step, False
        if self._stopped:
            goes_on = console.from_first(lambda: self._restarts is not None and self._watch.goes_on(step))
            if goes_on:
                self._write_restart()
            elif console.from_first(lambda: self._watch.concludes(step)):
                self._conclude(step)
        self._watch.ended()
        return Ended(step, self._stopped, self._present(step), self._point, goes_on)

    def _conclude(self, step: int) -> None:
        """A minimization may move the step counter over steps that are still due for frames: none are taken."""
        self._console.recorder.rest()
        for command in conclusion(self._plan, step):
            self._console.tell(command)

    def _present(self, step: int) -> Configuration | None:
        """The last instant. Its forces are computed once more, since LAMMPS tallies energies only on order.

        What varies along a run has its value at this step of the last one. LAMMPS's own counter is beyond the plan's
        steps when the last stage has minimized.
        """
        console, leg = self._console, self._leg
        end = max(leg.last, console.lammps.step())
        for command in (*console.recorder.end_commands(), f"run 0 post no start {leg.first} stop {end}"):
            console.command(command)
        with console.own_errors():
            return console.recorder.present(step, self._plan.timestep_ps)
