"""Files of all results: CSV and JSON hold the same, in parts."""

from __future__ import annotations

import csv
import json

import pytest

from moireloop_gateway.picture.columns import ResultColumns
from moireloop_gateway.web import downloads
from moireloop_gateway.web.downloads import csv_parts, json_parts
from tests.helpers.campaign_events import candidate, result

HEAD = {"total": 8, "phase": "ended"}


def columns_of(count: int) -> ResultColumns:
    """Results with and without a twist, with a reason that CSV has to quote."""
    columns = ResultColumns()
    for number in range(count):
        done = result(candidate(f"c{number}"), "measured" if number % 3 else "failed")
        columns.add(
            f"{number + 1}-0", done.model_copy(update={"reason": 'a "line",\nand more'}) if number == 3 else done
        )
    return columns


@pytest.mark.parametrize("rows", [range(8), range(2, 7), range(3, 3), [0, 3, 4, 7]])
@pytest.mark.parametrize("at_once", [1, 3, 8, 100])
def test_csv_and_json_hold_the_same_results(
    rows: range | list[int], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever rows are wanted and in however large parts they come; JSON is as in one piece."""
    monkeypatch.setattr(downloads, "ROWS", at_once)
    columns = columns_of(8)
    read = json.loads("".join(json_parts(HEAD, columns, columns.names, rows)))
    assert read == {**HEAD, "columns": columns.table(columns.names, rows)}
    names, *lines = csv.reader("".join(csv_parts(columns, columns.names, rows)).splitlines(keepends=True))
    assert names == columns.names
    plain = [["" if value is None else str(value) for value in values] for values in read["columns"].values()]
    assert lines == [list(line) for line in zip(*plain, strict=True)]


def test_parts_are_small() -> None:
    """However many results there are."""
    columns = columns_of(3 * downloads.ROWS)
    names, rows = columns.names, range(len(columns))
    for parts in (csv_parts(columns, names, rows), json_parts(HEAD, columns, names, rows)):
        sizes = [len(part) for part in parts]
        assert max(sizes) < 0.5 * sum(sizes)
