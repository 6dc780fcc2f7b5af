"""What a pool is called that was given no name."""

from __future__ import annotations

import pytest

from moireloop_broker.contract.pool_names import usual_pool_name


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "n1"),
        ({"SLURM_JOB_ID": "17"}, "n1-17"),
        ({"FLUX_ENCLOSING_ID": "\u01927Gm6nQF"}, "n1-7Gm6nQF"),
        ({"FLUX_ENCLOSING_ID": "\u01927Gm6nQF", "FLUX_JOB_ID": "\u0192JFu28jR"}, "n1-JFu28jR"),
        ({"FLUX_ENCLOSING_ID": "\u01927Gm6nQF", "SLURM_JOB_ID": "17"}, "n1-7Gm6nQF"),
    ],
)
def test_name_is_that_of_the_host_and_the_innermost_job(environment: dict[str, str], name: str) -> None:
    """Two instances of Flux in one Slurm job, on one host, give their pools two names."""
    assert usual_pool_name("n1.cluster", environment) == name
