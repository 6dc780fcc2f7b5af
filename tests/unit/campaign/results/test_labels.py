"""Numbers as people read them."""

from __future__ import annotations

import pytest

from moireloop.results.labels import with_error


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (8.1592, 0.0519, "8.159° ± 0.052°"),
        (8.1592, 0.24, "8.16° ± 0.24°"),
        (8.1592, 0.0996, "8.16° ± 0.10°"),
        (8.1592, 1.06, "8.2° ± 1.1°"),
        (21.3, 12.4, "21° ± 12°"),
        (8.16, 0.0004, "8.160° ± < 0.001°"),
        (8.16, None, "8.16°"),
    ],
)
def test_a_value_is_as_precise_as_its_error(value: float, error: float | None, expected: str) -> None:
    """Two digits of the error, and the value to the same decimal place."""
    assert with_error(value, error, "°") == expected
