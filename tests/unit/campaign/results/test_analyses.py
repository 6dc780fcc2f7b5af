"""The table of what further analyzers found, and the lines that say which of them failed."""

from __future__ import annotations

from moireloop.results.analyses import analyses_table, failed_analyses
from moireloop_broker.contract.events import AnalysisArray, AnalysisOutcome
from tests.unit.campaign.conftest import MakeResult


def test_table_has_numbers_arrays_and_reasons(make_result: MakeResult) -> None:
    """A row each; what there is not is null, a number has an empty shape, and a run without analyses has no row."""
    grid = AnalysisArray(shape=[2, 1], values=[1.0, 2.0])
    found = AnalysisOutcome(numbers={"share": 0.5}, arrays={"g": grid}, reasons={"peak_angstrom": "none"})
    analyses = {"order": found, "lost": AnalysisOutcome(reason="died")}
    results = [make_result(1).model_copy(update={"analyses": analyses}), make_result(2, outcome="failed")]
    rows = analyses_table(results).select(["analyzer", "name", "shape", "values", "reason"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("order", "share", [], [0.5], None),
        ("order", "g", [2, 1], [1.0, 2.0], None),
        ("order", "peak_angstrom", None, None, "none"),
        ("lost", None, None, None, "died"),
    ]


def test_failed_analyses_are_reported_once_each(make_result: MakeResult) -> None:
    """How many of how many, with the last reason in one line; an analyzer that never failed is not mentioned."""
    fine, bad = AnalysisOutcome(numbers={"share": 0.5}), AnalysisOutcome(reason="ValueError: two\nlines")
    analyses = [{"order": fine, "mine": fine}, {"order": fine, "mine": bad}, {"order": fine, "mine": bad}]
    results = [make_result(n).model_copy(update={"analyses": each}) for n, each in enumerate(analyses, start=1)]
    assert failed_analyses(results) == ("analyses failed: mine 2 of 3 (ValueError: two lines)",)
    assert failed_analyses(results[:1]) == ()
