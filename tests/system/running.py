"""A campaign run as a user runs it: the command line in a process, real services, and signals from outside."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

from moireloop import NotRunning, connect
from moireloop.campaign_file.load import load_campaign
from moireloop.session.records import stored_state
from moireloop_broker.connection import NoConnectionFile, read_connection
from moireloop_broker.contract.events import CandidateQueued, Event, Result
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.event_log import EventLog
from moireloop_optimizer.sobol import sobol_points
from tests.helpers.campaign_files import SPACE, Section, campaign_text
from tests.helpers.waiting import wait_until


def is_answering(folder: Path) -> bool:
    """Whether the campaign of a folder has begun and answers."""
    try:
        with connect(folder, timeout_s=2) as client:
            return client.status().state in ("started", "resumed")
    except (NotRunning, NoConnectionFile):
        return False


def short_campaign(*, results: int, steps: tuple[int, int], strategy: str) -> str:
    """The campaign file of a search on a small bead model; `steps` of annealing and of the quench."""
    anneal_steps, quench_steps = steps
    growth: Section = {"model": "bead", "cells": [8, 8], "melt_steps": 200}
    sections: dict[str, Section] = {
        "growth": {**growth, "anneal_steps": anneal_steps, "quench_steps": quench_steps},
        "workers": {"count": 2, "lease_s": 5, "oversubscribe": True},
        "frames": {"every_steps": 500},
        "optimizer": {"strategy": "random", "initial": 4},
    }
    text = campaign_text("short", sections, results=results)
    return text.replace('strategy = "random"', f'strategy = "{strategy}"')


class RunningCampaign:
    """One campaign in its own folder, its command-line process, and every process that it ever started."""

    def __init__(
        self, folder: Path, *, results: int = 12, steps: tuple[int, int] = (1500, 3000), strategy: str = "random"
    ) -> None:
        self.file = folder / "short.toml"
        self.folder = folder / "short.campaign"
        self.write(results=results, steps=steps, strategy=strategy)
        self.output = folder / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, psutil.Process] = {}

    def write(self, *, results: int, steps: tuple[int, int] = (1500, 3000), strategy: str = "random") -> None:
        """Write the campaign file."""
        text = short_campaign(results=results, steps=steps, strategy=strategy)
        self.file.write_text(text, encoding="utf-8")

    def start(self, command: str = "run", *options: str, figures: bool = False) -> None:
        """Start `moireloop run` or `resume` in its own process group; it draws only where a test looks at that."""
        unwanted = () if figures or command not in ("run", "resume") else ("--no-figures",)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moireloop", command, *options, *unwanted, str(self.file)],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def descendants(self) -> list[psutil.Process]:
        """The processes that the campaign has started and that live now."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._seen[child.pid] = child
        return [process for process in self._seen.values() if _lives(process)]

    def find(self, *words: str) -> psutil.Process | None:
        """The newest process whose command line has all these words."""
        found = []
        for process in self.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                line = " ".join(process.cmdline())
                if all(word in line for word in words) and "lifeline" not in line:
                    found.append(process)
        return max(found, key=lambda p: p.create_time(), default=None)

    def kill(self, *words: str) -> int:
        """kill -9 the process with these words in its command line; returns its pid."""
        wait_until(lambda: self.find(*words) is not None, f"a process with {words}")
        process = self.find(*words)
        assert process is not None
        process.send_signal(signal.SIGKILL)
        return int(process.pid)

    def results_so_far(self) -> list[Result]:
        """Results as an outside program sees them; none while nothing responds."""
        try:
            with connect(self.folder / "connection.json", timeout_s=2) as client:
                return [entry.message for entry in client.results()]
        except (NotRunning, NoConnectionFile):
            return []

    def propose(self, *names: str) -> None:
        """Let these candidates run, spread over the search space; for a campaign of the strategy `none`."""
        assert self.process is not None
        process = self.process
        wait_until(lambda: process.poll() is not None or is_answering(self.folder), "the campaign answers", 100)
        with connect(self.folder) as client:
            for name, unit in zip(names, sobol_points(len(names), len(SPACE), seed=len(names)).tolist(), strict=True):
                spread = zip(SPACE.items(), unit, strict=True)
                client.propose(name, {key: low + share * (high - low) for (key, (low, high)), share in spread})

    def wait_for_results(self, count: int, patience_s: float = 60.0) -> None:
        """Wait until there are this many results."""
        assert self.process is not None
        process = self.process
        wait_until(
            lambda: process.poll() is not None or len(self.results_so_far()) >= count,
            f"{count} results",
            patience_s,
            every_s=0.1,
        )
        if process.poll() is not None:
            raise AssertionError(f"the campaign ended early: {self.output.read_text()[-3000:]}")
        self.descendants()

    def end(self, patience_s: float = 100.0) -> tuple[int, str]:
        """Wait for the end of the command; its exit code and output. No process may be left."""
        assert self.process is not None
        deadline = time.monotonic() + patience_s
        while self.process.poll() is None and time.monotonic() < deadline:
            self.descendants()
            time.sleep(0.1)
        if self.process.poll() is None:
            self.kill_everything()
            raise AssertionError(f"the campaign hangs; it said: {self.output.read_text()[-3000:]}")
        output = self.output.read_text()
        wait_until(lambda: not self.descendants(), "no process of the campaign is left", 20)
        return self.process.returncode, output

    def kill_everything(self) -> None:
        """kill -9 the command and all that it has started, at once."""
        assert self.process is not None
        for process in [psutil.Process(self.process.pid), *self.descendants()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(20)

    def close(self) -> None:
        """End what a failed test left."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.kill_everything()
        for process in self.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def events(self) -> list[Event]:
        """The whole log of the campaign after its end."""
        with stored_state(CampaignFolder(load_campaign(self.file, "look").folder)) as (client, connection):
            return [event for _, event in EventLog(client, connection.keys).replay()]

    def results_of_log(self) -> list[Result]:
        """All results of the campaign after its end."""
        return [event for event in self.events() if isinstance(event, Result)]

    def socket_folder(self) -> Path:
        """Where the local sockets of the present session lie."""
        return Path(read_connection(self.folder).socket_folder)

    def assert_exactly_one_result_each(self, results: int) -> list[Event]:
        """The guarantee: this many results, one for each candidate that was ever queued, none twice."""
        events = self.events()
        queued = {event.candidate.candidate_id for event in events if isinstance(event, CandidateQueued)}
        found = [event for event in events if isinstance(event, Result)]
        settled = Counter(result.candidate.candidate_id for result in found)
        assert set(settled) == queued
        assert set(settled.values()) == {1}
        assert len([result for result in found if result.outcome != "cancelled"]) == results
        return events


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
