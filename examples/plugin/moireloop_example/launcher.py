"""A launcher: workers of one rank on this machine, at low priority."""

import signal
import subprocess

from moireloop_broker.processes.lifeline import lifeline_command
from moireloop_worker.launchers.launcher import CannotLaunch, Exit


class NiceLauncher:
    """Called with a `Launch`: the worker's command line, and where and how wide it runs."""

    def __init__(self, launch):
        if launch.ranks != 1:
            raise CannotLaunch(f"expected workers of one rank, got {launch.ranks}")
        self.launch = launch

    def start(self, worker):
        """Start a worker; `lifeline_command` ends it when this process ends. Raises CannotLaunch."""
        command = lifeline_command(["nice", *self.launch.command, "--name", worker], signal.SIGKILL)
        self.launch.log_folder.mkdir(parents=True, exist_ok=True)
        with (self.launch.log_folder / f"{worker}.log").open("ab") as log:
            return NiceWorker(subprocess.Popen(command, stdout=log, stderr=log))  # noqa: S603

    def ends_s(self):
        """None: this machine is not taken away."""


class NiceWorker:
    """One worker."""

    waiting = False  # it needs no place in a queue

    def __init__(self, process):
        self.process = process

    def poll(self):
        """None while it runs, then how it ended; the kind decides whether the attempt is charged."""
        code = self.process.poll()
        if code is None:
            return None
        return Exit("stopped", "ended") if code == 0 else Exit("error", f"exit code {code}")

    def hand_back(self):
        """SIGTERM asks a worker to write a restart file, give its candidate back and end."""
        self.process.terminate()

    def kill(self):
        """End it at once."""
        self.process.kill()
