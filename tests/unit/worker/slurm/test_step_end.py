"""How a worker's step ended, from what srun and slurmstepd of Slurm 22.05 have said on two nodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moireloop_worker.launchers.launcher import Exit
from moireloop_worker.slurm.step_end import exit_of_step, is_doomed, is_waiting, telling

RECORDED = json.loads((Path(__file__).parent / "slurm_22_05_said.json").read_text(encoding="utf-8"))


def exit_of(name: str, *, asked: bool = False) -> Exit:
    case = RECORDED[name]
    return exit_of_step(case["code"], case["said"], case["log"].encode(), asked=asked)


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("rank killed", "signal", "rank 1 died on n2: killed by SIGKILL"),
        ("rank segfaults", "signal", "rank 1 died on n2: killed by SIGSEGV"),
        ("rank exits with 3", "error", "rank 1 died on n2: exit code 3: ValueError: no"),
        ("rank exits with 74", "fault", "rank 1 died on n2: exit code 74: cannot write /x: No space left"),
        ("rank aborts", "error", "rank died: exit code 15: up "),
        ("ends by itself", "stopped", "ended by itself"),
        ("step cancelled", "lost", "Slurm: cancelled from outside"),
        ("step terminated", "stopped", "ended by itself"),
        ("srun killed", "signal", "the srun of its ranks was killed by SIGKILL"),
        ("srun terminated", "lost", "Slurm: cancelled from outside"),
        ("too many ranks", "cannot launch", "srun: Unable to create step for job 1: More processors requested than "),
        ("too many nodes", "cannot launch", "srun: Only allocated 2 nodes asked for 3"),
        ("no such program", "error", "exit code 1: FileNotFoundError: [Errno 2] No such file or directory"),
        ("unknown option", "cannot launch", "srun: unrecognized option '--no-such=1'"),
        ("no pmix", "cannot launch", "can not load PMIx library"),
        ("no such gres", "cannot launch", "srun: Invalid generic resource (gres) specification"),
        ("job is over", "lost", "Slurm: the job is over: Unable to confirm allocation for job 9999: Invalid job id"),
        ("node down", "lost", "Slurm: node failure on n2"),
        ("slurmd and slurmstepd killed", "lost", "Slurm: node failure on n2"),
        ("job cancelled", "lost", "Slurm: cancelled from outside"),
        ("preempted", "lost", "Slurm: cancelled on n1 due to preemption"),
        ("time limit", "lost", "Slurm: cancelled on n1 due to time limit"),
        ("slurmctld is gone", "cannot launch", "srun: "),
    ],
)
def test_recorded_ends(name: str, kind: str, reason: str) -> None:
    """An error is the attempt's; a node, a cancel, a limit and a preemption are not; what never began says why."""
    found = exit_of(name)
    assert found.kind == kind
    assert reason in found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize("name", RECORDED)
def test_worker_that_was_asked_has_stopped(name: str) -> None:
    """However it ended, it did so on request."""
    assert exit_of(name, asked=True) == Exit("stopped", "stopped on request")


def test_node_failure_counts_before_an_exit_with_0() -> None:
    """srun may end with 0 after it has reported a lost node."""
    said = "srun: error: Node failure on n2\nsrun: Job step aborted: Waiting up to 32 seconds for job step to finish.\n"
    assert exit_of_step(0, said, b"", asked=False) == Exit("lost", "Slurm: node failure on n2")


def test_step_that_is_cut_off_with_its_job_is_lost_though_its_ranks_ended_in_time() -> None:
    """srun then ends with 0, as if the worker had ended by itself."""
    said = "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\n"
    assert exit_of_step(0, said, b"ended\n", asked=False).kind == "lost"


def test_want_of_memory_is_charged() -> None:
    """A rank that Slurm kills for its memory died of what it did."""
    said = "srun: error: n1: task 0: Out Of Memory\n"
    log = (
        b"slurmstepd-n1: error: Detected 1 oom_kill event in StepId=5.0. Some of the step tasks have been OOM Killed.\n"
    )
    assert exit_of_step(125, said, log, asked=False) == Exit("signal", "rank 0 died on n1: out of memory")


def test_program_that_is_not_there_cannot_be_launched() -> None:
    """slurmstepd says so in the worker's log."""
    log = b"slurmstepd-n1: error: execve(): /no/python: No such file or directory\n"
    found = exit_of_step(2, "srun: error: n1: task 0: Exited with exit code 2\n", log, asked=False)
    assert found == Exit("cannot launch", "Slurm cannot start the worker: /no/python: No such file or directory")


@pytest.mark.parametrize(
    ("said", "waiting"),
    [
        ("", False),
        ("srun: jobid 1: nodes(2):`n[1-2]', cpu counts: 1(x2)\n", True),
        ("srun: Job 1 step creation temporarily disabled, retrying (Requested nodes are busy)\n", True),
        (
            "srun: jobid 1: nodes(2):`n[1-2]', cpu counts: 1(x2)\nsrun: launching StepId=1.0 on host n1, 1 tasks: 0\n",
            False,
        ),
        (RECORDED["rank killed"]["said"], False),
    ],
)
def test_step_without_a_place_waits(said: str, waiting: bool) -> None:
    """From the moment that the job is known until the step has its nodes."""
    assert is_waiting(said) is waiting


@pytest.mark.parametrize(
    ("name", "doomed"),
    [("rank killed", True), ("rank exits with 3", True), ("node down", True), ("ends by itself", False)],
)
def test_step_whose_rank_died_is_doomed(name: str, doomed: bool) -> None:
    """The other ranks would wait for it."""
    assert is_doomed(RECORDED[name]["said"]) is doomed


def test_a_person_sees_what_srun_complains_of() -> None:
    """And not how it was started."""
    said = telling(RECORDED["rank killed"]["said"])
    assert "srun: error: n2: task 1: Killed\n" in said
    assert "defined options" not in said
