"""Starts each worker as one step of the Slurm job around this process, its ranks connected by Slurm's PMI-2 (adapter).

The step is held by its srun: it lives as long as that does, and srun dies with this process.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from moireloop_worker.launchers.allocation import Allocation, Shape
from moireloop_worker.launchers.launcher import CannotLaunch, Exit, Launch
from moireloop_worker.launchers.rank_environment import rank_environment
from moireloop_worker.slurm.job import JobEnd, end_steps, job_id, survey
from moireloop_worker.slurm.options import why_refused
from moireloop_worker.slurm.step_command import step_command, step_environment
from moireloop_worker.slurm.step_end import exit_of_step, is_doomed, is_waiting, telling

log = logging.getLogger(__name__)

TAIL_BYTES: Final = 8192

MOST_SAID_BYTES: Final = 4_000_000

OBEYS_S: Final = 5.0
"""After SIGTERM srun kills its step and ends; one that does not is killed itself, and slurmctld ends the step."""

ASK_AGAIN_S: Final = 1.0

FIRST_ANSWER_S: Final = 10.0


class SlurmLauncher:
    """Workers as steps of this Slurm job. What an earlier pool of this name left in the job is cancelled."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._end = JobEnd(job_id())
        self._environment = step_environment(rank_environment(os.environ, launch.ranks, launch.interface, launch.nodes))
        if left := end_steps(launch.job_name("")):
            log.warning("steps of an earlier pool were cancelled steps=%s", ",".join(left))
        self._end.ends_s(FIRST_ANSWER_S)

    @staticmethod
    def survey() -> Allocation:
        """What the job has for workers. Raises CannotLaunch."""
        return survey()

    @staticmethod
    def why_refused(options: Mapping[str, str]) -> str | None:
        """What is wrong with `workers.launcher_options`, tried where there is a job; None where nothing is."""
        return why_refused(options)

    def start(self, worker: str) -> SlurmWorker:
        """Start the step of a worker; call it in the main thread, whose end ends it too. Raises CannotLaunch."""
        launch = self._launch
        folder = launch.log_folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        log_file, said_file = folder / f"{worker}.log", folder / f".{worker}.srun"
        log_file.touch()
        rank = lifeline_command([*launch.command, "--name", worker], signal.SIGKILL, parent=ANY_PARENT)
        shape = Shape(launch.ranks, launch.cores, launch.gpus, launch.nodes)
        command = step_command(shape, launch.options, launch.job_name(worker), str(folder.parent), str(log_file), rank)
        log_start = log_file.stat().st_size
        with said_file.open("wb") as said:
            try:
                process = subprocess.Popen(  # noqa: S603
                    lifeline_command(command, signal.SIGTERM),
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=self._environment,
                )
            except OSError as error:
                raise CannotLaunch(f"cannot start srun: {error}") from error
        return SlurmWorker(process, said_file, log_file, log_start)

    def ends_s(self) -> float | None:
        """When the job ends, in seconds since the epoch; None without an end."""
        return self._end.ends_s()


class SlurmWorker:
    """A worker in a step; `pid` is its srun's."""

    def __init__(self, process: subprocess.Popen[bytes], said_file: Path, log_file: Path, log_start: int) -> None:
        self._process = process
        self._said_file = said_file
        self._log_file = log_file
        self._log_start = log_start
        self._said = ""
        self._said_bytes = 0
        self._asked = False
        self._asked_s = 0.0
        self._ended_s: float | None = None
        self._exit: Exit | None = None

    @property
    def pid(self) -> int:
        """Process id of srun."""
        return self._process.pid

    @property
    def waiting(self) -> bool:
        """Whether the step has no place yet."""
        return self._exit is None and is_waiting(self._said)

    def poll(self) -> Exit | None:
        """How the worker ended, None while it runs or waits. A step of which a rank has died is killed."""
        if self._exit is not None:
            return self._exit
        code = self._process.poll()
        self._hear()
        if code is None:
            if is_doomed(self._said):
                self._end()
            elif self._asked and self._ended_s is None and time.monotonic() - self._asked_s > ASK_AGAIN_S:
                self._ask()
            return None
        self._exit = exit_of_step(code, self._said, self._words(), asked=self._asked)
        self._keep_what_was_said()
        return self._exit

    def hand_back(self) -> None:
        """SIGUSR1, which srun passes on to all ranks; a step that has no place yet is given up."""
        self._asked = True
        self._ask()

    def kill(self) -> None:
        """SIGKILL to all ranks."""
        self._asked = True
        self._end()

    def _ask(self) -> None:
        """Ask the ranks to end. They do not hear it while they start, so they are asked again."""
        self._asked_s = time.monotonic()
        self._hear()
        if is_waiting(self._said):
            self._end()
        else:
            self._process.send_signal(signal.SIGUSR1)

    def _end(self) -> None:
        """Have srun kill its step, which it does at SIGTERM; srun itself is killed where it does not obey."""
        now_s = time.monotonic()
        if self._ended_s is None:
            self._ended_s = now_s
            self._process.terminate()
        elif now_s - self._ended_s > OBEYS_S:
            self._process.kill()

    def _hear(self) -> None:
        if self._said_file.stat().st_size != self._said_bytes:
            said = self._said_file.read_bytes()[:MOST_SAID_BYTES]
            self._said, self._said_bytes = said.decode(errors="replace"), len(said)

    def _words(self) -> bytes:
        with self._log_file.open("rb") as file:
            file.seek(max(self._log_start, self._log_file.stat().st_size - TAIL_BYTES))
            return file.read()

    def _keep_what_was_said(self) -> None:
        """Put what srun has said beneath the worker's own words, where a person looks for them."""
        if said := telling(self._said):
            with self._log_file.open("a", encoding="utf-8") as file:
                file.write(said)
