"""How a campaign file names a strategy: built in, or a generator from a package or a file (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from moireloop_optimizer.strategy import REPLICATE, STAND_IN

OwnName = Literal["auto", "qei", "thompson", "random"]

OWN_NAMES: Final[tuple[str, ...]] = get_args(OwnName)

DEFAULT_STRATEGY: Final = "auto"

NO_STRATEGY: Final = "none"
"""The optimizer proposes nothing: all candidates come from controllers."""

FORMS: Final = (
    f"{', '.join(OWN_NAMES)}, {NO_STRATEGY}, a name that a package registers, package.module:Class or file.py:Class"
)

LONGEST_NAME: Final = 64

TAKEN_NAMES: Final = frozenset({*OWN_NAMES, NO_STRATEGY, STAND_IN, REPLICATE, "initial", "outside"})
"""Names that say of a candidate that no generator made it."""

DOTTED_NAME: Final = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


@dataclass(frozen=True)
class GeneratorPlace:
    """Where a generator's class is: in a file, in a module, or where the name is registered (both are None)."""

    name: str
    file: Path | None = None
    module: str | None = None


def is_own(strategy: str) -> bool:
    """Whether a strategy is built in, or none at all."""
    return strategy in OWN_NAMES or strategy == NO_STRATEGY


def generator_place(strategy: str) -> GeneratorPlace:
    """Where the class is that a strategy names.

    Raises:
        ValueError: the text has none of the forms of FORMS.
    """
    where, colon, name = strategy.rpartition(":")
    if name.rpartition(".")[2] in TAKEN_NAMES and not is_own(strategy):
        raise ValueError(f"expected a class with a name other than {', '.join(sorted(TAKEN_NAMES))}, got {strategy!r}")
    if not colon and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", strategy):
        return GeneratorPlace(strategy)
    if where and re.fullmatch(DOTTED_NAME, name, re.ASCII):
        if where.endswith(".py"):
            return GeneratorPlace(name, file=Path(where))
        if re.fullmatch(DOTTED_NAME, where, re.ASCII):
            return GeneratorPlace(name, module=where)
    raise ValueError(f"expected one of {FORMS}, got {strategy!r}")


def made_by(strategy: str) -> str:
    """Who made a point of a strategy of that name, as candidates say it: the class, or the registered name."""
    return strategy if is_own(strategy) else generator_place(strategy).name.rpartition(".")[2][:LONGEST_NAME]
