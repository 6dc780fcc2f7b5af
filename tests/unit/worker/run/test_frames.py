"""Frame messages of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moireloop_broker.contract.frames import frame_from_parts
from moireloop_broker.contract.message import MAX_NUMBER
from moireloop_worker.models.growth_model import Configuration
from moireloop_worker.models.mos2 import Mos2
from moireloop_worker.models.mos2_settings import ReboSettings
from moireloop_worker.run.frames import RunFrames, frame_of

FIRST = Configuration(
    step=1,
    time_ps=0.5,
    temperature_k=300.0,
    cell=np.diag([3.0, 4.0, 5.0]),
    positions=np.arange(6, dtype=np.float32).reshape(2, 3),
    types=np.array([1, 2], np.uint8),
    pressure_bar=-1.0,
    potential_ev=2.0,
    kinetic_ev=3.0,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"step": 10**12, "time_ps": 1e9, "cell": np.arange(9.0).reshape(3, 3)},
        {"temperature_k": None, "pressure_bar": 2 * MAX_NUMBER},
        {"positions": np.ones((70_000, 3), np.float32), "types": np.full(70_000, 3, np.uint8)},
    ],
    ids=["same", "numbers", "unknown", "more-atoms"],
)
def test_messages_of_a_run_are_those_of_their_frames(changes: dict[str, Any]) -> None:
    """Each is made from the bytes of the first one, and says what it would say by itself."""
    model = Mos2(ReboSettings())
    run = RunFrames("c1", 3, model)
    run.planned_steps = 1000
    run.message(FIRST)
    snapshot = replace(FIRST, **changes)
    found = frame_from_parts(run.message(snapshot))
    expected = frame_of("c1", 3, model, snapshot, planned_steps=1000)
    assert found.header == expected.header
    np.testing.assert_array_equal(found.positions, expected.positions)
    np.testing.assert_array_equal(found.types, expected.types)
