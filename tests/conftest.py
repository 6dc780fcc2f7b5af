"""For all tests: kernels are compiled before the first one, so that what waits for a service does not wait for that."""

from __future__ import annotations

import pytest

from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.warm_up import warm_up


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compiled and kept on disk; a second where that was done before."""
    warm_up(AnalyzerSettings())
