"""Pools that join a running campaign: `moireloop join` as processes, with workers under them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import SMALL_BEAD, Campaign, alive, family

Make = Callable[..., Campaign]

Join = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def join(tmp_path: Path) -> Iterator[Join]:
    """Start `moireloop join TARGET --name NAME ...`; what it says goes into NAME.txt."""
    started: list[subprocess.Popen[str]] = []

    def start(target: Path, name: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "moireloop", "join", str(target), "--name", name, *options]
        with (tmp_path / f"{name}.txt").open("a") as output:
            started.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield start
    for pool in started:
        if pool.poll() is None:
            pool.kill()
        pool.wait()


def begun(campaign: Campaign) -> Campaign:
    """The same campaign, in which workers may begin."""
    campaign.state.service_changed("pool", "stopped", "only pools that join have workers")
    return campaign


def test_two_pools_feed_one_campaign_and_leave_with_it(make_campaign: Make, join: Join, tmp_path: Path) -> None:
    """Each candidate runs once; a second pool of one name is refused; when the campaign is completed, both leave."""
    campaign = begun(make_campaign(SMALL_BEAD, count=0, oversubscribe=True))
    first = join(campaign.file, "a", "--workers", "1")
    second = join(campaign.folder, "b", "--workers", "1")
    wait_until(lambda: len(campaign.state.status().pools) == 2, "both pools have joined")
    again = join(campaign.file, "a", "--workers", "1")
    for number in range(6):
        campaign.propose(f"c{number}")
    finished = campaign.wait_for("run_finished/1", 6)
    assert again.wait(20) == 2
    assert "expected a name that no live pool has, got 'a'" in (tmp_path / "a.txt").read_text()
    assert {event.report.worker for event in finished} <= {"a-worker-0", "b-worker-0"}
    assert set(Counter(event.candidate_id for event in campaign.events("run_leased/1")).values()) == {1}
    pids = family(first.pid) | family(second.pid)
    campaign.state.change("completed")
    assert (first.wait(20), second.wait(20)) == (0, 0)
    assert not alive(pids)
    assert campaign.state.status().pools == []
    assert campaign.state.status().workers == []
