"""Numbers as people read them."""

from __future__ import annotations

import pytest

from moireloop.results.labels import percent, with_error


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


@pytest.mark.parametrize(
    ("share", "decimals", "sign", "expected"),
    [
        (0.978, 1, False, "97.8 %"),
        (1.0, 0, False, "100 %"),
        (0.0088, 2, True, "+0.88 %"),
        (-0.00001, 2, True, "0.00 %"),
        (None, 0, False, "unknown"),
    ],
)
def test_a_share_is_shown_in_percent(share: float | None, decimals: int, sign: bool, expected: str) -> None:
    """With a blank before the sign, and no sign of 0."""
    assert percent(share, decimals, sign=sign) == expected
