"""Units as the ends of names say them: `temperature_k` is in kelvin (pure)."""

from __future__ import annotations

from typing import Final

UNITS: Final = {
    "_k": "K", "_deg": "deg", "_ps": "ps", "_fs": "fs", "_s": "s", "_bar": "bar", "_ev": "eV",
    "_angstrom": "angstrom",
}  # fmt: skip
"""Units by the ends of names."""


def unit_of(name: str) -> str:
    """The unit that a name ends with, empty where it has none: a fraction, a count or a text."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
