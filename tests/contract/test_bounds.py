"""Every number of every message has bounds, so that everything in the log fits every table."""

from __future__ import annotations

import inspect
from typing import Final

import pytest

from moireloop_broker.contract import control, events, frames, message, patterns, steering
from moireloop_broker.contract.message import Message
from tests.helpers.json_schemas import schemas_of

INT64: Final = 2**63 - 1
OURS: Final = {"Status"}
"""What the broker alone says, of numbers that it counts itself."""
MODELS: Final = {
    name: model
    for module in (control, steering, patterns, events, frames, message)
    for name, model in vars(module).items()
    if inspect.isclass(model) and issubclass(model, Message) and model is not Message and name not in OURS
}


@pytest.mark.parametrize("name", MODELS)
def test_every_number_has_bounds(name: str) -> None:
    """Integers fit int64; floats stay finite when they are squared."""
    for where, spec in schemas_of(("integer", "number"), MODELS[name].model_json_schema()["properties"], name):
        low = spec.get("minimum", spec.get("exclusiveMinimum"))
        high = spec.get("maximum", spec.get("exclusiveMaximum"))
        assert low is not None, where
        assert high is not None, where
        limit = INT64 if spec["type"] == "integer" else 1e150
        assert -limit <= low <= high <= limit, where


@pytest.mark.parametrize("name", MODELS)
def test_every_text_has_a_length(name: str) -> None:
    """A name has a pattern that ends, any other text a largest length."""
    for where, spec in schemas_of(("string",), MODELS[name].model_json_schema()["properties"], name):
        bounded = {"maxLength", "pattern", "const", "enum"} & spec.keys() or spec.get("format") == "binary"
        assert bounded or name in ("Refused", "ReplayEntry"), where
