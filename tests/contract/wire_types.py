"""The fields of a message in the words of docs/protocol.md: type, default and range, read from the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from moireloop_broker.contract.message import Message

PATTERNS: Final[dict[str, str]] = {
    "name": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
    "log id": "^[0-9]{1,19}-[0-9]{1,19}$",
}
NAMED: Final = {pattern: name for name, pattern in PATTERNS.items()}


@dataclass(frozen=True)
class Field:
    """One row of a table: what a foreign program must know of a field."""

    name: str
    type: str
    default: str
    range: str


def described(model: type[Message]) -> list[Field]:
    """The fields of a message in their order on the wire."""
    schema = model.model_json_schema()
    return [_field(name, spec, name in schema.get("required", [])) for name, spec in schema["properties"].items()]


def _field(name: str, spec: dict[str, Any], required: bool) -> Field:
    if name == "tag":
        return Field(name, "str", "required", f"`{spec['const']}`")
    default = "required" if required else f"`{json.dumps(spec['default']).replace('null', 'nil')}`"
    if "oneOf" in spec:
        parts = sorted(option["$ref"].rsplit("/", 1)[1] for option in spec["oneOf"])
        return Field(name, "one of " + ", ".join(f"[{part}](#{part.lower()})" for part in parts), default, "")
    options = spec.get("anyOf", [spec])
    kinds = [option for option in options if option.get("type") != "null"]
    assert len(kinds) == 1, f"{name} has more than one type: the page has no words for this"
    nil = " or nil" if len(options) > 1 else ""
    return Field(name, _type(kinds[0]) + nil, default, _range(kinds[0]))


def _type(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        part = spec["$ref"].rsplit("/", 1)[1]
        return f"[{part}](#{part.lower()})"
    if spec["type"] == "array":
        return f"list of {_type(spec['items'])}"
    if spec["type"] == "object":
        return _map(spec)
    if spec.get("format") == "binary":
        return "bin"
    named: str | None = NAMED.get(spec.get("pattern", ""))
    return named or {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}[spec["type"]]


def _map(spec: dict[str, Any]) -> str:
    if "patternProperties" in spec:
        ((pattern, values),) = spec["patternProperties"].items()
        return f"map of {NAMED[pattern]} to {_type(values)}"
    return f"map of str to {_type(spec['additionalProperties'])}"


def _range(spec: dict[str, Any]) -> str:
    if "const" in spec or "enum" in spec:
        return ", ".join(f"`{value}`" for value in spec.get("enum", [spec.get("const")]))
    if "$ref" in spec or spec.get("pattern") in NAMED:
        return ""
    kind = spec["type"]
    if kind == "array":
        inner = _range(spec["items"])
        own = _between(spec.get("minItems"), spec.get("maxItems"), " entries")
        return f"{own}, each {inner}" if own and inner else own or inner
    if kind == "object":
        return _between(spec.get("minProperties"), spec.get("maxProperties"), " entries")
    if kind == "string":
        return _between(spec.get("minLength"), spec.get("maxLength"), " characters")
    beyond = spec.get("exclusiveMaximum")
    if "exclusiveMinimum" in spec:
        return f"above {_between(spec['exclusiveMinimum'], spec['maximum'], '')}"
    return _between(spec.get("minimum"), spec.get("maximum", None if beyond is None else beyond - 1), "")


def _between(lowest: float | None, highest: float | None, unit: str) -> str:
    low, high = (f"{end:g}" if isinstance(end, float) else end for end in (lowest, highest))
    if high is None:
        return f"at least {low}{unit}" if low is not None else ""
    if low is None:
        return f"at most {high}{unit}"
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
