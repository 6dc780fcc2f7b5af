"""The wire as JSON Schema: made of the models and of what `data/meanings.toml` says of each field (pure).

`data/schema.json` is this, and `data/vectors.json` has messages with their bytes, for programs in other languages. A
test keeps all three together.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final, get_args

from pydantic.json_schema import models_json_schema

from moireloop_broker.contract import control, events, frames, message, patterns, steering
from moireloop_broker.contract.control import DescribeRequest, Description, Replay, ReplayRequest, Status, StatusRequest
from moireloop_broker.contract.message import Message
from moireloop_broker.contract.patterns import PatternMeasured, SubmitPatternRequest

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

DATA: Final = files(__package__) / "data"

REPLIES: Final[dict[type[Message], type[Message]]] = {
    StatusRequest: Status,
    DescribeRequest: Description,
    ReplayRequest: Replay,
    SubmitPatternRequest: PatternMeasured,
}
"""What a request is answered with when it is carried out; any other with Accepted."""


@cache
def wire_models() -> dict[str, type[Message]]:
    """Every message and every part of one, by the name of its model."""
    return {
        name: model
        for module in (control, steering, patterns, events, frames, message)
        for name, model in vars(module).items()
        if inspect.isclass(model) and issubclass(model, Message) and model is not Message
    }


def members(union: Any) -> tuple[type[Message], ...]:
    """The models of a union such as Request."""
    return get_args(get_args(union)[0])


def tag_of(model: type[Message]) -> str:
    """The tag that a message travels under."""
    return str(model.model_fields["tag"].default)


@cache
def wire_schema() -> dict[str, Any]:
    """JSON Schema with a definition for each message and part, and tables of what is published and what is asked.

    Each field has its type, range, default and meaning. `published` leads from a topic, `requests` from the tag of a
    request, to the names of definitions. `bin` is a text of type "string" and format "binary".
    """
    _, schema = models_json_schema([(model, "validation") for model in wire_models().values()])
    meanings = _meanings()
    definitions = {name: _described(schema["$defs"][name], meanings[name]) for name in sorted(wire_models())}
    return {
        "$schema": DIALECT,
        "title": "messages of moireloop",
        "published": {tag_of(model): model.__name__ for model in members(events.Published)},
        "requests": {
            tag_of(model): {"request": model.__name__, "reply": REPLIES.get(model, control.Accepted).__name__}
            for model in members(control.Request)
        },
        "$defs": definitions,
    }


def schema_text() -> str:
    """What `data/schema.json` holds."""
    return json.dumps(wire_schema(), indent=1, ensure_ascii=False) + "\n"


def vectors() -> dict[str, Any]:
    """What `data/vectors.json` holds: `messages` with their fields and packed bytes, and a `session` in bytes.

    Bytes are hexadecimal. JSON knows no bin: it stands there as text that begins with 0x.
    """
    found: dict[str, Any] = json.loads((DATA / "vectors.json").read_text(encoding="utf-8"))
    return found


def _meanings() -> dict[str, dict[str, str]]:
    meanings: dict[str, dict[str, str]] = tomllib.loads((DATA / "meanings.toml").read_text(encoding="utf-8"))
    return meanings


def _described(definition: dict[str, Any], meanings: dict[str, str]) -> dict[str, Any]:
    """A definition with our words instead of titles and docstrings."""
    words = {"tag": "kind and version of the message", **meanings}
    plain = _strict(definition)
    fields = {name: {**spec, "description": words[name]} for name, spec in plain["properties"].items()}
    required = plain.get("required", [])
    if "tag" in fields:
        del fields["tag"]["default"]
        required = ["tag", *required]
    return {**plain, "description": meanings["says"], "properties": fields, "required": required}


def _strict(value: Any, names_fields: bool = False) -> Any:
    """Without pydantic's titles, which repeat the names of the fields; a pattern of names admits no others."""
    if isinstance(value, list):
        return [_strict(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = value if names_fields else {key: inner for key, inner in value.items() if key != "title"}
    closed = {"additionalProperties": False} if "patternProperties" in kept else {}
    return {**{key: _strict(inner, names_fields=key == "properties") for key, inner in kept.items()}, **closed}
