"""The service on a real Redis: stepped by hand where it need not be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from moireloop_broker.contract.events import Candidate
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steering import RetargetRequest, WantedTwist
from moireloop_broker.processes.clock import boot_s
from moireloop_broker.service.steering import Steering
from moireloop_broker.state.settings_store import read_settings
from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.service import optimizer
from moireloop_optimizer.service.fitter import Fitter
from moireloop_optimizer.service.optimizer import OptimizerService
from moireloop_optimizer.service.planner import Planner
from moireloop_optimizer.settings import OptimizerSettings
from tests.helpers.grown import measured_pattern
from tests.helpers.waiting import wait_until
from tests.integration.optimizer.conftest import SECTIONS, CampaignInRedis, twist_deg

NewCampaign = Callable[..., CampaignInRedis]


def service_of(campaign: CampaignInRedis, fitter: Fitter) -> OptimizerService:
    """The service as its process would open it, with a fit process that others use, too."""

    def section(name: str) -> Any:
        return read_settings(campaign.client, campaign.connection.keys).plain(name)

    planner = Planner(
        SearchSpace.model_validate(section("space")),
        [Target.model_validate(target) for target in section("targets")],
        OptimizerSettings.model_validate(section("optimizer")),
        BudgetSettings.model_validate(section("budget")),
        section("workers")["count"],
    )
    return OptimizerService(campaign.client, campaign.connection.keys, campaign.connection.campaign, planner, fitter)


def run_through(campaign: CampaignInRedis, service: OptimizerService, patience_s: float = 60.0) -> None:
    """Step the service and evaluate its candidates, one after another, until the campaign is complete."""
    deadline = time.monotonic() + patience_s
    while not service.planner.is_complete(time.time()):
        service.step()
        campaign.evaluate()
        assert time.monotonic() < deadline


def test_a_candidate_comes_from_results_and_growths_together(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """With the switch the fit process has the patterns too: the proposal is the one of the joint posterior."""
    settings = {
        "strategy": "auto",
        "initial": 10,
        "replicates": 0,
        "learn_from_patterns": True,
        "mode": "batch",
        "n_batch": 1,
    }
    campaign = new_campaign(optimizer=settings, budget={"results": 11})
    for number in range(6):
        grown = {"temperature_k": 1500.0 + 200.0 * number, "lattice_strain": 0.008 * number}
        campaign.log.append(measured_pattern(f"p{number}", (twist_deg(grown) or 0.0) * 0.8 + 2.0, grown))
    service = service_of(campaign, fitter)
    run_through(campaign, service)
    runs, targets = service.planner.runs.first(10), service.planner.targets
    assert runs.growths is not None
    made, alone = (
        AutoStrategy(3).suggest(1, each, runs.points[:0], targets, index=10).points
        for each in (runs, replace(runs, growths=None))
    )
    (proposed,) = SearchSpace.model_validate(SECTIONS["space"]).to_unit([campaign.candidates()[10].parameters])
    np.testing.assert_allclose(proposed, made[0], atol=1e-9)
    assert np.abs(made - alone).max() > 1e-3


def test_a_campaign_ends(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """The initial design, then the strategy; inside the bounds, exactly the budget, numbers without a gap."""
    campaign = new_campaign()
    run_through(campaign, service_of(campaign, fitter))
    candidates = campaign.candidates()
    assert [one.candidate_id for one in candidates] == [f"c{number:05d}" for number in range(1, 13)]
    assert [one.strategy for one in candidates[:4]] == ["initial"] * 4
    assert [one.strategy for one in candidates[-4:]] == ["thompson"] * 4
    assert all(1500 <= one.parameters["temperature_k"] <= 3000 for one in candidates)
    assert all(0 <= one.parameters["lattice_strain"] <= 0.05 for one in candidates)
    assert {one.target_deg for one in candidates} == {8.0}
    assert len(campaign.results()) == 12


def test_the_initial_design_does_not_wait_for_the_fit_process(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """One step, and it is queued; what more the workers want comes from the Sobol sequence, too."""
    campaign = new_campaign()
    service_of(campaign, fitter).step()
    assert campaign.waiting() >= 4


def test_the_same_order_of_results_gives_the_same_candidates(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """Parameters and seeds, bit for bit, in batch mode, where the order does not depend on timing."""
    runs = []
    for _ in range(2):
        campaign = new_campaign(optimizer={"mode": "batch", "n_batch": 3, "strategy": "qei"}, budget={"results": 10})
        run_through(campaign, service_of(campaign, fitter))
        runs.append([(one.candidate_id, one.parameters, one.seed, one.strategy) for one in campaign.candidates()])
    assert runs[0] == runs[1]
    assert [run[3] for run in runs[0]] == ["initial"] * 4 + ["qei"] * 6


def test_a_batch_waits_for_its_last_result(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """Three of four results are not enough; the fourth brings the next batch, over two targets."""
    campaign = new_campaign(optimizer={"mode": "batch", "n_batch": 3})
    targets = [{"twist_deg": twist, "tolerance_deg": 1e-6} for twist in (8.0, 21.8)]
    campaign.client.hset(campaign.connection.keys.settings, "targets", json.dumps(targets))
    service = service_of(campaign, fitter)
    service.step()
    for _ in range(3):
        assert campaign.evaluate()
        service.step()
    service.step()
    assert len(campaign.candidates()) == 4
    assert campaign.evaluate()
    deadline = time.monotonic() + 30
    while len(campaign.candidates()) == 4:
        service.step()
        assert time.monotonic() < deadline
    assert len(campaign.candidates()) == 7
    assert {one.target_deg for one in campaign.candidates()[4:]} == {8.0, 21.8}


def test_an_id_taken_by_an_outsider_is_passed_over(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """The guest is evaluated, counts, and nothing is lost or run twice."""
    campaign = new_campaign()
    parameters = {"temperature_k": 2000.0, "lattice_strain": 0.01}
    guest = Candidate(candidate_id="c00003", parameters=parameters, seed=0, proposed_s=time.time())
    assert campaign.queue.propose(guest) == "queued"
    run_through(campaign, service_of(campaign, fitter))
    names = [result.candidate.candidate_id for result in campaign.results()]
    assert len(names) == len(set(names)) == 12
    assert [one.strategy for one in campaign.candidates() if one.candidate_id == "c00003"] == ["outside"]


def test_recipes_that_hit_are_run_again(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """The same parameters with other seeds, for the target that was hit, within the budget."""
    campaign = new_campaign(optimizer={"strategy": "auto", "replicates": 2}, budget={"results": 24})
    run_through(campaign, service_of(campaign, fitter))
    candidates = campaign.candidates()
    again = [one for one in candidates if one.strategy == "replicate"]
    assert len(again) >= 2
    assert len(candidates) == len({one.seed for one in candidates}) == 24
    hits = [result.candidate for result in campaign.results() if abs((result.twist_deg or 99.0) - 8.0) <= 0.5]
    for one in again:
        assert one.target_deg == 8.0
        first = next(hit for hit in hits if hit.parameters == pytest.approx(one.parameters, rel=1e-12))
        assert int(first.candidate_id[1:]) < int(one.candidate_id[1:])


def test_a_draining_campaign_gets_nothing(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """And goes on when it is resumed."""
    campaign = new_campaign()
    campaign.state.change("draining")
    service = service_of(campaign, fitter)
    service.step()
    service.step()
    assert campaign.waiting() == 0
    campaign.state.change("resumed")
    service.step()
    assert campaign.waiting() >= 4


@pytest.mark.parametrize("step_s", [7200.0, -7200.0, 86400.0])
def test_a_step_of_the_clock_uses_up_no_wall_time(
    new_campaign: NewCampaign, fitter: Fitter, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """The wall time is counted by a clock that is not set; when it is over by that one, nothing is proposed."""
    campaign = new_campaign(budget={"wall_time_s": 600.0})
    service = service_of(campaign, fitter)
    wall, boot = time.time, boot_s
    monkeypatch.setattr(time, "time", lambda: wall() + step_s)
    service.step()
    service.step()
    assert campaign.waiting() >= 4
    late = service_of(campaign, fitter)
    monkeypatch.setattr(optimizer, "boot_s", lambda: boot() + 601.0)
    before = campaign.waiting()
    campaign.evaluate()
    late.step()
    late.step()
    assert campaign.waiting() == before - 1


def test_the_loss_of_the_fit_process_stops_nothing(new_campaign: NewCampaign) -> None:
    """Killed before its first answer: Sobol points fill the queue, the loss is counted, the next one fits."""
    campaign = new_campaign(budget={"results": 9})
    fitter = Fitter(threads=1)
    fitter.start()
    assert fitter.pid is not None
    try:
        os.kill(fitter.pid, signal.SIGKILL)
        run_through(campaign, service_of(campaign, fitter))
    finally:
        fitter.close()
    assert campaign.state.status().counters["fit_processes_lost"] == 1
    assert len(campaign.results()) == 9


def of_others(name: str) -> str:
    return f"{Path(__file__).with_name('strategies_of_others.py')}:{name}"


@pytest.mark.timeout(300)
def test_generator_of_xopt_survives_the_loss_of_its_process(new_campaign: NewCampaign) -> None:
    """kill -9 before its first answer: Sobol points fill the queue, then the next one reads the log and continues."""
    xopt = "xopt.generators.bayesian:UpperConfidenceBoundGenerator"
    campaign = new_campaign(optimizer={"strategy": xopt, "options": {"beta": 1.0}}, budget={"results": 9})
    fitter = Fitter(threads=1)
    fitter.start()
    assert fitter.pid is not None
    try:
        os.kill(fitter.pid, signal.SIGKILL)
        run_through(campaign, service_of(campaign, fitter), 200)
    finally:
        fitter.close()
    made_by = [one.strategy for one in campaign.candidates()]
    assert made_by[:4] == ["initial"] * 4
    assert made_by[-1] == "UpperConfidenceBoundGenerator"
    assert campaign.state.status().counters["fit_processes_lost"] == 1
    assert len(campaign.results()) == 9


def test_failures_of_a_generator_are_counted(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """Sobol points stand in, the campaign comes to its end, and the count of failures says how often."""
    campaign = new_campaign(optimizer={"strategy": of_others("Raises")}, budget={"results": 8})
    run_through(campaign, service_of(campaign, fitter))
    assert {one.strategy for one in campaign.candidates()[4:]} == {"sobol"}
    assert campaign.state.status().counters["fits_failed"] >= 1
    assert len(campaign.results()) == 8


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_generator_that_dies_again_and_again_is_given_up(new_campaign: NewCampaign) -> None:
    """After three processes nobody waits for it any more."""
    campaign = new_campaign(
        optimizer={"strategy": of_others("Dies"), "mode": "batch", "n_batch": 1}, budget={"results": 12}
    )
    fitter = Fitter(threads=1)
    try:
        run_through(campaign, service_of(campaign, fitter), 500)
    finally:
        fitter.close()
    assert campaign.state.status().counters["fit_processes_lost"] == 3
    assert [one.strategy for one in campaign.candidates()[4:]] == ["sobol"] * 8


class ServiceProcess:
    """`python -m moireloop_optimizer` with its log in the campaign's folder."""

    def __init__(self, campaign: CampaignInRedis) -> None:
        self.log = Path(campaign.connection.folder) / "optimizer.log"
        command = [sys.executable, "-m", "moireloop_optimizer", "--connection", str(campaign.file)]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stderr=output)

    def family(self) -> list[psutil.Process]:
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def started() -> Iterator[list[ServiceProcess]]:
    """Processes started by a test; those that it leaves are killed."""
    processes: list[ServiceProcess] = []
    yield processes
    for one in processes:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


def test_a_killed_service_goes_on_from_the_log(new_campaign: NewCampaign, started: list[ServiceProcess]) -> None:
    """kill -9 in the middle: its fit process goes with it, and the next one completes the campaign."""
    campaign = new_campaign()
    started.append(ServiceProcess(campaign))
    wait_until(lambda: started[0].family() and campaign.waiting() >= 4, "the initial design is queued")
    children = started[0].family()
    for _ in range(3):
        assert campaign.evaluate()
    started[0].end(signal.SIGKILL)
    wait_until(lambda: not any(child.is_running() for child in children), "its fit process is gone")
    started.append(ServiceProcess(campaign))
    wait_until(lambda: campaign.evaluate() or len(campaign.results()) == 12, "the next candidate")
    wait_until(lambda: not campaign.evaluate() and len(campaign.results()) == 12, "all results")
    assert sorted(one.candidate_id for one in campaign.candidates()) == [f"c{n:05d}" for n in range(1, 13)]
    assert started[1].end(signal.SIGTERM) == 0


def test_missing_settings_end_the_service_with_an_error(
    new_campaign: NewCampaign, started: list[ServiceProcess]
) -> None:
    """Exit code 1, and the log says which section is missing."""
    campaign = new_campaign()
    campaign.client.hdel(campaign.connection.keys.settings, "budget")
    started.append(ServiceProcess(campaign))
    assert started[0].process.wait(30) == 1
    assert "section 'budget'" in started[0].log.read_text()


def test_next_proposal_aims_at_the_new_target(new_campaign: NewCampaign, fitter: Fitter) -> None:
    """Also while the fit process works at the old one, whose answer is dropped; all results so far are used."""
    campaign = new_campaign(budget={"results": 30})
    service, steering = (
        service_of(campaign, fitter),
        Steering(campaign.client, campaign.connection.keys, campaign.state),
    )
    deadline = time.monotonic() + 60
    while not (len(campaign.results()) >= 6 and service.is_asking):
        service.step()
        campaign.evaluate()
        assert time.monotonic() < deadline
    known = {one.candidate_id for one in campaign.candidates()}
    steering.carry_out(RetargetRequest(targets=[WantedTwist(twist_deg=21.0)], requester="ada"))
    while len(campaign.candidates()) < len(known) + 3:
        service.step()
        campaign.evaluate()
        assert time.monotonic() < deadline
    fresh = [one for one in campaign.candidates() if one.candidate_id not in known]
    assert {one.target_deg for one in fresh} == {21.0}
    assert len(service.planner.runs) >= 6
    assert {result.reason for result in campaign.results() if result.outcome == "cancelled"} <= {
        "proposed for a target that ada gave up"
    }
