"""Base of all messages: frozen, strict, with units in the names (pure)."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024

MAX_ERROR_CHARACTERS: Final = 500

MAX_NUMBER: Final = 1e30
"""Largest absolute value of any number: its square still fits float64, and the number itself fits float32."""

MAX_COUNT: Final = 10**15
"""Largest step or count: it fits int64, and float64 without rounding."""

MAX_SECONDS: Final = 1e11
"""Largest time, in seconds since the epoch: a date in the year 5138."""

Number = Annotated[FiniteFloat, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]

NotNegativeNumber = Annotated[FiniteFloat, Field(ge=0, le=MAX_NUMBER)]

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]

LogId = Annotated[str, Field(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")]

START: Final = "0-0"
"""The id before the first entry of a log."""

Reason = Annotated[str, Field(min_length=1, max_length=4000)]

Attempt = Annotated[int, Field(ge=1, le=1_000_000)]

Seconds = Annotated[FiniteFloat, Field(ge=0, le=MAX_SECONDS)]

TwistDeg = Annotated[FiniteFloat, Field(ge=0, le=30)]

Order = Annotated[FiniteFloat, Field(ge=0, le=1)]

Probability = Annotated[FiniteFloat, Field(ge=0, le=1)]

Share = Annotated[FiniteFloat, Field(gt=0, le=1)]

PlaneVectors = Annotated[list[Number], Field(min_length=4, max_length=4)]

Row = Annotated[list[Number], Field(min_length=3, max_length=3)]

Element = Annotated[str, Field(pattern=r"^([A-Z][a-z]?)?$", max_length=2)]

Parameters = Annotated[dict[Identifier, Number], Field(min_length=1, max_length=32)]


UNITS: Final = {
    "_k": "K", "_deg": "deg", "_ps": "ps", "_fs": "fs", "_s": "s", "_bar": "bar", "_ev": "eV",
    "_angstrom": "angstrom",
}  # fmt: skip
"""Units by suffix of the name."""


class MalformedMessage(ValueError):
    """Bytes from outside are not a message of this contract; the text says which part and why."""


class Message(BaseModel):
    """Base of all messages: frozen, strict, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def unit_of(name: str) -> str:
    """The unit that a name ends with; empty for a fraction, a count or a text."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
