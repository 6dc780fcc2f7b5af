"""Columns of our tables as data keys and values of event-model documents (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import pyarrow as pa

from moireloop_broker.contract.message import unit_of

if TYPE_CHECKING:
    from event_model.documents.event_descriptor import DataKey

OBJECT: Final = "growth"
"""The device that all data are of."""

ALWAYS_THERE: Final = frozenset({"attempt", "seed", "step"})
"""Whole numbers that every row has."""

Kinds = Mapping[str, pa.DataType]

DataKeys: TypeAlias = "dict[str, DataKey]"


def data_keys(kinds: Kinds, campaign: str) -> DataKeys:
    """A data key for each column. Whole numbers that may be missing are numbers, since NaN stands for what is missing.

    Args:
        kinds: name of each column -> its Arrow type.
        campaign: name of the campaign.
    """
    return {key_of(name): _data_key(name, kind, campaign) for name, kind in kinds.items()}


def _data_key(name: str, kind: pa.DataType, campaign: str) -> DataKey:
    units = {"units": unit} if (unit := unit_of(name)) else {}
    about = {"source": f"moireloop:{campaign}/{name}", "shape": [], "object_name": OBJECT}
    return cast("DataKey", {**about, "dtype": _dtype(name, kind), **units})


def values(row: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """The values of a row under their data keys: NaN for a missing number, None for a missing text."""
    return {key_of(name): _value(row[name], _dtype(name, kind)) for name, kind in kinds.items()}


def key_of(name: str) -> str:
    """A column's name as event-model lets it be: without dots, as in `analyzer-number`."""
    return name.replace(".", "-").replace("/", "-")


def object_keys(keys: Iterable[str]) -> dict[str, list[str]]:
    """Which data keys are of which device."""
    return {OBJECT: list(keys)}


def _dtype(name: str, kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_string(kind):
        return "string"
    return "integer" if name in ALWAYS_THERE else "number"


def _value(value: Any, dtype: str) -> Any:
    if dtype != "number":
        return value
    return math.nan if value is None else float(value)
