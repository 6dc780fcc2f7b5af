"""Every container's very command, as processes on two hosts (network namespaces): Docker is not needed for that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop.campaign_file.load import load_campaign
from moireloop.exit_codes import EXIT_GO_ON
from moireloop.session.records import stored_records
from moireloop_broker.folder import CampaignFolder
from tests.helpers.campaign_files import Section, campaign_text
from tests.helpers.compose_file import DOCKER, command_of
from tests.helpers.servers import tls_server
from tests.helpers.two_hosts import Host, TwoHosts, two_hosts, why_not
from tests.helpers.waiting import wait_until

RESULTS = 6

SERVICES = ("worker", "analyzer", "gateway", "optimizer", "broker", "conductor")

CHECKED = ("broker", "analyzer", "optimizer", "conductor")

ENDED = {0, 130, -signal.SIGTERM, 128 + signal.SIGTERM}
"""Exit codes of a container that was asked to end, or that has ended with the campaign."""

pytestmark = pytest.mark.timeout(400)


class Containers:
    """Processes that do what the containers do. Their volume is a folder, which both hosts see."""

    def __init__(self, volume: Path, hosts: TwoHosts) -> None:
        self.volume = volume
        self.hosts = hosts
        servers = volume.parent / "servers"
        servers.mkdir()
        found = tls_server(servers)
        self._path = os.pathsep.join([str(Path(sys.executable).parent), *([str(found)] if found else []),
                                      os.environ["PATH"]])  # fmt: skip
        growth = {"model": "bead", "cells": [8, 8], "melt_steps": 100, "anneal_steps": 6000, "quench_steps": 12000}
        sections: dict[str, Section] = {
            "growth": growth,
            "workers": {"count": 0, "lease_s": 5},
            "frames": {"every_steps": 250},
            "optimizer": {"strategy": "random", "initial": 1},
            "network": {"host": hosts.first.name},
            "redis": {} if found else {"plaintext": True},
        }
        self.file = volume / "campaign.toml"
        self.file.write_text(campaign_text("search", sections, results=RESULTS), encoding="utf-8")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def up(self, service: str) -> None:
        """Start a container's command where it would run: broker and conductor on one host, the others beside it."""
        with (self.volume.parent / f"{service}.out").open("wb") as output:
            self.processes[service] = subprocess.Popen(
                self._command(self._host(service), command_of(service)),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "PATH": self._path},
            )  # fmt: skip

    def _command(self, host: Host, words: list[str]) -> list[str]:
        here = [word.replace("/campaign", str(self.volume), 1) for word in words]
        return host.command(["sh", str(DOCKER / "entrypoint.sh"), *here])

    def ill(self, *kinds: str) -> list[str]:
        """Those of these kinds of services that do not work, as Docker asks for their health."""
        asked = {
            kind: subprocess.Popen(
                self._command(self._host(kind), ["service", kind, "/campaign/campaign.toml", "--check"]),
                env={**os.environ, "PATH": self._path}, stdout=subprocess.DEVNULL,
            )
            for kind in kinds
        }  # fmt: skip
        return [kind for kind, process in asked.items() if process.wait(60) != 0]

    def _host(self, service: str) -> Host:
        return self.hosts.first if service in ("broker", "conductor", "optimizer") else self.hosts.second

    def down(self) -> dict[str, int]:
        """End all, as Docker does, with its ten seconds and some for a loaded machine; their exit codes."""
        for process in self.processes.values():
            process.terminate()
        codes = {name: process.wait(60) for name, process in self.processes.items()}
        self.processes.clear()
        return codes

    def said(self, service: str) -> str:
        """What a container wrote."""
        return (self.volume.parent / f"{service}.out").read_text(encoding="utf-8", errors="replace")[-3000:]

    def close(self) -> None:
        """Kill what is left."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Containers]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o700)
    with two_hosts() as hosts:
        made = Containers(volume, hosts)
        yield made
        made.close()


def conductor_after_stop(containers: Containers) -> int:
    """End all as `docker compose stop` does, in the middle; the conductor's exit code."""
    codes = containers.down()
    conductor = codes.pop("conductor")
    assert set(codes.values()) <= ENDED, codes
    return conductor


def test_the_containers_commands_run_a_campaign(containers: Containers) -> None:
    """Started in any order, each finds the others; a stop gives back, and goes on; a killed worker costs nothing."""
    for service in SERVICES[1:]:
        containers.up(service)
    conductor = containers.processes["conductor"]
    wait_until(lambda: containers.ill(*CHECKED) == [] or conductor.poll() is not None, "all services work", 100)
    containers.up("worker")
    pool = f"pool {containers.hosts.second.name} on"
    wait_until(lambda: pool in containers.said("conductor") or conductor.poll() is not None, "the pool joins", 100)
    assert containers.ill("workers") == []
    assert conductor.poll() is None, containers.said("conductor")
    assert conductor_after_stop(containers) == EXIT_GO_ON
    for service in SERVICES:
        containers.up(service)
    conductor = containers.processes["conductor"]
    wait_until(lambda: pool in containers.said("conductor") or conductor.poll() is not None, "the pool is back", 100)
    os.killpg(containers.processes["worker"].pid, signal.SIGKILL)
    containers.processes["worker"].wait()
    containers.up("worker")
    wait_until(lambda: conductor.poll() is not None, "the campaign ends", 110)
    assert conductor.returncode == 0, containers.said("conductor")
    assert containers.processes["gateway"].poll() is None, containers.said("gateway")
    assert set(containers.down().values()) <= ENDED
    folder = CampaignFolder(load_campaign(containers.file, "look").folder)
    results = stored_records(folder)[0].results
    assert len({result.candidate.candidate_id for result in results}) == len(results) == RESULTS
    assert {result.report.worker.rpartition("-worker-")[0] for result in results if result.report} == {
        containers.hosts.second.name
    }
