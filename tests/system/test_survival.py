"""Whatever is killed, when: exactly one result per candidate, no hang, no orphan."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from moireloop import connect
from moireloop_broker.contract.events import CampaignChanged, RunFailed, RunLeased, ServiceChanged
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

Make = Callable[..., RunningCampaign]


def crashed(events: list[object]) -> set[str]:
    return {event.service for event in events if isinstance(event, ServiceChanged) and event.state == "crashed"}


@pytest.mark.parametrize(
    ("words", "service"),
    [
        (("moireloop_analyzer",), "analyzer-0"),
        (("moireloop_optimizer",), "optimizer"),
        (("-m moireloop_broker",), "broker"),
        (("-server",), "redis"),
        (("moireloop_worker.pool.service",), "pool"),
    ],
    ids=["analyzer", "optimizer", "broker", "redis", "pool"],
)
def test_service_killed_in_the_middle(campaign: Make, words: tuple[str, ...], service: str) -> None:
    """kill -9 of one service: it is started again, the crash is in the log, and the campaign completes."""
    running = campaign(results=12)
    running.start()
    running.wait_for_results(3)
    running.kill(*words)
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(12)
    assert service in crashed(list(events))


def test_worker_killed_in_the_middle(campaign: Make) -> None:
    """kill -9 of a worker's rank: its candidate is tried again at once, with the reason in the log."""
    running = campaign(results=12)
    running.start()
    running.wait_for_results(3)
    running.kill("moireloop_worker", "--name worker-0", "mpi4py")
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(12)
    failures = [event for event in events if isinstance(event, RunFailed)]
    assert all(failure.worker == "worker-0" for failure in failures)


def test_everything_killed_then_resumed(campaign: Make) -> None:
    """kill -9 of everything at once, then `moireloop resume`: the same as if nothing had happened."""
    running = campaign(results=12)
    running.start()
    running.wait_for_results(4)
    running.kill_everything()
    wait_until(lambda: not running.descendants(), "no process is left")
    running.start("resume")
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(12)
    states = [event.state for event in events if isinstance(event, CampaignChanged)]
    assert states == ["started", "resumed", "completed"]


def test_command_killed_leaves_no_orphan(campaign: Make) -> None:
    """kill -9 of the command alone: everything that it started ends too, and resume completes the campaign."""
    running = campaign(results=10)
    running.start()
    running.wait_for_results(3)
    assert running.process is not None
    running.descendants()
    running.process.kill()
    running.process.wait(10)
    wait_until(lambda: not running.descendants(), "no orphan is left", 30)
    running.start("resume")
    code, output = running.end()
    assert code == 0, output
    running.assert_exactly_one_result_each(10)


def test_interrupted_once_it_drains_and_resume_goes_on_with_a_new_budget(campaign: Make) -> None:
    """The first Ctrl-C lets what runs come to results; a later resume with another budget completes exactly that.

    `workers.count` was changed as well: the pool has as many workers as the file says now.
    """
    running = campaign(results=40)
    running.start()
    running.wait_for_results(4)
    assert running.process is not None
    running.process.send_signal(signal.SIGINT)
    code, output = running.end()
    assert code == 0, output
    assert "draining" in output
    assert "writing tables and figures; Ctrl-C again skips them" in output
    running.write(results=16)
    text = running.file.read_text(encoding="utf-8")
    running.file.write_text(text.replace("count = 2", "count = 3"), encoding="utf-8")
    running.start("resume")
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(16)
    assert {event.worker for event in events if isinstance(event, RunLeased)} == {"worker-0", "worker-1", "worker-2"}


def test_interrupted_twice_it_ends_at_once(campaign: Make) -> None:
    """The second Ctrl-C kills; what is lost is only what ran, and resume computes it again."""
    running = campaign(results=8, steps=(40_000, 40_000))
    running.start()
    wait_until(lambda: running.find("moireloop_worker", "--name worker-0", "mpi4py") is not None, "a worker")
    wait_until(lambda: (running.folder / "connection.json").exists(), "the connection file")
    assert running.process is not None
    wait_until(lambda: bool(list((running.folder / "runs").glob("*"))), "a run has begun")
    running.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Ctrl-C again kills" in running.output.read_text(), "the first was heard")
    running.process.send_signal(signal.SIGINT)
    code, output = running.end(40)
    assert code in (0, 130), output


def test_stop_command_drains(campaign: Make) -> None:
    """An outside `stop` ends the session in order, and the log says why."""
    running = campaign(results=40)
    running.start()
    running.wait_for_results(3)
    with connect(running.folder / "connection.json") as client:
        client.stop("enough for today")
    code, output = running.end()
    assert code == 0, output
    states = [(e.state, e.reason) for e in running.events() if isinstance(e, CampaignChanged)]
    assert ("draining", "enough for today") in states


def test_campaign_whose_every_run_fails_is_given_up(campaign: Make) -> None:
    """When LAMMPS fails on all of the first candidates, the session ends with exit code 1 and LAMMPS's own words."""
    running = campaign(results=400)
    text = running.file.read_text(encoding="utf-8")
    torn_apart = "timestep_fs = 100.0\nspring_upper_ev_angstrom2 = 5000.0\n\n[workers]\nmax_attempts = 1"
    running.file.write_text(text.replace("[workers]", torn_apart), encoding="utf-8")
    running.start()
    code, output = running.end()
    assert code == 1, output
    assert "given up: all of the first" in output
    assert "Lost atoms" in output
    outcomes = {result.outcome for result in running.results_of_log()}
    assert outcomes == {"failed"}
