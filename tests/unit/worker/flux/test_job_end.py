"""How a worker in a Flux job ended, by events that Flux 0.88 with two brokers reported (flux_0_88_events.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moireloop_worker.flux.job_end import exit_of_job, is_waiting

Events = list[dict[str, Any]]

EVENTS: dict[str, Events] = json.loads(Path(__file__).with_name("flux_0_88_events.json").read_text(encoding="utf-8"))

WORDS = b"MD went on\nERROR: Lost atoms\nflux-shell[0]: FATAL: task-exit: python: task rank 0 on host n0 failed\n"


@pytest.mark.parametrize(
    ("what", "kind", "reason"),
    [
        ("ended by itself", "stopped", "ended by itself"),
        ("exit code 3", "error", "rank 0 died on n0: exit code 3: ERROR: Lost atoms"),
        ("exit code 74 of one of two", "fault", "rank 1 died on n1: exit code 74: ERROR: Lost atoms"),
        ("segmentation fault", "signal", "rank 0 died on n0: killed by SIGSEGV"),
        ("one of two killed", "signal", "rank 1 died on n1: killed by SIGKILL"),
        ("no such program", "cannot launch", "start failed: /nonexistent: No such file or directory"),
        ("too many cores", "cannot launch", "need 1 node(s) with 9 cores each"),
        ("too many nodes", "cannot launch", "need 3 node(s) with 1 cores each"),
        ("cancelled", "lost", "Flux: cancel: because"),
        ("time limit", "lost", "Flux: timeout: resource allocation expired"),
        ("the shell killed", "signal", "Flux's shell of the worker: killed by SIGKILL"),
        ("the second of two shells killed", "signal", "Flux's shell 1 of the worker died on n1"),
        ("the first of two shells killed", "signal", "Flux's shell 0 of the worker died on n0"),
        ("node lost", "lost", "node failure on n1"),
        ("node lost before the start", "lost", "node failure on n1"),
    ],
)
def test_an_end_is_classified(what: str, kind: str, reason: str) -> None:
    """Errors and signals are the attempt's; what comes from outside is lost; what has no place cannot be launched."""
    ended = exit_of_job(EVENTS[what], WORDS, asked=False)
    assert ended is not None
    assert ended.kind == kind
    assert reason in ended.reason


@pytest.mark.parametrize("what", ["cancelled", "ended by itself", "one of two killed", "time limit"])
def test_a_requested_end_is_not_a_loss(what: str) -> None:
    """Whatever the signal does to the ranks."""
    ended = exit_of_job(EVENTS[what], WORDS, asked=True)
    assert ended is not None
    assert ended.kind == "stopped"


@pytest.mark.parametrize("what", ["waits on a drained node", "runs", "being cancelled"])
def test_a_worker_that_may_still_give_back_has_not_ended(what: str) -> None:
    """A cancelled job has some seconds left; another event reports its end."""
    assert exit_of_job(EVENTS[what], WORDS, asked=False) is None


def test_a_lost_node_ends_a_worker_before_the_rest_of_it_is_gone() -> None:
    """Its candidate goes to another without waiting for a node that says nothing any more."""
    events = EVENTS["node lost"]
    exceptions = [number for number, event in enumerate(events) if event["name"] == "exception"]
    ended = exit_of_job(events[: exceptions[0] + 1], WORDS, asked=False)
    assert ended is not None
    assert ended.kind == "lost"


def test_a_lost_node_outweighs_what_its_shell_says() -> None:
    """The two exceptions come in either order."""
    events = list(EVENTS["node lost"])
    first, second = (number for number, event in enumerate(events) if event["name"] == "exception")
    events[first], events[second] = events[second], events[first]
    ended = exit_of_job(events, WORDS, asked=False)
    assert ended is not None
    assert ended.kind == "lost"


def test_a_job_waits_until_it_has_a_place() -> None:
    """From then on the worker speaks for itself."""
    assert is_waiting(EVENTS["waits on a drained node"])
    assert is_waiting([])
    assert not is_waiting(EVENTS["runs"])
    assert not is_waiting(EVENTS["too many cores"])


def test_a_job_that_is_over_without_a_word_is_lost() -> None:
    """Nothing is known of what the worker did."""
    events = [event for event in EVENTS["ended by itself"] if event["name"] != "finish"]
    ended = exit_of_job(events, WORDS, asked=False)
    assert ended is not None
    assert ended.kind == "lost"
