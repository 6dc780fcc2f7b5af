"""Faults of disk, memory and installation, caused for real under a real pool: nobody is charged, and work goes on."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moireloop_broker.contract.control import WorkerStatus
from moireloop_worker.pool.decisions import STILL_BIRTHS
from tests.helpers.waiting import wait_until
from tests.integration.worker.conftest import StartPool
from tests.integration.worker.worker_campaign import LONG_BEAD, SMALL_BEAD, Campaign, ranks_of

Make = Callable[..., Campaign]
Fault = Callable[[Campaign, ExitStack], None]

CANDIDATES = 6


def fill(campaign: Campaign, undo: ExitStack) -> None:
    """The folder of the runs is on a small disk."""
    runs = campaign.folder / "runs"
    runs.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(runs)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.decode().strip()}")
    undo.callback(subprocess.run, ["umount", "--lazy", str(runs)], check=True)


def make_read_only(campaign: Campaign, undo: ExitStack) -> None:
    """The folder of the runs is on a disk that was mounted read-only."""
    fill(campaign, undo)
    subprocess.run(["mount", "-o", "remount,ro", str(campaign.folder / "runs")], check=True)


def stand_in_the_way(name: str) -> Fault:
    """A file stands where a folder is to be that all candidates need."""

    def act(campaign: Campaign, undo: ExitStack) -> None:
        place = campaign.folder / name
        if place.exists():
            place.rename(campaign.folder / f"{name}.away")
        place.write_text("in the way", encoding="ascii")
        undo.callback(place.unlink)

    return act


def link_to_nowhere(campaign: Campaign, undo: ExitStack) -> None:
    """The folder of the runs is a link whose target is not mounted."""
    runs = campaign.folder / "runs"
    runs.symlink_to(campaign.folder / "not" / "mounted")
    (campaign.folder / "not").write_text("in the way", encoding="ascii")
    undo.callback(runs.unlink)


FAULTS: dict[str, tuple[Fault, str]] = {
    "disk full": (fill, "No space left on device"),
    "read-only": (make_read_only, "Read-only file system"),
    "runs is a file": (stand_in_the_way("runs"), "runs"),
    "prepared is a file": (stand_in_the_way("prepared"), "prepared"),
    "target not mounted": (link_to_nowhere, "runs"),
}


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def held(campaign: Campaign) -> list[WorkerStatus]:
    """The workers that take no candidates, by what they say of themselves."""
    return [worker for worker in campaign.state.status().workers if worker.phase == "held"]


@pytest.mark.parametrize(("fault", "ranks"), [*((fault, 1) for fault in FAULTS), ("disk full", 2)])
def test_disk_fault_holds_the_worker_and_charges_no_attempt(
    fault: str, ranks: int, make_campaign: Make, start_pool: StartPool, undo: ExitStack
) -> None:
    """The status names what is wrong; when it is fixed all candidates run, and none has lost an attempt."""
    bring_about, words = FAULTS[fault]
    campaign = make_campaign(SMALL_BEAD, ranks=ranks, max_attempts=1)
    bring_about(campaign, undo)
    for number in range(CANDIDATES):
        campaign.propose(f"c{number}")
    start_pool(campaign)
    (worker,) = wait_until(lambda: held(campaign), "a worker takes no candidates")
    assert words in (worker.fault or "")
    failed = campaign.wait_for("run_failed/1")
    wait_until(lambda: (held(campaign) or [worker])[0].seen_s > worker.seen_s + 1.0, "it has tried again")
    assert len(campaign.events("run_leased/1")) == len(failed) == 1
    assert campaign.queue.counts()["queued"] == CANDIDATES
    undo.close()
    finished = campaign.wait_for("run_finished/1", CANDIDATES)
    assert {event.candidate_id for event in finished} == {f"c{number}" for number in range(CANDIDATES)}
    assert not any(event.charged for event in campaign.events("run_failed/1"))
    assert campaign.events("result/3") == []


def test_error_of_the_candidate_is_charged_while_the_disk_is_well(make_campaign: Make, start_pool: StartPool) -> None:
    """LAMMPS's own error fails the candidate, and the worker takes the next one at once."""
    campaign = make_campaign({**SMALL_BEAD, "timestep_fs": 100.0, "spring_upper_ev_angstrom2": 5e3}, max_attempts=1)
    for number in range(3):
        campaign.propose(f"c{number}")
    start_pool(campaign)
    results = campaign.wait_for("result/3", 3)
    assert [result.outcome for result in results] == ["failed"] * 3
    assert held(campaign) == []


def test_status_tells_how_a_worker_fares(make_campaign: Make, start_pool: StartPool) -> None:
    """Up, with the number of candidates that it completed; after its death it starts again from none."""
    campaign = make_campaign(SMALL_BEAD)
    for number in range(2):
        campaign.propose(f"c{number}")
    pool = start_pool(campaign)
    campaign.wait_for("run_finished/1", 2)

    def says(completed: int) -> bool:
        workers = campaign.state.status().workers
        return [(w.phase, w.completed, w.fault) for w in workers] == [("up", completed, None)]

    wait_until(lambda: says(2), "two candidates are counted")
    (rank,) = ranks_of(pool.pid)
    os.kill(rank, signal.SIGKILL)
    wait_until(lambda: says(0), "its successor is up")


@pytest.mark.long
def test_worker_that_cannot_come_up_again_says_why_and_is_tried_on(
    make_campaign: Make, start_pool: StartPool, undo: ExitStack
) -> None:
    """Something that every worker needs goes away while one runs: the pool lives, says why, and recovers.

    After as many starts as end a pool of which no worker ever came up, there is one more.
    """
    campaign = make_campaign(LONG_BEAD, lease_s=60.0)
    campaign.propose("c0")
    pool = start_pool(campaign)
    wait_until(lambda: any(w.step > 1000 for w in campaign.state.status().workers), "the run is under way")
    away = campaign.file.with_suffix(".away")
    campaign.file.rename(away)
    os.kill(ranks_of(pool.pid)[0], signal.SIGKILL)

    def why() -> str:
        (worker,) = campaign.state.status().workers
        return (worker.phase == "starting" and worker.fault) or ""

    assert "connection" in wait_until(why, "the status says why no worker comes up")
    wait_until(lambda: len(failed_starts(campaign)) == STILL_BIRTHS, "the attempts that a first start is given")
    away.rename(campaign.file)
    campaign.wait_for("run_leased/1", 2)
    assert pool.poll() is None
    assert len(failed_starts(campaign)) == STILL_BIRTHS


def failed_starts(campaign: Campaign) -> list[str]:
    """The lines of the worker's log that tell of a start that came to nothing."""
    log = Path(campaign.folder, "logs", "worker-0.log").read_text(encoding="utf-8")
    return [line for line in log.splitlines() if "worker died" in line]
