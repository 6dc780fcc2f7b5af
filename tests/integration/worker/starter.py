"""Starts a worker with the local launcher, writes mpiexec's process id into a file, and waits to be killed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from moireloop_worker.launchers.launcher import Launch
from moireloop_worker.launchers.local import LocalLauncher

if __name__ == "__main__":
    command, ranks, folder = json.loads(sys.argv[1])
    worker = LocalLauncher(Launch(tuple(command), ranks, Path(folder))).start("worker-0")
    (Path(folder) / "pid").write_text(str(worker.pid), encoding="ascii")
    time.sleep(600)
