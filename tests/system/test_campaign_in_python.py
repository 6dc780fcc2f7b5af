"""A campaign that a program starts: it runs as `moireloop run` does, and nothing of it outlives the program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from moireloop import Campaign, CampaignFileError, CampaignRun
from moireloop.session.lock import CampaignIsRunning, holder_of
from moireloop_broker.contract.events import CandidateQueued, Result
from moireloop_broker.folder import CampaignFolder
from tests.helpers.waiting import wait_until
from tests.system.test_command_line import moireloop

pytestmark = pytest.mark.timeout(600)

PROGRAM = """
from tests.system.test_campaign_in_python import short
short("search", results=100000).run(show=False)
"""


def short(name: str, *, results: int) -> Campaign:
    """Runs of a tenth of a second."""
    return Campaign(
        name=name,
        targets=[{"twist_deg": 8.2}],
        space={"temperature_k": [1500.0, 4500.0], "lattice_strain": [0.0, 0.05], "shear_strain": [0.06, 0.30]},
        budget={"results": results},
        growth={"model": "bead", "cells": [6, 6], "melt_steps": 200, "anneal_steps": 200, "quench_steps": 200},
        workers={"count": 1, "lease_s": 5, "oversubscribe": True},
        optimizer={"strategy": "random", "initial": 2},
    )


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def started_by_a_thread(campaign: Campaign) -> CampaignRun:
    """Start a campaign from a thread that ends at once."""
    running: list[CampaignRun] = []
    thread = threading.Thread(target=lambda: running.append(campaign.start(figures=False)))
    thread.start()
    thread.join()
    return running[0]


def test_campaign_is_started_watched_stopped_and_resumed(tmp_path: Path) -> None:
    """The thread that starts it may end; its client hears; a stop drains; the folder is one for commands too.

    Without figures, as it asks, there are tables alone.
    """
    campaign = short("search", results=100_000)
    with started_by_a_thread(campaign) as running:
        with pytest.raises(CampaignIsRunning):
            campaign.start(resume=True)
        with running.client() as client:
            heard = client.subscribe([Result, CandidateQueued], since="0-0", wait_s=500)
            first = next(entry.message for entry in heard if isinstance(entry.message, Result))
        with pytest.raises(TimeoutError):
            running.wait(0.01)
        running.stop()
        outcome = running.wait(200)
    assert (outcome.exit_code, outcome.folder) == (0, tmp_path / "search.campaign")
    assert outcome.reason.startswith("drained")
    assert outcome.results[0] == first
    assert (outcome.folder / "results.csv").exists()
    assert not list(outcome.folder.rglob("*.png"))
    copy = str(CampaignFolder(outcome.folder).campaign_copy)
    assert "state stopped" in moireloop("status", Path(copy)).stdout
    with pytest.raises(CampaignFileError, match=f"continue with `moireloop resume {copy}`"):
        campaign.start()
    further = asyncio.run(in_a_loop(short("search", results=len(outcome.results) + 2)))
    assert [result.candidate.candidate_id for result in further][: len(outcome.results)] == [
        result.candidate.candidate_id for result in outcome.results
    ]
    assert len(further) >= len(outcome.results) + 2


async def in_a_loop(campaign: Campaign) -> tuple[Result, ...]:
    """Resume a campaign where an event loop runs, as in a notebook."""
    return campaign.run(resume=True, show=False, figures=False).results


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_nothing_outlives_the_program(tmp_path: Path, end: signal.Signals) -> None:
    """Killed, or interrupted twice: all processes of the campaign end, and its folder is free."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.DEVNULL)
    folder = CampaignFolder(tmp_path / "search.campaign")
    try:
        wait_until(lambda: program.poll() is not None or is_at_work(folder), "a run", 200)
        family = psutil.Process(program.pid).children(recursive=True)
        assert len(family) > 4
        program.send_signal(end)
        if end == signal.SIGINT:
            wait_until(lambda: not psutil.pid_exists(program.pid) or again(program), "the program's end", 200)
            assert program.wait(20) != 0
        wait_until(lambda: not any(map(lives, family)), "no process of the campaign is left", 200)
        assert holder_of(folder) is None
    finally:
        program.kill()
        program.wait()


def is_at_work(folder: CampaignFolder) -> bool:
    """Whether a worker has begun a run."""
    return folder.connection_file.exists() and any(folder.runs.iterdir())


def again(program: subprocess.Popen[bytes]) -> bool:
    """Interrupt once more; whether the program has ended."""
    program.send_signal(signal.SIGINT)
    return program.poll() is not None


def lives(process: psutil.Process) -> bool:
    """Whether a process is there and no zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
