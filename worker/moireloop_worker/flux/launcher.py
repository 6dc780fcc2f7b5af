"""Starts each worker as one job of Flux, its ranks connected by Flux's PMI-1 (adapter)."""

from __future__ import annotations

import logging
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from moireloop_worker.flux.bindings import flux_bindings
from moireloop_worker.flux.instance import FluxInstance, Job
from moireloop_worker.flux.job_end import exit_of_job, is_waiting
from moireloop_worker.flux.job_options import job_options, why_refused
from moireloop_worker.flux.survey import survey
from moireloop_worker.launchers.allocation import Allocation
from moireloop_worker.launchers.launcher import Exit, Launch
from moireloop_worker.launchers.rank_environment import rank_environment

log = logging.getLogger(__name__)

TAIL_BYTES: Final = 8192


class FluxLauncher:
    """Workers in the Flux instance around this process. What an earlier pool of this name left there is cancelled."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._folder = launch.log_folder.parent.resolve()
        self._instance = FluxInstance()
        if left := self._instance.end(self._is_left, "left by a pool that is gone"):
            log.warning("jobs of an earlier pool were cancelled number=%d", len(left))

    @staticmethod
    def survey() -> Allocation:
        """What the Flux instance has for workers. Raises CannotLaunch."""
        return survey()

    @staticmethod
    def why_refused(options: Mapping[str, str]) -> str | None:
        """What is wrong with `workers.launcher_options`; None where nothing is."""
        return why_refused(options)

    def start(self, worker: str) -> FluxWorker:
        """Submit the job of a worker. Raises CannotLaunch."""
        self._launch.log_folder.mkdir(parents=True, exist_ok=True)
        log_file = self._launch.log_folder.resolve() / f"{worker}.log"
        log_file.touch()
        start = log_file.stat().st_size
        return FluxWorker(self._instance, self._instance.submit(self._jobspec(worker, log_file)), log_file, start)

    def ends_s(self) -> float | None:
        """When the allocation ends, in seconds since the epoch; None without an end."""
        return self._instance.ends_s()

    def _jobspec(self, worker: str, log_file: Path) -> Any:
        launch = self._launch
        command = lifeline_command([*launch.command, "--name", worker], signal.SIGKILL, parent=ANY_PARENT)
        spec = flux_bindings().job.JobspecV1.from_command(
            command,
            num_tasks=launch.ranks,
            cores_per_task=launch.cores,
            gpus_per_task=launch.gpus or None,
            num_nodes=launch.nodes,
        )
        spec.cwd = str(self._folder)
        spec.environment = rank_environment(os.environ, launch.ranks, launch.interface, launch.nodes)
        spec.setattr("system.job.name", launch.job_name(worker))
        ours = {
            "exit-on-error": 1,
            "output.stdout.type": "file",
            "output.stdout.path": str(log_file),
            "output.mode": "append",
        }
        asked = job_options(launch.options)
        for name, value in {**({"gpu-affinity": "per-task"} if launch.gpus else {}), **asked.shell, **ours}.items():
            spec.setattr_shell_option(name, value)
        for name, value in asked.attributes.items():
            spec.setattr(name, value)
        if asked.exclusive:
            spec.resources[0]["exclusive"] = True
        return spec

    def _is_left(self, name: str, cwd: str) -> bool:
        """Whether a job is one of a pool of this name for this campaign in this folder."""
        begin, pool = re.escape(self._launch.job_name("")), re.escape(self._launch.pool)
        return cwd == str(self._folder) and re.fullmatch(rf"{begin}({pool}-)?worker-\d+", name) is not None


class FluxWorker:
    """A worker in a job of Flux."""

    def __init__(self, instance: FluxInstance, job: Job, log_file: Path, log_start: int) -> None:
        self._instance = instance
        self._job = job
        self._log_file = log_file
        self._log_start = log_start
        self._asked = False
        self._exit: Exit | None = None

    @property
    def waiting(self) -> bool:
        """Whether the job has no place yet."""
        return self._exit is None and is_waiting(self._job.events)

    def poll(self) -> Exit | None:
        """How the worker ended, None while it runs or waits."""
        if self._exit is None:
            self._instance.look()
            self._exit = exit_of_job(self._job.events, b"", asked=self._asked)
            if self._exit is not None:
                self._exit = exit_of_job(self._job.events, self._words(), asked=self._asked)
            elif self._job.gone is not None:
                self._exit = Exit("lost", self._job.gone)
            if self._exit is not None:
                self._instance.forget(self._job)
        return self._exit

    def hand_back(self) -> None:
        """SIGTERM to all ranks; a job that has no place yet is cancelled."""
        self._asked = True
        if self.waiting:
            self._instance.cancel(self._job.number)
        else:
            self._instance.signal(self._job, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all ranks, and the job's end."""
        self._asked = True
        self._instance.signal(self._job, signal.SIGKILL)
        self._instance.cancel(self._job.number)

    def _words(self) -> bytes:
        try:
            with self._log_file.open("rb") as file:
                file.seek(max(self._log_start, self._log_file.stat().st_size - TAIL_BYTES))
                return file.read()
        except OSError:
            return b""
