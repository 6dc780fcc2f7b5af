"""Errors of the programmer raise ValueError that says what was expected and what came."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from moireloop_analyzer.twist import measure_twist


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"positions": np.zeros((5, 2))}, r"expected positions of shape \(N, 3\), got \(5, 2\)"),
        ({"types": np.full(5, 1.5)}, "expected types that are whole numbers, got float64"),
        ({"types": np.array(["Mo"] * 5)}, "expected types that are whole numbers, got <U2"),
        ({"types": np.ones(4)}, r"expected types of shape \(5,\), got \(4,\)"),
        ({"cell": np.eye(2)}, r"expected a cell of shape \(3, 3\), got \(2, 2\)"),
        ({"pbc": (True, True)}, "expected three flags in pbc, got \\(True, True\\)"),
        ({"metal_types": (1, 2)}, r"expected types to be metal or chalcogen, got both for \[2\]"),
        ({"estimator": "guess"}, "expected an estimator among lattice, row, got 'guess'"),
        ({"min_order": 1.5}, r"expected min_order in \[0, 1\], got 1.5"),
    ],
)
def test_a_wrong_argument_is_an_error(wrong: dict[str, Any], message: str) -> None:
    """Each says what is expected."""
    right = {"positions": np.zeros((5, 3)), "types": np.ones(5), "cell": np.eye(3) * 10}
    with pytest.raises(ValueError, match=message):
        measure_twist(**{**right, **wrong})


def test_the_measurement_needs_numpy_and_scipy_alone() -> None:
    """Importing it loads neither sockets nor stores nor models."""
    heavy = "{'zmq', 'redis', 'torch', 'pydantic', 'moireloop_broker'}"
    script = f"import sys, moireloop_analyzer.twist; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
