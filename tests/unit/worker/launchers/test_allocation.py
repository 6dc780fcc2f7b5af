"""What fits into an allocation, and which launcher "auto" means."""

from __future__ import annotations

import pytest

from moireloop_worker.checks import fitting_workers, machine_problems, shape_of
from moireloop_worker.launchers.allocation import Allocation, Node, Shape, places, why_too_many
from moireloop_worker.launchers.registry import chosen_launcher
from moireloop_worker.settings import LammpsSettings, PoolSettings

THREE = Allocation("Slurm job 17", (Node("n1", 4, 2), Node("n2", 4, 2), Node("n3", 2, 0)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape(1), 10),
        (Shape(2), 5),
        (Shape(3), 2),
        (Shape(5), 0),
        (Shape(1, cores=3), 2),
        (Shape(1, gpus=1), 4),
        (Shape(2, gpus=1), 2),
        (Shape(1, gpus=3), 0),
        (Shape(2, nodes=2), 5),
        (Shape(8, nodes=2), 1),
        (Shape(3, nodes=3), 2),
        (Shape(7, nodes=3), 0),
        (Shape(4, nodes=4), 0),
        (Shape(2, gpus=1, nodes=2), 2),
    ],
)
def test_places(shape: Shape, expected: int) -> None:
    """Ranks of one worker share a node, or as many nodes as are asked for; no core or GPU is given twice."""
    assert places(THREE, shape) == expected


def test_cores_that_are_kept_for_services_are_the_first_nodes() -> None:
    """Broker, optimizer and analyzers run where the job begins."""
    assert places(THREE, Shape(1), reserved=2) == 8
    assert places(THREE, Shape(1), reserved=9) == 6


def test_uncounted_gpus_are_left_to_the_scheduler() -> None:
    """Where an allocation does not say how many GPUs it has, cores alone decide here."""
    assert places(Allocation("Flux", (Node("n1", 4),)), Shape(1, gpus=2)) == 4


@pytest.mark.parametrize(
    ("shape", "count", "key", "words"),
    [
        (Shape(2), 6, "count", "got 6 x 2 ranks on 1 node, each rank with 1 core; 5 of them fit"),
        (Shape(8, nodes=2), 2, "count", "1 of them fits"),
        (Shape(9), 1, "ranks", "got 1 x 9 ranks on 1 node, each rank with 1 core; none of them fit"),
        (Shape(1, gpus=3), 1, "gpus", "each rank with 1 core and 3 GPUs; none of them fit"),
        (Shape(4, nodes=4), 1, "nodes", "got 1 x 4 ranks on 4 nodes"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(shape: Shape, count: int, key: str, words: str) -> None:
    """The line names what there is, what was asked for, and how much of it fits."""
    found = why_too_many(THREE, shape, count)
    assert found is not None
    assert found[0] == key
    assert "into Slurm job 17: 2 nodes of 4 cores and 2 GPUs, 1 node of 2 cores, got" in found[1]
    assert words in found[1]


def test_what_fits_is_fine() -> None:
    """Nothing is said of it."""
    assert why_too_many(THREE, Shape(2), 5) is None


@pytest.mark.parametrize(
    ("environment", "launcher"),
    [
        ({}, "local"),
        ({"SLURM_JOB_ID": ""}, "local"),
        ({"SLURM_JOB_ID": "7"}, "slurm"),
        ({"FLUX_URI": "local:///tmp/x", "SLURM_JOB_ID": "7"}, "flux"),
    ],
)
def test_auto_follows_the_allocation(environment: dict[str, str], launcher: str) -> None:
    """The innermost scheduler counts; any other name is what it says."""
    assert chosen_launcher("auto", environment) == launcher
    assert chosen_launcher("local", environment) == "local"
    assert chosen_launcher("our-site", environment) == "our-site"


def test_cores_of_a_rank_count() -> None:
    """`workers.cores` counts beside ranks and workers; without it the threads of LAMMPS do."""
    threads = LammpsSettings.model_validate({"arguments": ["-pk", "omp", "2"]})
    assert shape_of(PoolSettings(count=1, ranks=2), threads) == Shape(2, 2)
    assert shape_of(PoolSettings(count=1, ranks=2, cores=3), threads) == Shape(2, 3)
    workers = PoolSettings(count=2, cores=3, launcher="local")
    assert machine_problems(workers, LammpsSettings(), 6) == []
    (problem,) = machine_problems(workers, LammpsSettings(), 5)
    assert (problem.key, problem.text[:44]) == ("workers.count", "expected count x ranks x cores of at most 5 ")


@pytest.mark.parametrize(("cores", "reserved", "expected"), [(8, 2, 3), (8, 0, 4), (2, 2, 1), (1, 3, 1)])
def test_all_means_what_fits_beside_the_services(cores: int, reserved: int, expected: int) -> None:
    """At least one worker, be it that services and worker then share cores."""
    workers = PoolSettings(count="all", ranks=2, launcher="local")
    assert fitting_workers(workers, LammpsSettings(), cores, reserved) == expected
