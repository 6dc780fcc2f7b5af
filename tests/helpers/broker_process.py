"""A broker as a process, with a private Redis in its own folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from moireloop import connect
from moireloop_broker.connection import free_port, new_password, write_connection
from moireloop_broker.state.redis_client import responds
from moireloop_broker.state.settings_store import write_settings_file
from tests.helpers.connections import connection_of
from tests.helpers.waiting import wait_until


class BrokerProcess:
    """A broker with a private Redis in its own folder."""

    def __init__(self, folder: Path) -> None:
        redis_url = f"redis://:{new_password()}@127.0.0.1:{free_port('127.0.0.1')}/0"
        self.connection = connection_of(
            "test",
            folder,
            redis_url,
            private_redis=True,
            events=f"tcp://127.0.0.1:{free_port('127.0.0.1')}",
            control=f"tcp://127.0.0.1:{free_port('127.0.0.1')}",
        )
        self.file = folder / "connection.json"
        write_connection(self.connection, self.file)
        settings = {
            "workers": {"lease_s": 5.0, "max_attempts": 3},
            "space": {"temperature_k": [1000.0, 3000.0]},
            "targets": [{"twist_deg": 8.0}],
            "budget": {"results": 1000},
            "growth": {"model": "bead"},
            "optimizer": {"strategy": "auto"},
        }
        write_settings_file(folder, settings)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "moireloop_broker", "--connection", str(self.file)]
        with (self.file.parent / "broker.log").open("ab") as output:
            self.process = subprocess.Popen(command, stderr=output)
        wait_until(lambda: responds(self.connection.redis_url), "Redis answers")
        with connect(self.file, timeout_s=30) as client:
            client.status()

    def kill(self, number: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(20)
