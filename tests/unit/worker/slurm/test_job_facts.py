"""What is read out of Slurm's commands, as Slurm 22.05 has said it."""

from __future__ import annotations

import pytest

from moireloop_worker.launchers.allocation import Node
from moireloop_worker.slurm.job_facts import allocation_of, end_of, expanded, state_of, steps_of

JOB = (
    "JobId=7 JobName=no-shell UserId=root(0) GroupId=root(0) JobState=RUNNING Reason=None Requeue=1 Restarts=0 "
    "RunTime=00:00:01 TimeLimit=00:05:00 EndTime=2026-11-29T23:39:32 NodeList=n[1-3] BatchHost=n2 NumNodes=3 "
    "NumTasks=2 TRES=cpu=10,mem=8000M,node=3 JOB_GRES=gpu:4   Nodes=n[1-2] CPU_IDs=0-3 Mem=4000 GRES=gpu:2(IDX:0-1) "
    "  Nodes=n3 CPU_IDs=0,2 Mem=4000 GRES=gpu:a100:4(IDX:0-3),fpga:1(IDX:0) MinCPUsNode=1 Command=(null)\n"
)


def test_nodes_of_a_job() -> None:
    """Each node has the CPUs and GPUs that the job holds of it; the one where the job begins comes first."""
    found = allocation_of(JOB)
    assert found is not None
    assert found.nodes == (Node("n2", 4, 2), Node("n1", 4, 2), Node("n3", 2, 4))
    assert found.shown == "Slurm job 7: 2 nodes of 4 cores and 2 GPUs, 1 node of 2 cores and 4 GPUs"


@pytest.mark.parametrize("state", ["PENDING", "CANCELLED", "TIMEOUT"])
def test_job_that_does_not_run_holds_nothing(state: str) -> None:
    """Its state is reported instead."""
    said = JOB.replace("RUNNING", state)
    assert allocation_of(said) is None
    assert state_of(said) == state


@pytest.mark.parametrize("said", ["", "\n", "JobId=7 JobState=RUNNING", "\x00\xff Nodes= CPU_IDs="])
def test_non_job_holds_nothing(said: str) -> None:
    """Nothing that scontrol says, or does not say, is an error here."""
    assert allocation_of(said) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("n1", ["n1"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-10,12],login", ["n08", "n09", "n10", "n12", "login"]),
        ("r[1-2]c[3,5]-x", ["r1c3-x", "r1c5-x", "r2c3-x", "r2c5-x"]),
    ],
)
def test_host_lists(names: str, expected: list[str]) -> None:
    """Brackets, leading zeros and several names."""
    assert expanded(names) == expected


@pytest.mark.parametrize("names", ["n[1-", "n[1-9999999999]", "n[a-b]", "n[1-99999],m[1-99999]"])
def test_host_lists_that_are_none(names: str) -> None:
    """They are refused, whatever they would lead to."""
    with pytest.raises(ValueError, match=r"expected|invalid"):
        expanded(names)


@pytest.mark.parametrize(
    ("said", "expected"), [("1795995775\n", 1795995775.0), ("NONE\n", None), ("", None), ("Unknown", None)]
)
def test_end_of_a_job(said: str, expected: float | None) -> None:
    """Seconds since the epoch, or none."""
    assert end_of(said) == expected


def test_steps_by_name() -> None:
    """Only the jobs of one pool: campaign and pool are parts of the name."""
    said = "5.0 moireloop-c-main-worker-0\n5.1 moireloop-c-other-worker-0\n5.batch batch\n\n5.2 moireloop-c-main-x\n"
    assert steps_of(said, "moireloop-c-main-") == ["5.0", "5.2"]
