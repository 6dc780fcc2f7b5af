"""Gateways as a user starts them: `moireloop dashboard` in its own process."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.http import Caller
from tests.helpers.waiting import wait_until


@dataclass
class RunningGateway:
    """A gateway that listens."""

    process: subprocess.Popen[bytes]
    port: int
    controller: str
    observer: str

    @property
    def steering(self) -> Caller:
        return Caller(self.port, self.controller)

    @property
    def looking(self) -> Caller:
        return Caller(self.port, self.observer)

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def end(self) -> int:
        """Ctrl-C; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(20)
        self.kill()
        raise AssertionError("the gateway did not end within 20 s of Ctrl-C")


def start_gateway(tokens: Path, *given: Path | str, port: int = 0) -> RunningGateway:
    """Start a gateway and wait until it listens; `tokens` is its file of tokens."""
    output = tokens.with_suffix(".txt")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "moireloop",
                "dashboard",
                *map(str, given),
                "--port",
                str(port),
                "--tokens",
                str(tokens),
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    wait_until(lambda: process.poll() is not None or "to look" in output.read_text(), "the gateway's links")
    assert process.poll() is None, output.read_text()
    kept = json.loads(tokens.read_text())
    bound = int(output.read_text().partition("127.0.0.1:")[2].partition("/")[0])
    return RunningGateway(process, bound, kept["controller"], kept["observer"])


@contextmanager
def gateway(tokens: Path, *given: Path | str) -> Iterator[RunningGateway]:
    """A gateway for as long as the block lasts; it ends in good order."""
    running = start_gateway(tokens, *given)
    try:
        yield running
        assert running.end() == 0
    finally:
        if running.process.poll() is None:
            running.kill()
