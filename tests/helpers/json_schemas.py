"""What stands inside a JSON Schema."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any


def schemas_of(types: Collection[str], spec: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each schema of one of these types stands inside a schema, with slashes between the keys, and the schema."""
    if isinstance(spec, dict):
        if spec.get("type") in types:
            yield where, spec
        inside = list(spec.items())
    else:
        inside = list(enumerate(spec)) if isinstance(spec, list) else []
    for key, inner in inside:
        yield from schemas_of(types, inner, f"{where}/{key}")
