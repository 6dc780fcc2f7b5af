"""Settings of the analyzers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from moireloop_analyzer.settings import AnalyzerSettings


def test_one_analyzer_is_the_default() -> None:
    """And a layer counts as crystalline from |psi6| 0.5."""
    assert AnalyzerSettings().model_dump() == {"count": 1, "min_order": 0.5}


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"count": 65}, {"min_order": -0.1}, {"min_order": 1.1}, {"min_order": float("nan")}, {"cuont": 1}],
)
def test_values_out_of_bounds_and_unknown_keys_are_refused(wrong: dict[str, float]) -> None:
    """Each with an error of pydantic."""
    with pytest.raises(ValidationError):
        AnalyzerSettings.model_validate(wrong)
