"""Settings of the analyzers."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import get_args, get_type_hints

import pytest
from pydantic import ValidationError

from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.twist import ESTIMATORS, measure_twist

DEFAULTS = {
    "count": 1,
    "min_order": 0.5,
    "min_confidence": 0.5,
    "estimator": "lattice",
    "analyses": (),
    "analyses_of": "final",
    "analysis_s": 60.0,
}


def test_one_analyzer_is_the_default() -> None:
    """It measures the twist, from |psi6| 0.5 and half of the atoms on one lattice on, and nothing else."""
    assert AnalyzerSettings().model_dump() == DEFAULTS


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"count": 65},
        {"min_order": -0.1},
        {"min_order": 1.1},
        {"min_order": float("nan")},
        {"cuont": 1},
        {"min_confidence": 1.1},
        {"estimator": "guess"},
        {"analyses": ["a b"]},
        {"analyses": ["same", "same"]},
        {"analyses": [f"a{n}" for n in range(9)]},
        {"analyses_of": "some"},
        {"analysis_s": 0.0},
    ],
    ids=str,
)
def test_values_out_of_bounds_and_unknown_keys_are_refused(wrong: dict[str, object]) -> None:
    """Each with an error of pydantic."""
    with pytest.raises(ValidationError):
        AnalyzerSettings.model_validate(wrong)


def test_defaults_are_those_of_the_measurement() -> None:
    """The estimators and the smallest order of a campaign file are the defaults of `measure_twist`."""
    estimators = get_args(get_type_hints(AnalyzerSettings)["estimator"])
    assert estimators == ESTIMATORS == get_args(get_type_hints(measure_twist)["estimator"])
    parameters = inspect.signature(measure_twist).parameters
    assert AnalyzerSettings().min_order == parameters["min_order"].default
    assert AnalyzerSettings().estimator == parameters["estimator"].default


@pytest.mark.parametrize(
    "module", ["moireloop_analyzer.settings", "moireloop_analyzer.plugins.registry", "moireloop.cli"]
)
def test_reading_a_campaign_file_waits_for_no_compiler(module: str) -> None:
    """Neither the settings nor the command line import numba or torch; the settings not even SciPy."""
    spared = ("numba", "torch") if module == "moireloop.cli" else ("numba", "torch", "scipy")
    code = f"import sys, {module}; print([name for name in {spared!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
