"""What a Flux instance has for workers: its nodes, without those that are excluded (adapter)."""

from __future__ import annotations

from typing import Any

from moireloop_worker.flux.bindings import flux_bindings, open_flux
from moireloop_worker.launchers.allocation import Allocation, Node
from moireloop_worker.launchers.launcher import CannotLaunch


def survey() -> Allocation:
    """The nodes of the Flux instance around this process. Raises CannotLaunch."""
    handle = open_flux()
    try:
        resources = flux_bindings().resource.resource_list(handle).get().all
    except OSError as error:
        raise CannotLaunch(f"expected Flux to list its resources: {error}") from error
    return Allocation("Flux instance", tuple(_node_of(resources.copy_ranks(str(rank))) for rank in resources.ranks))


def _node_of(resources: Any) -> Node:
    """The one node of a set of resources."""
    return Node(str(resources.nodelist), resources.count("core"), resources.count("gpu"))
