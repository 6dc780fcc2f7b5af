"""Kernels compiled before the first test that uses them, so that what waits for a service does not wait for that."""

from __future__ import annotations

import pytest

from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.warm_up import warm_up


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> None:
    """Compiled and kept on disk; a second where that was done before."""
    warm_up(AnalyzerSettings())
