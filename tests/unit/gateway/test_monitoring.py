"""The alert rules and the Grafana dashboard ask for metrics that are there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import Published
from moireloop_gateway.picture.picture import Picture
from moireloop_gateway.web.metrics import Families, _Once, add_campaign
from tests.helpers.campaign_events import candidate, failed, leased, queued, result

MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"

PROMTOOL = shutil.which("promtool")


def campaign_with_everything() -> Families:
    """The metrics of a campaign of which all is known."""
    picture = Picture()
    events: list[Published] = [
        queued(candidate("a")),
        leased("a"),
        failed("a"),
        queued(candidate("b")),
        result(candidate("b")),
    ]
    for number, event in enumerate(events, start=1):
        picture.note(f"{number}-0", event)
    worker = WorkerStatus(worker="worker-0", seen_s=1.0)
    overview: dict[str, Any] = {
        "phase": "live", "state": "started", "counts": picture.counts(), "budget": {"results": 9},
        "targets": [{"twist_deg": 8.2, "hits": 1, "error_deg": 0.1}], "utilisation": 0.9, "steps_done": 1,
        "steps_saved": 1, "workers": [worker.model_dump()], "service_states": {"broker": "started"},
        "counters": {"frames_dropped": 3, "redis_memory_bytes": 5},
    }  # fmt: skip
    families = Families()
    add_campaign(families, "demo", overview, cast("Any", SimpleNamespace(picture=picture, now_s=9.0)))
    return families


def exposed() -> dict[str, str]:
    """Names of the metrics of a campaign that has everything, with their types."""
    families, suffix = campaign_with_everything(), {True: "_total", False: ""}
    return {family.name + suffix[isinstance(family, CounterMetricFamily)]: family.type for family in families}


def asked(text: str) -> set[str]:
    """Names of our metrics in some text."""
    return set(re.findall(r"\bmoireloop_[a-z_]+\b", text))


@pytest.mark.parametrize("file", ["alerts.yml", "grafana.json"])
def test_what_is_asked_for_is_there(file: str) -> None:
    """Each metric that a rule or a panel names is one that the gateway exposes."""
    assert asked((MONITORING / file).read_text(encoding="utf-8")) <= exposed().keys()


def test_names_follow_the_conventions() -> None:
    """Counters end in _total, gauges do not; times are in seconds; nothing else is exposed."""
    for name, kind in exposed().items():
        assert re.fullmatch(r"moireloop_[a-z][a-z_]*", name)
        assert kind in ("counter", "gauge")
        assert name.endswith("_total") == (kind == "counter")
        assert not re.search(r"(_ms|_minutes|_percent)\b", name)


def test_the_grafana_dashboard_is_whole() -> None:
    """Panels have distinct numbers, a query each, and do not overlap."""
    panels = json.loads((MONITORING / "grafana.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


def promtool(*arguments: str, text: str = "") -> None:
    """Prometheus's own check, which must have nothing to say against it."""
    checked = subprocess.run(
        [str(PROMTOOL), "check", *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool of the Debian package prometheus is not installed"
)


@needs_promtool
def test_promtool_takes_the_rules() -> None:
    """The alert rules."""
    promtool("rules", str(MONITORING / "alerts.yml"))


@needs_promtool
def test_promtool_takes_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    """Each query of a Grafana panel, its variables filled in, is an expression of Prometheus."""
    panels = json.loads((MONITORING / "grafana.json").read_text(encoding="utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    filled = [re.sub(r"\$__\w+", "5m", query).replace("$campaign", "demo") for query in queries]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(filled)]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("rules", str(file))


@needs_promtool
def test_promtool_takes_the_metrics() -> None:
    """Its linter of names, types and help texts, on what the gateway exposes."""
    registry = CollectorRegistry()
    registry.register(_Once([*campaign_with_everything()]))
    promtool("metrics", text=generate_latest(registry).decode())
