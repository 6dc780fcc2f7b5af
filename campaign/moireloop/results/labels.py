"""Names with units turned into labels for people: `temperature_k` into "temperature (K)" (pure)."""

from __future__ import annotations

import math
from typing import Final

UNITS: Final = {
    "k": "K",
    "deg": "°",
    "angstrom": "Å",
    "ps": "ps",
    "fs": "fs",
    "ns": "ns",
    "s": "s",
    "ev": "eV",
    "gpa": "GPa",
    "bar": "bar",
    "kcal_mol": "kcal/mol",
    "g_mol": "g/mol",
    "k_per_ps": "K/ps",
}

SMALLEST_ERROR: Final = 0.001


def label(name: str) -> str:
    """A parameter's name in words, its unit in brackets; a name without a known unit is a plain number."""
    for suffix, unit in sorted(UNITS.items(), key=lambda item: -len(item[0])):
        words = name.removesuffix(f"_{suffix}")
        if words != name:
            return f"{_in_words(words)} ({unit})"
    return _in_words(name)


def duration(seconds: float) -> str:
    """A duration as people write it: "8 s", "2 min 05 s", "3 h 20 min"."""
    whole = max(0, round(seconds))
    minutes, rest_s = divmod(whole, 60)
    hours, rest_min = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_min:02d} min"
    return f"{minutes} min {rest_s:02d} s" if minutes else f"{rest_s} s"


def with_error(value: float, error: float | None, unit: str = "") -> str:
    """A value and its standard error, "8.159° ± 0.052°": two digits of the error, and the value to the same place.

    Of an error below SMALLEST_ERROR it says only that; of one that is unknown nothing, the value then has two decimals.
    """
    if error is None:
        return f"{value:.2f}{unit}"
    if error < SMALLEST_ERROR:
        return f"{value:.3f}{unit} ± < {SMALLEST_ERROR}{unit}"
    decimals = max(0, 1 - math.floor(math.log10(float(f"{error:.1e}"))))
    return f"{value:.{decimals}f}{unit} ± {error:.{decimals}f}{unit}"


def percent(share: float | None, decimals: int = 0, *, sign: bool = False) -> str:
    """A share as "97.8 %", with its sign where that is wanted and it is not 0; "unknown" where there is none."""
    if share is None:
        return "unknown"
    shown = f"{100 * share:{'+' if sign else ''}.{decimals}f}"
    return f"{abs(float(shown)):.{decimals}f} %" if float(shown) == 0.0 else f"{shown} %"


def _in_words(name: str) -> str:
    return name.replace("_", " ")
