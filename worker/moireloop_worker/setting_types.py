"""Types of the settings of workers and growth models (pure)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationInfo

Positive = Annotated[FiniteFloat, Field(gt=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
Fraction = Annotated[FiniteFloat, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=1, le=10_000_000_000)]
CellCount = Annotated[int, Field(ge=2, le=10_000)]
Cells = Annotated[tuple[CellCount, CellCount], Field(strict=False)]


def _beside_the_campaign_file(path: Path, info: ValidationInfo) -> Path:
    """Absolute; a relative path is relative to the folder `beside` of the validation's context, if there is one."""
    beside = (info.context or {}).get("beside")
    try:
        return path if beside is None else (Path(beside) / path.expanduser()).resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"expected a path, got {str(path)!r}: {error}") from error


UserFile = Annotated[Path, Field(strict=False), AfterValidator(_beside_the_campaign_file)]
"""A file of the user's own. The campaign file names it relative to itself; workers are given an absolute path."""


class Settings(BaseModel):
    """Base of all settings: frozen, strict, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
