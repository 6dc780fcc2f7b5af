"""When the pool starts workers and how it reads their ends."""

from __future__ import annotations

import signal

import pytest

from moireloop_broker.processes.exits import EXIT_NOT_ITS_FAULT, last_words
from moireloop_worker.launchers.launcher import Exit, Kind
from moireloop_worker.launchers.local import Death, exit_of
from moireloop_worker.pool.decisions import Pool
from moireloop_worker.run.lease_keeper import renewal_period_s

KILLED = b"""=   PID 77 RUNNING AT node-3
=   EXIT CODE: 9
YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
This typically refers
"""


def started(count: int = 1) -> Pool:
    pool = Pool([f"worker-{number}" for number in range(count)])
    for worker in pool.workers:
        pool.released(worker)
    for worker in pool.due(0.0):
        pool.started(worker, 0.0)
    return pool


def test_workers_start_once_their_predecessors_leases_are_given_back() -> None:
    """Nothing starts before the release; then all workers do, and only once."""
    pool = Pool(["worker-0", "worker-1"])
    assert pool.due(0.0) == []
    pool.released("worker-1")
    assert pool.due(0.0) == ["worker-1"]
    pool.released("worker-0")
    pool.started("worker-1", 0.0)
    assert pool.due(1.0) == ["worker-0"]


def test_dying_workers_wait_longer_and_longer() -> None:
    """A worker that dies at once waits 0.5 s, then twice as long each time, up to 30 s."""
    pool, now_s, waits = started(), 0.0, []
    for _ in range(9):
        waits.append(pool.ended("worker-0", now_s, productive=False))
        pool.released("worker-0")
        assert pool.due(now_s + waits[-1] - 0.01) == []
        now_s += waits[-1]
        assert pool.due(now_s) == ["worker-0"]
        pool.started("worker-0", now_s)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize(("lived_s", "productive"), [(61.0, False), (2.0, True)])
def test_healthy_life_forgets_deaths(lived_s: float, productive: bool) -> None:
    """After a minute, or after a candidate completed, the waits begin at 0.5 s again."""
    pool = started()
    for _ in range(3):
        pool.ended("worker-0", 0.0, productive=False)
        pool.started("worker-0", 0.0)
    assert pool.ended("worker-0", lived_s, productive=productive) == 0.5


def test_pool_is_given_up_when_no_worker_ever_becomes_ready() -> None:
    """Workers that die before they are ready, all of them and four times in a row: nothing here can run them."""
    pool = started(2)
    for worker in (*["worker-0"] * 9, *["worker-1"] * 3):
        pool.ended(worker, 0.0, productive=False, came_up=False)
    assert not pool.cannot_start
    pool.ended("worker-1", 0.0, productive=False, came_up=True)
    pool.ended("worker-1", 0.0, productive=False, came_up=False)
    assert not pool.cannot_start
    for _ in range(3):
        pool.ended("worker-1", 0.0, productive=False, came_up=False)
    assert pool.cannot_start


def test_pool_in_which_a_worker_once_came_up_is_never_given_up() -> None:
    """What kept workers from starting may be fixed meanwhile: the pool keeps trying."""
    pool = started()
    pool.ended("worker-0", 0.0, productive=False, came_up=True)
    for _ in range(9):
        pool.ended("worker-0", 0.0, productive=False, came_up=False)
    assert pool.cannot_start
    assert not pool.is_hopeless


def test_lost_machines_say_nothing_of_the_worker() -> None:
    """A worker whose machine went away before it was ready is no still-birth."""
    pool = started()
    for _ in range(9):
        pool.ended("worker-0", 0.0, productive=False, came_up=False, lost=True)
    assert not pool.cannot_start
    for _ in range(4):
        pool.ended("worker-0", 0.0, productive=False, came_up=False)
    assert pool.is_hopeless


def test_workers_wait_each_for_themselves() -> None:
    """The death of one worker does not delay another."""
    pool = started(2)
    pool.ended("worker-0", 1.0, productive=False)
    pool.ended("worker-1", 5.0, productive=False)
    pool.released("worker-0")
    pool.released("worker-1")
    assert pool.due(2.0) == ["worker-0"]


RANK = "rank died (pid 77 on node-3)"


@pytest.mark.parametrize(
    ("death", "words", "asked", "expected"),
    [
        (Death(0, 77, "node-3"), b"", False, Exit("stopped", "ended by itself")),
        (Death(0, 77, "node-3"), b"", True, Exit("stopped", "stopped on request")),
        (
            Death(-9, 77, "node-3", is_rank=False),
            b"",
            False,
            Exit("signal", "the starter of its ranks was killed by SIGKILL"),
        ),
        (Death(-9, 77, "node-3"), b"", False, Exit("signal", f"{RANK}: killed by SIGKILL")),
        (Death(-11, 77, "node-3"), b"", False, Exit("signal", f"{RANK}: killed by SIGSEGV")),
        (
            Death(1, 77, "node-3"),
            b"ValueError: no\nAbort(1) on node 0\n",
            False,
            Exit("error", f"{RANK}: exit code 1: ValueError: no"),
        ),
        (Death(3, 77, "node-3"), b"", False, Exit("error", f"{RANK}: exit code 3")),
        (Death(2, 77, "node-3"), b"worker started\n", False, Exit("error", f"{RANK}: exit code 2: worker started")),
        (
            Death(EXIT_NOT_ITS_FAULT, 77, "node-3"),
            b"cannot write\n",
            False,
            Exit("fault", f"{RANK}: exit code 74: cannot write"),
        ),
    ],
)
def test_ends_are_classified(death: Death, words: bytes, asked: bool, expected: Exit) -> None:
    """An error, a signal and an end on request are distinguished, and the error has its words."""
    assert exit_of(death, words, asked=asked) == expected


@pytest.mark.parametrize(("code", "kind"), [(-7, "fault"), (15, "fault"), (-9, "signal"), (0, "stopped")])
def test_lack_of_shared_memory_is_named_and_not_charged(code: int, kind: str) -> None:
    """SIGBUS, or an error of MPI, where /dev/shm is full: the reason says so, and nobody is charged."""
    ended = exit_of(Death(code, 77, "node-3"), b"", asked=False, missing="no room")
    assert ended.kind == kind
    assert ("no room" in ended.reason) is (kind == "fault")


def test_only_ends_that_may_be_the_candidates_fault_are_charged() -> None:
    """A lost machine and a stop on request use up no attempt."""
    kinds: tuple[Kind, ...] = ("stopped", "error", "signal", "fault", "lost", "cannot launch")
    charged = {kind: Exit(kind, "").charged for kind in kinds}
    assert charged == {
        "stopped": False,
        "error": True,
        "signal": True,
        "fault": False,
        "lost": False,
        "cannot launch": False,
    }


def test_last_words_are_the_workers_own() -> None:
    """MPI's remarks after a death are not taken for its reason."""
    assert last_words(b"a\nERROR lammps failed\n" + KILLED) == "ERROR lammps failed"
    assert signal.SIGKILL.name not in last_words(KILLED)


def test_leases_are_renewed_in_time_but_not_by_all_at_once() -> None:
    """Renewal comes at a third of the lease or sooner, and Redis sees about a thousand a second."""
    assert renewal_period_s(30.0, 2) == 0.5
    assert renewal_period_s(0.6, 2) == pytest.approx(0.2)
    assert renewal_period_s(30.0, 4000) == 4.0


def test_pool_grows_and_shrinks() -> None:
    """A new worker starts once its predecessor's work was given back; a worker that leaves is no longer watched."""
    pool = started(2)
    assert pool.resize(["worker-0", "worker-1", "worker-2"]) == (["worker-2"], [])
    assert pool.due(1.0) == []
    pool.released("worker-2")
    assert pool.due(1.0) == ["worker-2"]
    assert pool.resize(["worker-0"]) == ([], ["worker-1", "worker-2"])
    assert pool.ended("worker-1", 2.0, productive=False) == 0.0
    pool.released("worker-1")
    assert pool.workers == ["worker-0"]
    assert pool.due(100.0) == []


def test_pool_without_workers_is_not_hopeless() -> None:
    """It was asked to keep none, or has not been asked for any."""
    pool = Pool([])
    assert not pool.is_hopeless
    assert pool.resize([]) == ([], [])
