"""Whole workers: real MPI, real LAMMPS, real Redis."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgpack
import pytest

from moireloop_broker.contract.frames import frame_from_parts
from moireloop_broker.state.instructions import Instructions
from moireloop_worker.launchers.launcher import Launch
from moireloop_worker.launchers.local import LocalLauncher, LocalWorker
from tests.helpers.growth_scripts import GOOD
from tests.helpers.growth_scripts import settings as script_settings
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import (
    LONG_BEAD,
    SMALL_BEAD,
    Campaign,
    alive,
    family,
    ranks_of,
)

Make = Callable[..., Campaign]
Start = Callable[..., LocalWorker]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers; at the end all their processes are gone."""
    started: list[tuple[LocalWorker, set[int]]] = []

    def launch(campaign: Campaign, ranks: int = 1) -> LocalWorker:
        worker = LocalLauncher(Launch(tuple(campaign.worker_command), ranks, campaign.folder / "logs")).start(
            "worker-0"
        )
        wait_until(lambda: len(ranks_of(worker.pid)) == ranks, "all ranks run")
        started.append((worker, family(worker.pid)))
        return worker

    yield launch
    for worker, pids in started:
        worker.kill()
        wait_until(worker.poll, "the worker ended")
        wait_until_gone(pids)


def wait_until_gone(pids: set[int]) -> None:
    wait_until(lambda: not alive(pids), f"processes {sorted(pids)} are gone")


def log_of(campaign: Campaign) -> str:
    words: str = (campaign.folder / "logs" / "worker-0.log").read_text(encoding="utf-8")
    return words


@pytest.mark.parametrize("ranks", [1, 2])
def test_worker_runs_one_candidate_after_another(make_campaign: Make, start: Start, ranks: int) -> None:
    """Candidates are finished in one process, with a report, a log each, and their final frames kept."""
    campaign = make_campaign(SMALL_BEAD, ranks=ranks)
    for number in range(3):
        campaign.propose(f"c{number}", temperature_k=1500.0 + 500 * number)
    worker = start(campaign, ranks)
    finished = campaign.wait_for("run_finished/1", 3)
    assert worker.poll() is None
    assert [event.candidate_id for event in finished] == ["c0", "c1", "c2"]
    for event in finished:
        report = event.report
        assert (report.steps, report.planned_steps, report.ended) == (1000, 1000, "completed")
        assert report.worker == "worker-0"
        assert 0 < report.md_s <= report.finished_s - report.started_s
        assert report.provenance["ranks"] == str(ranks)
        assert report.provenance["host"] == socket.gethostname()
        assert report.provenance["candidate_seed"] == "7"
        assert report.provenance["force_field_sha256"] == ""
        assert report.provenance["moireloop_version"] == version("moireloop")
        assert int(report.provenance["lammps_version"]) > 20_200_000
        assert "resumed_from" not in report.provenance
        assert (campaign.folder / "runs" / event.candidate_id / "attempt-1" / "log.lammps").exists()
    assert len({event.report.provenance["run_seed"] for event in finished}) == 1
    client, keys = campaign.connection.open_redis(), campaign.connection.keys
    final = frame_from_parts(msgpack.unpackb(client.get(keys.final_frame("c2"))))
    assert final.header.final
    assert final.header.shape == [72, 3]
    assert final.header.time_ps == pytest.approx(4.0)
    assert sorted(set(final.types)) == [1, 2]


def test_frames_are_streamed_while_the_run_goes_on(make_campaign: Make, start: Start) -> None:
    """An analyzer gets the frames at multiples of `every_steps`, in order, with temperature and cell."""
    campaign = make_campaign(SMALL_BEAD, every_steps=250)
    receiver = campaign.connection.open_frame_receiver("analyzer-0")
    try:
        start(campaign)
        campaign.propose("c0")
        frames = [wait_until(lambda: receiver.receive(0.1), "a frame") for _ in range(3)]
        (event,) = campaign.wait_for("run_finished/1")
    finally:
        receiver.close()
    assert [frame.header.step for frame in frames] == [250, 500, 750]
    assert all((frame.header.temperature_k or 0) > 100 for frame in frames)
    assert {frame.header.planned_steps for frame in frames} == {1000}
    assert (event.report.frames_sent, event.report.frames_dropped) == (3, 0)


def test_large_frames_are_streamed_in_parts(make_campaign: Make, start: Start) -> None:
    """Two ranks send their own parts of each frame to the same analyzer; each frame counts once."""
    frames = {"part_atoms": 20, "atoms": "lattice"}
    campaign = make_campaign(SMALL_BEAD, every_steps=250, frames=frames)
    receivers = [campaign.connection.open_frame_receiver(f"analyzer-{number}") for number in range(2)]
    parts: list[tuple[int, int, int, int]] = []

    def all_there() -> bool:
        for number, receiver in enumerate(receivers):
            while (frame := receiver.receive(0.05)) is not None:
                parts.append((frame.header.step, frame.header.part, number, frame.header.shape[0]))
        return len(parts) == 6

    campaign.propose("c0")
    start(campaign, ranks=2)
    wait_until(all_there, "both parts of three frames")
    (event,) = campaign.wait_for("run_finished/1")
    for receiver in receivers:
        receiver.close()
    by_step = {step: [part for part in parts if part[0] == step] for step in (250, 500, 750)}
    for those in by_step.values():
        assert sorted(part for _, part, _, _ in those) == [0, 1]
        assert len({analyzer for _, _, analyzer, _ in those}) == 1
        assert sum(atoms for *_, atoms in those) == 72
    assert (event.report.frames_sent, event.report.frames_dropped) == (3, 0)


def test_refused_candidate_fails_and_the_next_one_runs(make_campaign: Make, start: Start) -> None:
    """Impossible parameters fail the attempt with what was expected; the worker goes on."""
    campaign = make_campaign(SMALL_BEAD)
    campaign.propose("bad", temperature_k=-5.0)
    campaign.propose("good")
    start(campaign)
    (finished,) = campaign.wait_for("run_finished/1")
    assert finished.candidate_id == "good"
    failed = campaign.events("run_failed/1")[0]
    assert (failed.candidate_id, failed.charged) == ("bad", True)
    assert "expected temperature_k in" in failed.reason


@pytest.mark.parametrize("ranks", [1, 2])
def test_lammps_error_fails_the_attempt(make_campaign: Make, start: Start, ranks: int) -> None:
    """A time step far too long makes LAMMPS give up: its message is the reason, and the process lives on."""
    campaign = make_campaign({**SMALL_BEAD, "timestep_fs": 90.0}, ranks=ranks)
    campaign.propose("c0")
    worker = start(campaign, ranks)
    failed = campaign.wait_for("run_failed/1", 2)
    assert [event.attempt for event in failed[:2]] == [1, 2]
    assert "ERROR" in failed[0].reason
    assert failed[0].charged
    assert worker.poll() is None


@pytest.mark.parametrize("ranks", [1, 2])
def test_cancelled_run_ends_with_its_present_frame(make_campaign: Make, start: Start, ranks: int) -> None:
    """A run that is cancelled ends within seconds, finished and marked as cancelled; the next candidate runs."""
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    campaign.propose("c0")
    start(campaign, ranks)
    running(campaign, "c0")
    assert campaign.queue.cancel("c0", "hopeless") == "asked"
    (finished,) = campaign.wait_for("run_finished/1")
    assert finished.report.ended == "cancelled"
    assert finished.report.planned_steps == 2_000_700
    assert 1000 < finished.report.steps < 2_000_000
    campaign.propose("c1")
    campaign.wait_for("run_leased/1", 2)


@pytest.mark.parametrize(("ending", "last_command"), [("settled", "minimize"), ("cancelled", "run")])
def test_script_that_is_ended_early_does_what_follows_its_runs(
    make_campaign: Make, start: Start, ending: str, last_command: str
) -> None:
    """Where an analyzer ordered the end. A cancelled run ends as it is."""
    script = GOOD.replace("run 100", "variable x equal {{lattice_strain}}+{{shear_strain}}\nrun 90000000")
    section = script_settings(f"{script}\nunfix heat\nminimize 0 1e-6 50 500\n").model_dump(mode="json")
    campaign = make_campaign(section, ranks=1)
    (campaign.folder / "script").mkdir()
    (campaign.folder / "script" / "growth.in").write_text(script)
    campaign.propose("c0")
    start(campaign)
    running(campaign, "c0")
    instructions = Instructions(campaign.connection.open_redis(), campaign.connection.keys)
    if ending == "settled":
        assert instructions.end_early("c0", 1, "settled", "twist does not change", 100) == "ordered"
    else:
        assert campaign.queue.cancel("c0", "not wanted") == "asked"
    (finished,) = campaign.wait_for("run_finished/1")
    assert finished.report.ended == ending
    commands = (campaign.folder / "runs/c0/attempt-1/input.lammps").read_text().splitlines()
    assert commands[-1].split()[0] == last_command


def test_asked_to_end_a_worker_gives_its_candidate_back(make_campaign: Make, start: Start) -> None:
    """SIGTERM in the middle of a run: the candidate is queued again, uncharged, and the worker exits with 0."""
    campaign = make_campaign(LONG_BEAD, ranks=2)
    campaign.propose("c0")
    worker = start(campaign, 2)
    running(campaign, "c0")
    worker.hand_back()
    (failed,) = campaign.wait_for("run_failed/1")
    assert (failed.charged, failed.attempt) == (False, 1)
    ended = wait_until(worker.poll, "the worker ended")
    assert (ended.kind, ended.charged) == ("stopped", False)
    assert campaign.queue.counts()["queued"] == 1
    assert "worker stopped" in log_of(campaign)


def test_lost_lease_is_abandoned(make_campaign: Make, start: Start) -> None:
    """A run whose lease went to somebody else is dropped without a word in the log; the worker takes the next."""
    campaign = make_campaign(LONG_BEAD)
    campaign.propose("c0")
    start(campaign)
    running(campaign, "c0")
    assert campaign.queue.release_worker("worker-0", "taken away", charged=False) == ["c0"]
    leased = campaign.wait_for("run_leased/1", 2)
    assert [event.attempt for event in leased] == [1, 2]
    assert len(campaign.events("run_failed/1")) == 1
    assert campaign.events("run_finished/1") == []
    assert "lease lost candidate=c0 attempt=1" in log_of(campaign)


def test_lease_is_renewed_while_lammps_runs(make_campaign: Make, start: Start) -> None:
    """A run longer than its lease of one second keeps it."""
    campaign = make_campaign({**SMALL_BEAD, "anneal_steps": 60_000}, every_steps=1_000_000, lease_s=1.0)
    campaign.propose("c0")
    start(campaign)

    def ended() -> bool:
        assert campaign.queue.expire_leases() == []
        return bool(campaign.events("run_finished/1"))

    wait_until(ended, "the run finished")


@pytest.mark.parametrize(("ranks", "victim"), [(1, 0), (2, 0), (2, 1)])
def test_killed_rank_ends_the_worker(make_campaign: Make, start: Start, ranks: int, victim: int) -> None:
    """kill -9 of any rank in the middle of a run ends all of them, and the launcher says that a signal did it."""
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    campaign.propose("c0")
    worker = start(campaign, ranks)
    running(campaign, "c0")
    pids = ranks_of(worker.pid)
    os.kill(pids[victim], signal.SIGKILL)
    ended = wait_until(worker.poll, "the worker ended")
    assert (ended.kind, ended.charged) == ("signal", True)
    assert "SIGKILL" in ended.reason
    wait_until_gone(set(pids))


@pytest.mark.parametrize("ranks", [1, 2])
def test_no_rank_outlives_what_started_it(make_campaign: Make, start: Start, ranks: int) -> None:
    """kill -9 of what the launcher started in the middle of a run takes all ranks with it."""
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    campaign.propose("c0")
    worker = start(campaign, ranks)
    running(campaign, "c0")
    pids = family(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    assert wait_until(worker.poll, "the worker ended").kind == "signal"
    wait_until_gone(pids)


@pytest.mark.parametrize("ranks", [1, 2])
def test_no_stopped_process_outlives_the_worker(make_campaign: Make, start: Start, ranks: int) -> None:
    """Ranks, and what starts them, that were stopped (SIGSTOP) end with the worker like any other."""
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    campaign.propose("c0")
    worker = start(campaign, ranks)
    running(campaign, "c0")
    pids = family(worker.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(worker.poll, "the worker ended")
    wait_until_gone(pids)


def test_worker_that_cannot_start_says_why(make_campaign: Make, start: Start, tmp_path: Path) -> None:
    """Without a connection file the worker ends with an error whose last words name the file."""
    campaign = make_campaign(SMALL_BEAD)
    command = [*campaign.worker_command[:-1], str(tmp_path / "missing.json")]
    worker = LocalLauncher(Launch(tuple(command), 1, tmp_path / "logs")).start("worker-0")
    ended = wait_until(worker.poll, "the worker ended")
    assert ended.kind == "error"
    assert "missing.json" in ended.reason


def running(campaign: Campaign, candidate_id: str) -> None:
    """Wait until a candidate is well in its run, past its preparation."""

    def step() -> int:
        with suppress(KeyError):
            workers = {w.candidate_id: w for w in campaign.state.status().workers}
            return int(workers[candidate_id].step)
        return 0

    wait_until(lambda: step() > 1000, f"{candidate_id} runs")
