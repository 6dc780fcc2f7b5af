"""A campaign that outlives its allocations: each gives back what it has in time, and the next one goes on with it."""

from __future__ import annotations

import signal
from collections.abc import Callable

from moireloop import NotRunning, connect
from moireloop.exit_codes import EXIT_GO_ON
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.contract.events import CampaignChanged, Event, Result, RunFailed, RunLeased
from moireloop_broker.processes.exits import EXIT_GO_ON as SERVICE_GOES_ON
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

Make = Callable[..., RunningCampaign]


def leased_by(events: list[Event], state: str) -> list[str]:
    """The candidates that were leased from the start of a session in this state, in order."""
    states = [isinstance(event, CampaignChanged) and event.state == state for event in events]
    return [event.candidate_id for event in events[states.index(True) :] if isinstance(event, RunLeased)]


def step_of(failed: RunFailed) -> int:
    """The step at which a run was given back."""
    return int(failed.reason.partition("at step ")[2].split()[0])


def steps_now(campaign: RunningCampaign) -> int:
    """How far the farthest run has come; nowhere where nothing responds."""
    try:
        with connect(campaign.folder, timeout_s=2) as client:
            return max([worker.step for worker in client.status().workers], default=0)
    except (NotRunning, NoConnectionFile):
        return 0


def test_campaign_goes_on_where_it_gave_back(campaign: Make) -> None:
    """SIGUSR1 gives everything back with exit code 75; the same command then goes on with the half-done runs first."""
    running = campaign(results=4, steps=(20_000, 20_000))
    text = running.file.read_text(encoding="utf-8")
    running.file.write_text(text.replace("[workers]", '[workers]\non_term = "hand_back"'), encoding="utf-8")
    running.start("run", "--or-resume")
    process = running.process
    assert process is not None
    wait_until(lambda: steps_now(running) > 0 or process.poll() is not None, "a run has made a step", 120)
    process.send_signal(signal.SIGUSR1)
    code, output = running.end(300)
    assert code == EXIT_GO_ON == SERVICE_GOES_ON
    assert "gave everything back: SIGUSR1 says to give everything back, with" in output
    given_back = {event.candidate_id: step_of(event) for event in running.events() if isinstance(event, RunFailed)}
    running.start("run", "--or-resume", "--until", "10:00:00")
    code, output = running.end(300)
    assert code == 0, output
    events = running.assert_exactly_one_result_each(4)
    assert sorted(given_back) == sorted(leased_by(events, "resumed")[: len(given_back)])
    assert not any(event.charged for event in events if isinstance(event, RunFailed))
    reports = {event.candidate.candidate_id: event.report for event in events if isinstance(event, Result)}
    resumed_from = {name: report.resumed_from_step for name, report in reports.items() if report is not None}
    assert {name: resumed_from[name] for name in given_back} == given_back
    assert max(given_back.values()) > 0
