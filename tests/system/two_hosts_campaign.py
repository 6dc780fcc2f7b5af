"""A campaign on two hosts that share its folder: the services on one, pools of workers on either."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from moireloop_broker.folder import CampaignFolder
from tests.helpers.campaign_files import Section, campaign_text
from tests.helpers.two_hosts import Host
from tests.helpers.waiting import wait_until

ROOT = Path(__file__).parents[2]

LEASE_S = 6

PATIENCE_S = 150.0

Event = dict[str, Any]


def patiently(holds: Callable[[], object], description: str) -> None:
    """Wait until a condition is true."""
    wait_until(holds, description, PATIENCE_S)


class TwoHostsCampaign:
    """Its processes, by what they are; all end with `close`."""

    def __init__(self, folder: Path, servers: Path | None, results: int, **sections: Section) -> None:
        self.file = folder / "both.toml"
        self.folder = CampaignFolder(folder / "both.campaign")
        growth = {"model": "bead", "cells": [8, 8], "melt_steps": 100, "anneal_steps": 500, "quench_steps": 1000}
        usual: dict[str, Section] = {
            "growth": growth,
            "workers": {"count": 0, "lease_s": LEASE_S, "oversubscribe": True},
            "frames": {"every_steps": 250},
            "optimizer": {"strategy": "random", "initial": 1},
            "network": {"host": "auto"},
        }
        self.file.write_text(campaign_text("both", {**usual, **sections}, results=results), encoding="utf-8")
        self._path = os.pathsep.join([*([str(servers)] if servers else []), os.environ["PATH"]])
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, host: Host, purpose: str = "run") -> None:
        """Start conductor, broker, Redis, analyzer and optimizer on a host, and wait until workers may begin."""
        self.folder.connection_of("worker").unlink(missing_ok=True)
        self._start("conductor", host, ["tests.system.conduct", str(self.file), purpose])
        process = self._processes["conductor"]
        word = "resumed" if purpose == "resume" else "started"
        wait_until(
            lambda: process.poll() is not None or any(e.get("state") == word for e in self.events()),
            "a session",
            PATIENCE_S,
        )
        assert process.poll() is None, self.output("conductor")

    def join(self, host: Host, name: str) -> None:
        """Let a pool of one worker join from a host."""
        command = ["moireloop", "join", str(self.folder.root), "--name", name, "--workers", "1", "--linger", "60"]
        self._start(name, host, command)

    def analyse(self, host: Host, name: str) -> None:
        """Start a further analyzer on a host."""
        file = str(self.folder.connection_of("analyzer"))
        self._start(name, host, ["moireloop_analyzer", "--connection", file, "--name", name])

    def announced(self, host: Host) -> str:
        """What the analyzers have announced, asked from a host."""
        text = (
            "import sys\nfrom moireloop_broker.connection import read_connection\nc = read_connection(sys.argv[1])\n"
            "print(*(v.decode() for v in c.open_redis().hvals(c.keys.endpoints)))"
        )
        done = host.run([sys.executable, "-c", text, str(self.folder.connection_of("worker"))])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def events(self) -> list[Event]:
        """All events of the log so far, oldest first."""
        path = self.file.with_name("events.jsonl")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def results(self) -> list[Event]:
        """The results so far, of both sessions."""
        return list(
            {e["candidate"]["candidate_id"]: e for e in self.events() if e["tag"].startswith("result/")}.values()
        )

    def hosts_of_results(self) -> set[str]:
        """On which hosts the results were computed."""
        return {result["report"]["provenance"]["host"] for result in self.results() if result["report"]}

    def status(self) -> Event:
        """The campaign's status, as the conductor last saw it."""
        path = self.file.with_name("status.json")
        status: Event = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return status

    def count(self, counter: str) -> int:
        """One of the campaign's counters."""
        return int(self.status().get("counters", {}).get(counter, 0))

    def step_of(self, worker: str) -> int:
        """The last step that a worker reported."""
        return next((w["step"] for w in self.status().get("workers", ()) if w["worker"] == worker), 0)

    def leases(self, worker: str) -> list[Event]:
        """What a worker has leased, oldest first."""
        return [e for e in self.events() if e["tag"].startswith("run_leased/") and e["worker"] == worker]

    def computed_s(self, worker: str) -> float:
        """Seconds that the processors have worked for a worker, whose process is seen from outside of its host."""
        return max(
            (
                float(process.cpu_times().user)
                for process in psutil.process_iter(["cmdline"])
                if {"moireloop_worker", worker} <= set(process.info["cmdline"] or ())
                and str(self.folder.root) in " ".join(process.info["cmdline"])
            ),
            default=0.0,
        )

    def failures(self) -> list[Event]:
        """Attempts that failed."""
        return [event for event in self.events() if event["tag"].startswith("run_failed/")]

    def settled(self) -> set[str]:
        """The candidates that have a result."""
        return {result["candidate"]["candidate_id"] for result in self.results()}

    def cancel(self, host: Host, candidate_id: str) -> None:
        """Ask for the end of a candidate, from a host."""
        text = "import sys, moireloop\nmoireloop.connect(sys.argv[1]).cancel(sys.argv[2], 'enough')"
        done = host.run([sys.executable, "-c", text, str(self.folder.connection_file), candidate_id])
        assert done.returncode == 0, done.stderr

    def wait_for_results(self, count: int, patience_s: float = PATIENCE_S) -> None:
        """Wait until this many candidates have a result."""
        process = self._processes["conductor"]
        wait_until(lambda: process.poll() is not None or len(self.results()) >= count, f"{count} results", patience_s)
        assert len(self.results()) >= count, self.output("conductor")

    def end(self, name: str) -> None:
        """Ask one to end, and wait for it."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(30)

    def wait_for_the_end(self) -> None:
        """Wait until the conductor has ended by itself."""
        assert self._processes["conductor"].wait(PATIENCE_S) == 0, self.output("conductor")

    def kill_session(self, name: str) -> None:
        """kill -9 one and all that it has started, at once, as when their host vanishes."""
        process = self._processes.pop(name)
        for pid in (process.pid, *_descendants(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.wait(10)

    def output(self, name: str) -> str:
        """What one of them has written."""
        return self.file.with_name(f"{name}.out").read_text(encoding="utf-8")[-3000:]

    def close(self) -> None:
        """End all."""
        for name in list(self._processes):
            process = self._processes[name]
            if process.poll() is None:
                process.terminate()
        for process in self._processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def assert_one_result_each(self, results: int | None) -> None:
        """So many, or some, candidates have a result, and none has two. A resumed session tells them again."""
        found = {json.dumps(event) for event in self.events() if event["tag"].startswith("result/")}
        settled = Counter(json.loads(text)["candidate"]["candidate_id"] for text in found)
        assert set(settled.values()) == {1}
        assert results in (None, len(settled))

    def _start(self, name: str, host: Host, module: list[str]) -> None:
        environment = {**os.environ, "PATH": self._path, "PYTHONPATH": str(ROOT)}
        with self.file.with_name(f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                host.command([sys.executable, "-m", *module]), stdout=output, stderr=subprocess.STDOUT, env=environment
            )


def _descendants(pid: int) -> list[int]:
    """Processes that a process has started, and theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid:
            child = int(path.parent.name)
            found += [child, *_descendants(child)]
    return found
