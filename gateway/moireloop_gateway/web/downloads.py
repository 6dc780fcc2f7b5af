"""Tables of all results as CSV and as JSON, in parts, so that they take little memory (pure)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from moireloop_gateway.picture.columns import ResultColumns

ROWS: Final = 2000


def csv_parts(columns: ResultColumns, names: Sequence[str], rows: Sequence[int]) -> Iterator[str]:
    """A table as CSV, some thousand rows at a time; a value that a result has not is empty."""
    yield ",".join(names) + "\r\n"
    for block in _blocks(rows):
        text = io.StringIO()
        table = columns.table(names, block)
        csv.writer(text).writerows(zip(*table.values(), strict=True))
        yield text.getvalue()


def json_parts(
    head: Mapping[str, Any], columns: ResultColumns, names: Sequence[str], rows: Sequence[int]
) -> Iterator[str]:
    """The fields of `head` and then `columns`, one after the other; a value that a result has not is null."""
    yield f'{_json(head)[:-1]},"columns":{{'
    for number, name in enumerate(names):
        yield f"{',' if number else ''}{json.dumps(name)}:["
        for place, block in enumerate(_blocks(rows)):
            yield ("," if place else "") + _json(columns.values(name, block))[1:-1]
        yield "]"
    yield "}}"


def _blocks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    return (rows[begin : begin + ROWS] for begin in range(0, len(rows), ROWS))


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
