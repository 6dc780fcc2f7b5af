"""What a Flux instance has for workers: its nodes, without those that are excluded (adapter)."""

from __future__ import annotations

import os
from typing import Any

from moireloop_worker.flux.bindings import flux_bindings, open_flux
from moireloop_worker.launchers.allocation import Allocation, Node
from moireloop_worker.launchers.launcher import CannotLaunch


def survey() -> Allocation:
    """The nodes of the Flux instance around this process, without what its own job holds. Raises CannotLaunch."""
    handle = open_flux()
    try:
        resources = flux_bindings().resource.resource_list(handle).get().all
    except OSError as error:
        raise CannotLaunch(f"expected Flux to list its resources: {error}") from error
    if (own := _of_own_job(handle)) is not None:
        resources = resources - own
    return Allocation("Flux instance", tuple(_node_of(resources.copy_ranks(str(rank))) for rank in resources.ranks))


def _node_of(resources: Any) -> Node:
    """The one node of a set of resources."""
    return Node(str(resources.nodelist), resources.count("core"), resources.count("gpu"))


def _of_own_job(handle: Any) -> Any:
    """What the job that this process is in holds; None where it is in none of this instance."""
    flux = flux_bindings()
    try:
        job = flux.job.JobID(os.environ["FLUX_JOB_ID"])
        return flux.resource.ResourceSet(flux.job.job_kvs_lookup(handle, job, keys=["R"])["R"])
    except (KeyError, OSError, TypeError, ValueError):
        return None
