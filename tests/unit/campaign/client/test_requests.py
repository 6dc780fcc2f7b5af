"""What a person passes becomes a request, or an error that names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moireloop.client import requests
from moireloop.client.requests import BadArgument
from moireloop_broker.contract.search import Target


def test_numbers_of_numpy_are_taken() -> None:
    """Scalars and arrays, of floats and of ints."""
    made = requests.propose("a", {"temperature_k": np.float32(2000), "shear": np.int64(1)}, np.int64(3), "me")  # type: ignore[arg-type]
    assert (made.parameters, made.seed) == ({"temperature_k": 2000.0, "shear": 1.0}, 3)
    assert requests.change_space({"t": np.array([1, 2])}, "me").space == {"t": [1.0, 2.0]}  # type: ignore[dict-item]
    assert len(requests.replicates("a", np.int64(2), "me")) == 2  # type: ignore[arg-type]


def test_rows_of_pandas_are_taken() -> None:
    """A row of a table, as `results_frame` returns it, is a recipe to propose."""
    row = pd.DataFrame({"temperature_k": [2000, 2100], "shear": [0.1, 0.2]}).iloc[1]
    assert requests.propose("a", row, 0, "me").parameters == {"temperature_k": 2100.0, "shear": 0.2}
    wanted = requests.retarget(pd.Series([8.2, 5.5]), "me").targets
    assert [one.twist_deg for one in wanted] == [8.2, 5.5]
    assert requests.prioritise("a", pd.Series([3]).iloc[0], "me").place == 3


@pytest.mark.parametrize(
    ("targets", "wanted"),
    [
        (8.2, [(8.2, 0.5)]),
        (np.float64(8.0), [(8.0, 0.5)]),
        ((8.2, 0.3), [(8.2, 0.3)]),
        ([8.2, (5.5, 0.1)], [(8.2, 0.5), (5.5, 0.1)]),
        (np.array([8.0, 5.0]), [(8.0, 0.5), (5.0, 0.5)]),
        (Target(twist_deg=3.0), [(3.0, 0.5)]),
        ([{"twist_deg": 3, "tolerance_deg": 1}], [(3.0, 1.0)]),
    ],
)
def test_targets_are_taken_in_any_form(targets: Any, wanted: list[tuple[float, float]]) -> None:
    """One or several, with and without a tolerance."""
    made = requests.retarget(targets, "me")
    assert [(one.twist_deg, one.tolerance_deg) for one in made.targets] == wanted


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: requests.propose("a", {"t": float("nan")}, 0, "me"), "parameters.t: .*finite number, got nan"),
        (lambda: requests.propose("a", float("nan"), 0, "me"), "parameters: expected name -> number, got nan"),  # type: ignore[arg-type]
        (lambda: requests.propose("no id", {"t": 1.0}, 0, "me"), "candidate_id: .*, got 'no id'"),
        (lambda: requests.propose("a", {"t": "hot"}, 0, "me"), "parameters.t: expected a number, got 'hot'"),  # type: ignore[dict-item]
        (lambda: requests.stop("x" * 5000, "me"), r"reason: .*4000.*\(5002 characters\)"),
        (lambda: requests.replay("xx", 1, []), "since: .*, got 'xx'"),
        (lambda: requests.retarget([], "me"), "targets: "),
        (lambda: requests.retarget("abc", "me"), "targets: expected a number, got 'abc'"),  # type: ignore[arg-type]
        (lambda: requests.change_budget(None, None, "me"), "expected results or wall_time_s, got neither"),
        (lambda: requests.replicates("a", 0, "me"), "runs: expected 1 to 1000, got 0"),
    ],
)
def test_wrong_arguments_are_named(ask: Callable[[], object], says: str) -> None:
    """Not with an error of pydantic's."""
    with pytest.raises(BadArgument, match=says):
        ask()
