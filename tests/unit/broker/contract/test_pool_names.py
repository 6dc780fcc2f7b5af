"""Names of pools and workers: who belongs to whom, and names that nobody chose."""

from __future__ import annotations

import re

import pytest
from pydantic import TypeAdapter

from moireloop_broker.contract.message import Identifier
from moireloop_broker.contract.pool_names import (
    LONGEST,
    POOL_NAME,
    PoolNameRefused,
    pool_of,
    refuse_pool_name,
    usual_pool_name,
    worker_name,
)


@pytest.mark.parametrize("pool", ["main", "night", "n17-4711", "a-worker-b", "x" * LONGEST])
def test_a_worker_knows_its_pool_by_its_name(pool: str) -> None:
    """Also where the pool's name looks like a worker's, and with the most workers that there may be."""
    for number in (0, 4095):
        name = worker_name(pool, number)
        assert pool_of(name) == pool
        TypeAdapter(Identifier).validate_python(name)


def test_the_pool_of_a_session_keeps_the_names_of_earlier_versions() -> None:
    """So that its predecessor's candidates are given back."""
    assert worker_name("main", 3) == "worker-3"


@pytest.mark.parametrize("name", ["", "main", "a b", "-a", "ü", "x" * (LONGEST + 1), "a\n", "../a"])
def test_names_that_pools_may_not_have(name: str) -> None:
    """The text names the option."""
    with pytest.raises(PoolNameRefused, match="--name"):
        refuse_pool_name(name)


@pytest.mark.parametrize(
    ("host", "environment", "name"),
    [
        ("n17.cluster.org", {}, "n17"),
        ("n17", {"SLURM_JOB_ID": "4711"}, "n17-4711"),
        ("n17", {"FLUX_JOB_ID": "ƒ2oLkBuyV", "SLURM_JOB_ID": ""}, "n17-2oLkBuyV"),
        ("", {}, "pool"),
        ("main", {}, "main-pool"),
        ("h" * 63, {"PBS_JOBID": "123[4].server"}, f"{'h' * 36}-123-4-.server"),
    ],
)
def test_usual_name_is_that_of_host_and_job(host: str, environment: dict[str, str], name: str) -> None:
    """It is always one that a pool may have, and keeps the job's id where the host's name is long."""
    assert usual_pool_name(host, environment) == name
    assert re.fullmatch(POOL_NAME, name)
    refuse_pool_name(name)
