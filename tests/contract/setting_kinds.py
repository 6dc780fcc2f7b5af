"""The variants of the settings: of each that chooses among words, may be left out, or is one of several models."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, RootModel, Tag

NONE = "none"
GIVEN = "given"


def variants_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Each variant as `section.key = variant`, in the order of the models; the same one may come again."""
    for name, field in model.model_fields.items():
        yield from _of(field.annotation, f"{prefix}{name}")


def _of(kind: Any, path: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        yield from _of(arguments[0], path)
    elif origin is typing.Literal and len(arguments) > 1:
        yield from (f"{path} = {word}" for word in arguments)
    elif kind is bool:
        yield from (f"{path} = {word}" for word in ("true", "false"))
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _of_one(argument, path)
    elif origin in (tuple, list):
        yield from (found for argument in arguments if argument is not Ellipsis for found in _of(argument, f"{path}[]"))
    elif isinstance(kind, type) and issubclass(kind, BaseModel) and not issubclass(kind, RootModel):
        yield from variants_of(kind, f"{path}.")


def _of_one(kind: Any, path: str) -> Iterator[str]:
    """One of the kinds of a union: left out, one of several models, or given."""
    tags = [part.tag for part in typing.get_args(kind)[1:] if isinstance(part, Tag)]
    if kind is types.NoneType:
        yield f"{path} = {NONE}"
    else:
        yield f"{path} = {tags[0] if tags else GIVEN}"
        yield from _of(kind, path)
