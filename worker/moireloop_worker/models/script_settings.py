"""What a campaign file may say of the growth model `script`, and what its workers receive of the script (pure)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from moireloop_broker.contract.message import Identifier
from moireloop_broker.settings import Settings, UserFile

AtomType = Annotated[int, Field(ge=1, le=255)]

Element = Annotated[str, Field(pattern=r"^[A-Z][a-z]?$")]


class ScriptSettings(Settings):
    """Growth model `script`: a LAMMPS input of the user's own, with placeholders."""

    model: Literal["script"] = Field(default="script", description="growth model: your own LAMMPS input")
    file: UserFile = Field(description="the LAMMPS input, relative to the campaign file")
    lattice_types: Annotated[tuple[AtomType, ...], Field(strict=False, min_length=1, max_length=16)] = Field(
        description="atom types whose in-plane lattice carries the twist, such as the metal"
    )
    elements: Annotated[tuple[Element, ...], Field(strict=False, max_length=255)] = Field(
        default=(), description="chemical element of each atom type, for analyzers and files that others read"
    )
    values: dict[Identifier, int | FiniteFloat] = Field(
        default={}, description="numbers for further placeholders, the same for all candidates"
    )


class ReadScript(ScriptSettings):
    """The same, with all that a worker needs of it: its file and those that it names need not be there any more."""

    text: str = Field(description="the script")
    kept_as: str = Field(description="the copy of the script, relative to the campaign's folder")
    files: dict[str, str] = Field(description="file as the script names it -> its copy, also relative")
    frame_steps: Annotated[int, Field(ge=1)] = Field(description="steps between two frames")
