"""The search space and the unit cube."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moireloop_broker.contract.search import (
    BadRange,
    EmptyRange,
    InvertedRange,
    MissingParameter,
    NonFiniteRange,
    SearchSpace,
)

SEED_SPACE: dict[str, list[float]] = {
    "temperature_k": [1500, 3000],
    "lattice_strain": [0.0, 0.05],
    "shear_strain": [0.055, 0.0575],
}

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@st.composite
def ranges(draw: st.DrawFn) -> list[float]:
    low = draw(finite)
    high = draw(st.one_of(finite, st.just(low + 1e-12), st.just(float(np.nextafter(low, np.inf)))))
    return sorted([low, high]) if low != high else [low, float(np.nextafter(low, np.inf))]


def test_names_keep_the_order_of_the_file() -> None:
    """Columns are in the order of the campaign file."""
    assert SearchSpace.model_validate(SEED_SPACE).names == tuple(SEED_SPACE)


def test_corners_are_zero_and_one() -> None:
    """The low ends are the origin of the unit cube, the high ends its far corner."""
    space = SearchSpace.model_validate(SEED_SPACE)
    corners = [{name: ends[k] for name, ends in SEED_SPACE.items()} for k in (0, 1)]
    np.testing.assert_allclose(space.to_unit(corners), [[0, 0, 0], [1, 1, 1]], atol=1e-15)
    assert space.from_unit(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])) == corners


@given(ranges(), st.floats(-1.0, 2.0))
def test_a_point_mapped_back_is_inside(ends: list[float], u: float) -> None:
    """Also for ranges of one rounding step, and for coordinates outside the cube."""
    space = SearchSpace.model_validate({"x": ends})
    assert ends[0] <= space.from_unit(np.array([[u]]))[0]["x"] <= ends[1]


@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3))
def test_there_and_back(u: list[float]) -> None:
    """To the parameters and back is the identity, to rounding."""
    space = SearchSpace.model_validate(SEED_SPACE)
    np.testing.assert_allclose(space.to_unit(space.from_unit(np.array([u]))), [u], atol=1e-12)


def test_a_point_outside_the_bounds_is_outside_the_cube() -> None:
    """Results of a campaign resumed with narrower bounds keep their place."""
    space = SearchSpace.model_validate({"x": [1.0, 2.0]})
    np.testing.assert_allclose(space.to_unit([{"x": 4.0}, {"x": 0.5}]), [[3.0], [-0.5]])


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ([3000, 1500], InvertedRange),
        ([1.0, 1.0], EmptyRange),
        ([0.0, float("inf")], NonFiniteRange),
        ([float("nan"), 1.0], NonFiniteRange),
        ([-1.7e308, 1.7e308], NonFiniteRange),
    ],
)
def test_bad_ranges_are_named(ends: list[float], error: type[BadRange]) -> None:
    """The cause says what is wrong with the range, and the text names the parameter."""
    with pytest.raises(ValidationError, match="temperature_k") as caught:
        SearchSpace.model_validate({"temperature_k": ends})
    assert type(caught.value.errors()[0]["ctx"]["error"]) is error


@pytest.mark.parametrize(
    "ranges", [{}, {"x": [1.0]}, {"x": [0, 1, 2]}, {"x": ["0", "1"]}, {"x": [False, True]}, {"": [0, 1]}]
)
def test_malformed_spaces_are_refused(ranges: object) -> None:
    """No range, a wrong number of ends, text or truth values for numbers, a nameless parameter."""
    with pytest.raises(ValidationError):
        SearchSpace.model_validate(ranges)


def test_a_missing_parameter_is_named() -> None:
    """A point without a value for a parameter cannot be placed."""
    with pytest.raises(MissingParameter, match="shear_strain"):
        SearchSpace.model_validate(SEED_SPACE).to_unit([{"temperature_k": 2000.0, "lattice_strain": 0.01}])


@pytest.mark.parametrize("unit", [np.zeros(3), np.zeros((2, 2)), np.full((1, 3), np.nan)])
def test_wrong_points_are_refused(unit: np.ndarray) -> None:
    """Wrong shape, or not finite."""
    with pytest.raises(ValueError, match="expected"):
        SearchSpace.model_validate(SEED_SPACE).from_unit(unit)
