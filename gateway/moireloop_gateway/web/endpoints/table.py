"""Every endpoint by its name, as in the table of addresses (adapter)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from moireloop_gateway.web.endpoints import campaigns, log, model, patterns, results, runs, steering
from moireloop_gateway.web.gateway import Gateway

if TYPE_CHECKING:
    from starlette.requests import Request

Endpoint = Callable[["Request", Gateway], Awaitable[Response]]

ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    endpoint.__name__: endpoint
    for endpoint in (
        campaigns.session,
        campaigns.campaigns,
        campaigns.summary,
        results.results,
        results.result,
        results.candidates,
        results.failures,
        results.recipes,
        runs.series,
        runs.structure,
        runs.simulated_pattern,
        runs.timeline,
        model.model,
        model.cells,
        model.chamber,
        log.log,
        log.events,
        log.remarks,
        log.logs,
        log.log_tail,
        steering.steering_forms,
        steering.steer,
        patterns.submit_pattern,
        patterns.patterns,
        patterns.pattern,
    )
}
