"""What an analyzer may give back."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_analyzer import Analysis
from moireloop_broker.contract.events import MAX_ANALYSIS_ENTRIES, MAX_ANALYSIS_VALUES


def test_numbers_and_arrays_of_any_kind_become_floats() -> None:
    """Integers and NumPy's own are taken; lists are arrays of one or two dimensions; nothing can be changed after."""
    found = Analysis(
        numbers={"count": 3, "share": np.float64(0.5)},
        arrays={"one_deg": [1, 2, 3], "two": np.zeros((2, 3), np.float32), "none_k": np.empty(0)},
        reasons={"peak_angstrom": "no atoms"},
    )
    assert dict(found.numbers) == {"count": 3.0, "share": 0.5}
    assert {name: np.shape(values) for name, values in found.arrays.items()} == {
        "one_deg": (3,), "two": (2, 3), "none_k": (0,),
    }  # fmt: skip
    assert all(np.asarray(values).dtype == np.float64 for values in found.arrays.values())
    with pytest.raises(TypeError):
        found.numbers["count"] = 4.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"numbers": {"x": float("nan")}}, "expected a finite number for x, got nan"),
        ({"numbers": {"x": float("inf")}}, "expected a finite number for x, got inf"),
        ({"numbers": {"x": None}}, "expected a finite number for x, got None"),
        ({"numbers": {"x": "1"}}, "expected a finite number for x, got 1"),
        ({"numbers": {"x": [1.0]}}, "expected a finite number for x"),
        ({"numbers": {"x": 1j}}, "expected a finite number for x"),
        ({"numbers": {"Peak height": 1.0}}, "got 'Peak height'"),
        ({"numbers": {"": 1.0}}, "expected names of lower-case letters"),
        ({"numbers": {3: 1.0}}, "expected names of lower-case letters"),
        ({"numbers": {"x": 1.0}, "arrays": {"x": [1.0]}}, "got 'x' twice"),
        ({"numbers": {"x": 1.0}, "reasons": {"x": "why"}}, "got 'x' twice"),
        ({"numbers": {f"n{n}": 1.0 for n in range(MAX_ANALYSIS_ENTRIES + 1)}}, "expected at most 64 names, got 65"),
        ({"arrays": {"x": [1.0, float("nan")]}}, "expected finite values for x, got 1 that are not"),
        ({"arrays": {"x": np.zeros((2, 2, 2))}}, "one or two dimensions for x, got float64 in 3"),
        ({"arrays": {"x": 1.0}}, "one or two dimensions for x, got float64 in 0"),
        ({"arrays": {"x": ["a"]}}, "expected numbers in one or two dimensions for x"),
        ({"arrays": {"x": np.zeros(MAX_ANALYSIS_VALUES), "y": [1.0]}}, "at most 8192 values in all arrays, got 8193"),
        ({"reasons": {"x": ""}}, "expected a text as reason for x"),
        ({"reasons": {"x": None}}, "expected a text as reason for x"),
    ],
    ids=str,
)
def test_rubbish_is_refused_with_its_name(fields: dict[str, dict[str, object]], says: str) -> None:
    """Whatever could not travel as a message."""
    with pytest.raises(ValueError, match="expected") as caught:
        Analysis(**fields)  # type: ignore[arg-type]
    assert says in str(caught.value)
