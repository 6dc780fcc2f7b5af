"""One connection to a Flux instance: jobs submitted, watched, signalled and found by name (adapter)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from moireloop_worker.flux.bindings import flux_bindings, open_flux
from moireloop_worker.flux.job_end import Event
from moireloop_worker.launchers.launcher import CannotLaunch

ASK_AGAIN_S: Final = 30.0

LEFTOVERS_END_S: Final = 10.0

NOWAIT: Final = 1
"""FLUX_REACTOR_NOWAIT of flux_reactor_run(3)."""


class Job:
    """A job that was submitted; its events come in while its instance is looked at."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.events: list[Event] = []
        self.gone: str | None = None

    def hear(self, stream: Any) -> None:
        """Take the next event of the job's event log; `gone` says why there are no more of them."""
        try:
            event = stream.get_event()
        except OSError as error:
            self.gone = f"Flux no longer reports on the job: {error}"
            return
        if event is not None:
            self.events.append(event)


class FluxInstance:
    """Jobs in the Flux instance around this process. A broker that is gone is looked for again with the next job."""

    def __init__(self) -> None:
        self._flux = flux_bindings()
        self._handle = open_flux()
        self._jobs: list[Job] = []
        self._ends_s: float | None = None
        self._asked_s: float | None = None

    def submit(self, jobspec: Any) -> Job:
        """Submit a job and watch it. Raises CannotLaunch."""
        if self._handle is None:
            self._handle = open_flux()
        try:
            job = Job(int(self._flux.job.submit(self._handle, jobspec)))
            self._flux.job.event_watch_async(self._handle, job.number).then(job.hear)
        except OSError as error:
            self.look()  # a broker that is gone is seen
            raise CannotLaunch(f"Flux refuses the job of a worker: {error}") from error
        self._jobs.append(job)
        return job

    def look(self) -> None:
        """Take in Flux's events since the last call; never waits."""
        if self._handle is None:
            return
        try:
            still_watched = self._handle.flux_reactor_run(self._handle.get_reactor(), NOWAIT)
        except OSError as error:
            self._lose(str(error))
            return
        if still_watched < 0:
            self._lose("no connection to it")

    def forget(self, job: Job) -> None:
        """Nothing more is asked of this job."""
        if job in self._jobs:
            self._jobs.remove(job)

    def signal(self, job: Job, number: int) -> None:
        """Send a signal to all ranks of a job; one that has none is cancelled."""

        def heard(future: Any) -> None:
            try:
                future.get()
            except OSError:
                self.cancel(job.number)

        self._tell(lambda: self._flux.job.kill_async(self._handle, job.number, number).then(heard))

    def cancel(self, number: int, reason: str | None = None) -> None:
        """Cancel a job; does not wait."""
        self._tell(lambda: self._flux.job.cancel_async(self._handle, number, reason).then(_ignore))

    def active(self, is_meant: Callable[[str, str], bool]) -> list[int]:
        """Jobs of this user that wait or run, chosen by their names and working directories."""
        listed = self._flux.job.JobList(
            self._handle, attrs=["name", "cwd"], filters=["pending", "running"], user=str(os.getuid()), max_entries=0
        ).jobs()
        return [int(job.id) for job in listed if is_meant(job.name, job.cwd)]

    def end(self, is_meant: Callable[[str, str], bool], reason: str) -> list[int]:
        """Cancel the jobs that are meant, and wait a while for their end. Returns those that were cancelled.

        Raises CannotLaunch when the instance goes away meanwhile.
        """
        try:
            return self._end(is_meant, reason)
        except OSError as error:
            raise CannotLaunch(f"expected Flux to list the jobs of an earlier pool: {error}") from error

    def _end(self, is_meant: Callable[[str, str], bool], reason: str) -> list[int]:
        jobs = self.active(is_meant)
        for number in jobs:
            self._flux.job.cancel(self._handle, number, reason)
        deadline_s = time.monotonic() + LEFTOVERS_END_S
        while jobs and self.active(is_meant) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return jobs

    def ends_s(self) -> float | None:
        """When the instance, or the job that this process is in, ends: seconds since the epoch; None without an end.

        The clock of a handle that is kept stands still between its uses, so each question gets a new handle.
        """
        now_s = time.monotonic()
        if self._asked_s is None or now_s - self._asked_s >= ASK_AGAIN_S:
            self._asked_s = now_s
            self._ends_s = self._ask_end()
        return self._ends_s

    def _ask_end(self) -> float | None:
        try:
            left_s = float(self._flux.job.timeleft(self._flux.Flux()))
        except OSError:
            return None
        now_s = time.time()  # the end of an allocation is a date
        return now_s + left_s if left_s < float(2**31) else None

    def _tell(self, call: Callable[[], object]) -> None:
        try:
            call()
        except OSError as error:
            self._lose(str(error))

    def _lose(self, reason: str) -> None:
        """The broker is gone, and with it all that was known of the jobs."""
        for job in self._jobs:
            job.gone = job.gone or f"the Flux broker is gone: {reason}"
        self._jobs.clear()
        self._handle = None


def _ignore(future: Any) -> None:
    """A request about a job that is over fails, which is what was wanted."""
    try:
        future.get()
    except OSError:
        return
