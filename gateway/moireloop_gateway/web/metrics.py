"""What Prometheus reads: names by its conventions, a label for each campaign (adapter).

prometheus.io/docs/practices/naming: a prefix, base units, `_total` for what only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from moireloop_gateway.web.gateway import Gateway

if TYPE_CHECKING:
    from moireloop_gateway.sources.followed import Followed

GAUGE: Final = GaugeMetricFamily

COUNTER: Final = CounterMetricFamily

STATES: Final = ("queued", "running", "analysing")

OUTCOMES: Final = ("measured", "refused", "failed", "cancelled")

LIVES: Final = ("started", "resumed", "draining", "stopped", "completed", "paused")


class Families:
    """Metrics under their names, each with the campaign as its first label."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def add(
        self, kind: type[GaugeMetricFamily] | type[CounterMetricFamily], name: str, words: str, campaign: str,
        value: float | None, **labels: str,
    ) -> None:  # fmt: skip
        """One value; None is left out."""
        if value is None:
            return
        if name not in self._found:
            self._found[name] = kind(f"moireloop_{name}", words, labels=["campaign", *labels])
        self._found[name].add_metric([campaign, *labels.values()], value)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._found.values())


class _Once(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def metrics_text(gateway: Gateway) -> str:
    """The metrics of all campaigns that are followed; those that run are followed from the first call on."""
    for place in gateway.catalogue.places():
        if place.runs():
            gateway.catalogue.follow(place.key)
    families = Families()
    for followed in gateway.catalogue.followed:
        add_campaign(families, followed.place.key, await gateway.summary(followed), followed)
    registry = CollectorRegistry()
    registry.register(_Once([*families, _listeners(gateway)]))
    return generate_latest(registry).decode()


def _listeners(gateway: Gateway) -> Metric:
    metric = GaugeMetricFamily("moireloop_gateway_listeners", "Listeners to server-sent events.")
    metric.add_metric([], gateway.listeners)
    return metric


def add_campaign(families: Families, name: str, overview: Mapping[str, Any], followed: Followed) -> None:
    """All metrics of one campaign."""
    add, picture, now_s = families.add, followed.picture, followed.now_s
    add(GAUGE, "up", "1 while the campaign's services respond.", name, float(overview["phase"] == "live"))
    for state in LIVES:
        add(
            GAUGE,
            "state",
            "1 for the state that the campaign is in.",
            name,
            float(overview["state"] == state),
            state=state,
        )
    for state in STATES:
        add(GAUGE, "candidates", "Candidates without a result, by state.", name, overview["counts"][state], state=state)
    for outcome in OUTCOMES:
        add(COUNTER, "results", "Results, by outcome.", name, overview["counts"][outcome], outcome=outcome)
    if (budget := overview["budget"]) is not None:
        add(GAUGE, "budget_results", "Results that the campaign may spend.", name, budget["results"])
    for target in overview["targets"]:
        label = f"{target['twist_deg']:g}"
        add(COUNTER, "hits", "Results within the tolerance of a target.", name, target["hits"], target_deg=label)
        error = target["error_deg"]
        add(GAUGE, "best_error_degrees", "Smallest distance of a twist from a target.", name, error, target_deg=label)
    add(GAUGE, "utilisation_ratio", "Time in LAMMPS over wall time of the workers.", name, overview["utilisation"])
    add(COUNTER, "md_steps", "MD steps of finished runs.", name, overview["steps_done"])
    add(COUNTER, "md_steps_saved", "MD steps that early ends saved.", name, overview["steps_saved"])
    for ending, count in sorted(picture.endings.items()):
        add(COUNTER, "runs_ended", "Runs by how they ended.", name, count, ending=ending)
    checked = "Sure runs that continued to their full end as a check."
    add(COUNTER, "early_ends_checked", checked, name, picture.early_checked)
    add(COUNTER, "early_ends_wrong", "Of these, runs that ended with another twist.", name, picture.early_wrong)
    add(COUNTER, "patterns", "Measured patterns in the log.", name, picture.patterns_seen)
    for stage, total in picture.stage_s.items():
        add(COUNTER, "stage_seconds", "Time that candidates spent in a stage.", name, total, stage=stage)
        count = picture.stage_count[stage]
        add(COUNTER, "stage_candidates", "Candidates that passed a stage.", name, count, stage=stage)
    for state in STATES:
        since = [flying.since_s for flying in picture.in_flight.values() if flying.state == state]
        age_s = now_s - min(since) if since else 0.0
        add(GAUGE, "oldest_candidate_age_seconds", "Age of the oldest candidate in a state.", name, age_s, state=state)
    add(GAUGE, "event_log_entries", "Events in the log.", name, picture.events)
    add(COUNTER, "attempts_failed", "Attempts that failed and were charged.", name, picture.attempts_failed)
    add(COUNTER, "attempts_lost", "Attempts that were lost and given back.", name, picture.attempts_lost)
    _add_services(families, name, overview, now_s)


def _add_services(families: Families, name: str, overview: Mapping[str, Any], now_s: float) -> None:
    add = families.add
    phases = [worker["phase"] for worker in overview["workers"]]
    for phase in ("waiting", "starting", "up", "held"):
        add(GAUGE, "workers", "Workers, by phase.", name, phases.count(phase), phase=phase)
    seen = [worker["seen_s"] for worker in overview["workers"]]
    add(GAUGE, "worker_silence_seconds", "Longest silence of a worker.", name, now_s - min(seen) if seen else None)
    for counter, value in overview["counters"].items():
        if counter.endswith("_bytes"):
            add(GAUGE, counter, "As reported by the broker.", name, value)
        else:
            add(COUNTER, "events_counted", "What the services count, by its name.", name, value, counter=counter)
    for service, state in overview["service_states"].items():
        add(GAUGE, "service_up", "1 while a service is up.", name, float(state == "started"), service=service)
