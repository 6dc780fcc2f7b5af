"""Campaigns in separate folders, ended with everything that they started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.kernels import compiled_kernels
from tests.system.running import RunningCampaign

__all__ = ["compiled_kernels"]


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Callable[..., RunningCampaign]]:
    """Make campaigns: `campaign(results=12, strategy="random")`."""
    made: list[RunningCampaign] = []

    def make(**options: object) -> RunningCampaign:
        made.append(RunningCampaign(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for running in made:
        running.close()
