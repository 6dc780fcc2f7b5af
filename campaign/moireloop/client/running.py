"""A campaign that a script or notebook has started, in a separate process (adapter).

The process holds the folder's lock, starts the services and ends them, as `moireloop run` does. It leaves the signals,
threads and event loops of the program that starts it alone. The two share a file, to which the process writes one JSON
object a line: that the checks are passed, each result at the end, and how it ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

from moireloop.client.client import CampaignClient, NotRunning, connect
from moireloop.exit_codes import BAD_INPUT, FAILURES, GO_ON, INTERRUPTIONS
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.contract.events import Result
from moireloop_broker.folder import CampaignFolder

PROCESS: Final = "moireloop.commands.running.child"

POLL_S: Final = 0.1

END_S: Final = 120.0
"""Seconds that a process may take to end at once before it is killed."""

Purpose = Literal["run", "fresh", "resume"]


class SessionLost(RuntimeError):
    """The process of a campaign ended without a report; the text has its last output."""


@dataclass(frozen=True)
class StartRequest:
    """The process's input: the prefix of errors, the text of the campaign, its folder, and what to do with it.

    `figures` says whether they are drawn at the end.
    """

    name: str
    text: str
    folder: str
    purpose: Purpose
    figures: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a session of a campaign ended, with all results of the campaign so far, oldest first.

    `exit_code` and `output` are as from `moireloop run`: 0 when the budget is spent or the campaign was stopped.
    """

    folder: Path
    reason: str
    exit_code: int
    results: tuple[Result, ...]
    output: str

    @property
    def is_success(self) -> bool:
        """Whether nothing failed."""
        return self.exit_code == 0


class CampaignRun:
    """A running campaign. Leaving it as a context ends the campaign at once, if it still runs."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, report: IO[bytes], output: IO[bytes]) -> None:
        self.folder = folder
        self._process = process
        self._report = report
        self._output = output
        self._last_words: tuple[list[dict[str, Any]], str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def client(self, timeout_s: float = 120.0) -> CampaignClient:
        """A client of the campaign, once its services respond. The caller closes it.

        Raises:
            NotRunning: they do not within `timeout_s`, or the campaign has ended.
        """
        deadline = time.monotonic() + timeout_s
        while self.is_running and time.monotonic() < deadline:
            with contextlib.suppress(NotRunning, NoConnectionFile):
                client = connect(self.folder, timeout_s=2.0)
                try:
                    client.status()
                except NotRunning:
                    client.close()
                    raise
                client.close()
                return connect(self.folder)
            time.sleep(POLL_S)
        raise NotRunning(f"expected a campaign that responds in {self.folder} within {timeout_s:g} s, got none")

    def wait(self, timeout_s: float | None = None) -> Outcome:
        """Wait for the end of the campaign.

        Raises:
            TimeoutError: it still runs after `timeout_s`.
            ServiceFailed: a service did not start or died again and again.
        """
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"the campaign in {self.folder} is still running after {timeout_s:g} s") from error
        return self._ended()

    def wait_through(self, *, show: bool) -> Outcome:
        """Wait for the end despite interrupts: the first drains the campaign, the second ends it at once.

        Raises:
            KeyboardInterrupt: it was interrupted; the campaign has ended.
            ServiceFailed: as `wait`.
        """
        heard = shown = 0
        with _counted_interrupts() as interrupts:
            while self.is_running:
                shown = self._show(shown) if show else shown
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(POLL_S)
                if len(interrupts) > heard:
                    heard = len(interrupts)
                    self.stop()
        if show:
            self._show(shown)
        if heard:
            raise KeyboardInterrupt
        return self._ended()

    def stop(self) -> None:
        """Let running candidates finish, then end; called again, end at once. It can be resumed."""
        if self.is_running:
            self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End the campaign at once if it still runs, and release it. It can be resumed."""
        self.stop()
        deadline = time.monotonic() + END_S
        with _counted_interrupts():
            while self.is_running and time.monotonic() < deadline:
                self.stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(POLL_S)
            self._process.kill()
            self._process.wait()
        self._let_go()

    def wait_for_checks(self) -> None:
        """Wait until all checks are passed and the folder is the campaign's. Raises what is wrong with it."""
        while self.is_running and not any("held" in line for line in self._messages()):
            time.sleep(POLL_S / 2)
        if not any("held" in line for line in self._messages()):
            self._ended()

    def _ended(self) -> Outcome:
        said, output = self._let_go()
        for line in said:
            if "error" in line:
                raise _error_of(line["error"], line["text"])
        ended = next((line for line in said if "reason" in line), None)
        if ended is None:
            raise SessionLost(f"the process of the campaign in {self.folder} was lost: {output[-2000:].strip()}")
        results = tuple(Result.model_validate_json(json.dumps(line["result"])) for line in said if "result" in line)
        return Outcome(self.folder, ended["reason"], ended["exit_code"], results, output)

    def _let_go(self) -> tuple[list[dict[str, Any]], str]:
        """The reports and the output of a process that has ended. Closes their files."""
        if self._last_words is None:
            self._last_words = list(self._messages()), self._text(self._output)
            self._report.close()
            self._output.close()
        return self._last_words

    def _messages(self) -> Iterator[dict[str, Any]]:
        for line in self._text(self._report).splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)

    def _show(self, shown: int) -> int:
        """Write what has come since; returns how much was written in all."""
        fresh = os.pread(self._output.fileno(), 1 << 20, shown)
        whole = fresh[: fresh.rfind(b"\n") + 1]
        sys.stdout.write(whole.decode("utf-8", "replace"))
        sys.stdout.flush()
        return shown + len(whole)

    def _text(self, file: IO[bytes]) -> str:
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), size, 0).decode("utf-8", "replace")


@contextlib.contextmanager
def _counted_interrupts() -> Iterator[list[int]]:
    """In the main thread, SIGINT becomes an entry of the list; other threads are never interrupted.

    A KeyboardInterrupt inside `Popen.wait` may leave its lock locked, and then the end of the process is never seen.
    """
    interrupts: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    former = signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if former is None else former)


def start(request: StartRequest) -> CampaignRun:
    """Start the process of a campaign, and wait until it has passed all checks. Raises what is wrong with it."""
    report, output = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-m", PROCESS, str(os.getpid()), str(report.fileno())],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[report.fileno()],
        start_new_session=True,
    )
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            stdin.write(json.dumps(asdict(request)).encode())
    running = CampaignRun(process, CampaignFolder(Path(request.folder)).root, report, output)
    try:
        running.wait_for_checks()
    except BaseException:
        running.close()
        raise
    return running


def _error_of(name: str, text: str) -> BaseException:
    """The error that the process reported, in its own class if commands know it."""
    if name not in BAD_INPUT | FAILURES | GO_ON | INTERRUPTIONS:
        return SessionLost(text)
    module, _, kind = name.rpartition(".")
    found: type[BaseException] = getattr(import_module(module), kind)
    return found(text)
