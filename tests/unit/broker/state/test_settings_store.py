"""Settings as services read them: models, or an error that names section and key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moireloop_analyzer.settings import AnalyzerSettings, EarlyEndSettings
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.settings import EarlyEndPresence, FrameSettings, LeaseSettings, WorkerCount
from moireloop_broker.state.settings_store import Sections, SettingsUnusable
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_worker.models import growth_settings
from moireloop_worker.models.settings import BeadSettings
from moireloop_worker.settings import LammpsSettings, PoolSettings

EARLIER: dict[str, Any] = {
    "name": "old",
    "folder": "/home/me/old.campaign",
    "targets": [{"twist_deg": 8.2, "tolerance_deg": 0.5}],
    "space": {"temperature_k": [1500.0, 4500.0], "lattice_strain": [0, 0.05]},
    "budget": {"results": 120, "wall_time_s": None},
    "growth": {"model": "bead", "cells": [12, 12], "prepared_seeds": 1, "preparation_seed": 0, "mass_g_mol": 160.0},
    "workers": {
        "count": 2, "ranks": 1, "launcher": "local", "lease_s": 30.0, "max_attempts": 3, "stall_s": 1800.0,
        "restart_s": 300.0, "oversubscribe": False,
    },
    "lammps": {"library": None, "arguments": ["-sf", "omp"]},
    "frames": {"every_steps": 500, "atoms": "all", "part_atoms": 100000, "transport": "ipc"},
    "analyzers": {
        "count": 1, "min_order": 0.5, "min_confidence": 0.5, "estimator": "lattice", "analyses": ["coordination"],
        "analyses_of": "final", "analysis_s": 60.0,
    },
    "early_end": {"settled": {"frames": 3}, "hopeless": None},
    "optimizer": {
        "strategy": "auto", "options": {}, "suggest_s": 60.0, "mode": "async", "n_batch": 15, "initial": 6,
        "replicates": 4, "seed": 0, "threads": 1,
    },
}  # fmt: skip


def stored(**sections: Any) -> Sections:
    return Sections({name: json.dumps(value) for name, value in {**EARLIER, **sections}.items()})


def test_settings_of_an_earlier_version_are_read() -> None:
    """As the conductor of c78208a wrote them; sections that nobody asks for may be anything."""
    found = stored(of_tomorrow={"x": [1]})
    assert found.section("targets", list[Target]) == [Target(twist_deg=8.2, tolerance_deg=0.5)]
    assert found.section("space", SearchSpace).names == ("temperature_k", "lattice_strain")
    assert found.section("budget", BudgetSettings).results == 120
    assert found.parsed("growth", growth_settings) == BeadSettings()
    assert found.section("workers", PoolSettings) == PoolSettings(count=2, launcher="local")
    assert found.section("workers", LeaseSettings) == LeaseSettings(lease_s=30.0, max_attempts=3)
    assert found.section("workers", WorkerCount).count == 2
    assert found.section("lammps", LammpsSettings).arguments == ("-sf", "omp")
    assert found.section("frames", FrameSettings) == FrameSettings(transport="ipc")
    assert found.section("analyzers", AnalyzerSettings).analyses == ("coordination",)
    assert found.section("early_end", EarlyEndSettings).is_on
    assert found.section("early_end", EarlyEndPresence).is_on
    assert found.section("optimizer", OptimizerSettings) == OptimizerSettings()
    assert "session" not in found


@pytest.mark.parametrize("policy", EarlyEndSettings.model_fields)
def test_workers_know_of_each_policy_of_early_end(policy: str) -> None:
    """With any of them on, a worker looks for orders between two frames."""
    assert stored(early_end={policy: {}}).section("early_end", EarlyEndPresence).is_on
    assert not stored(early_end={policy: None}).section("early_end", EarlyEndPresence).is_on


@pytest.mark.parametrize(
    ("name", "kind", "value", "message"),
    [
        (
            "workers",
            LeaseSettings,
            {"lease_s": 30.0, "max_attempts": "x"},
            r"workers\.max_attempts: .*, got 'x'",
        ),
        ("workers", PoolSettings, {"count": 1, "ranks": 0}, r"workers\.ranks: .*greater.*, got 0"),
        ("workers", PoolSettings, {"count": 1, "rank": 1}, r"workers\.rank: .*, got 1"),
        ("targets", list[Target], [{"twist_deg": "x"}], r"targets\.0\.twist_deg: .*, got 'x'"),
        ("budget", BudgetSettings, None, r"budget: .*, got None"),
        ("session", BudgetSettings, ..., "expected settings of section 'session' of the campaign, got none"),
    ],
)
def test_what_is_wrong_is_named(name: str, kind: Any, value: Any, message: str) -> None:
    """By section and key."""
    found = stored() if value is ... else stored(**{name: value})
    with pytest.raises(SettingsUnusable, match=f"^{message}"):
        found.section(name, kind)


def test_growth_model_is_named_too() -> None:
    """A section that a function reads is named likewise."""
    with pytest.raises(SettingsUnusable, match=r"^growth.*mass_g_mol: .*, got -1"):
        stored(growth={"model": "bead", "mass_g_mol": -1}).parsed("growth", growth_settings)


def test_rubbish_is_reported() -> None:
    """A section that is no JSON."""
    with pytest.raises(SettingsUnusable, match=r"^budget: Invalid JSON.*"):
        Sections({"budget": b"{"}).section("budget", BudgetSettings)
    with pytest.raises(SettingsUnusable, match=r"^budget: expected JSON, got "):
        Sections({"budget": b"{"}).plain("budget")
