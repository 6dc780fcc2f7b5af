"""Types that settings of all packages use, and the sections of the campaign file that the broker owns (pure)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationInfo

from moireloop_broker.network.ports import port_range

REDIS_SCHEMES = ("redis", "rediss", "unix")

REDIS_OPTIONS = ("username", "password")


def _redis_url(url: str) -> str:
    expected = "expected redis://host:port/db, rediss://host:port/db or unix:///path/to/socket"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{expected}: {error}") from error
    place = parts.path.strip("/") if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in REDIS_SCHEMES or not place or port == 0:
        raise ValueError(expected)
    options = parse_qs(parts.query, keep_blank_values=True)
    databases = options.pop("db", []) + ([] if parts.scheme == "unix" else [parts.path.strip("/") or "0"])
    if any(not (name.isascii() and name.isdigit()) for name in databases):
        raise ValueError(f"{expected}: the database is a number, got {databases[-1]!r}")
    if unknown := sorted(name for name in options if name not in REDIS_OPTIONS and not name.startswith("ssl_")):
        raise ValueError(f"{expected}: expected options db, username, password or ssl_..., got {unknown[0]!r}")
    return url


RedisUrl = Annotated[str, AfterValidator(_redis_url)]


class Settings(BaseModel):
    """Base of all settings: frozen, strict, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class RedisSettings(Settings):
    """The server that keeps the campaign's state."""

    url: RedisUrl | None = Field(
        default=None,
        description="Redis server to join (redis, rediss or unix URL); by default a private one is started",
    )
    plaintext: bool = Field(
        default=False,
        description="let other hosts reach Redis without TLS; only if the network between them is private",
    )


class ArchiveSettings(Settings):
    """How much of the event log stays in Redis."""

    kept_events: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=100_000,
        description="newest events that stay in Redis; older ones go to Parquet files in the folder; 0: all stay",
    )


def _ports(text: str) -> str:
    port_range(text)
    return text


class NetworkSettings(Settings):
    """Where the services listen."""

    host: str = Field(
        default="127.0.0.1",
        pattern=r"^(interface:[A-Za-z0-9_.@-]{1,15}|[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?)$",
        description="where services listen: a name or IPv4 address of the machine, auto, or interface:NAME",
    )
    ports: Annotated[str, AfterValidator(_ports)] | None = Field(
        default=None,
        description='range of ports for the services, such as "41000-41099"; by default any free ones',
    )

    @property
    def port_range(self) -> range | None:
        """The ports that services may use; None where any will do."""
        return None if self.ports is None else port_range(self.ports)


class FrameSettings(Settings):
    """How often workers publish frames, of which atoms, and by which way."""

    every_steps: int = Field(default=500, ge=1, le=1_000_000_000, description="MD steps between two frames of a run")
    atoms: Literal["all", "lattice"] = Field(
        default="all", description="atoms in frames: all, or lattice for only the atoms whose lattice carries the twist"
    )
    part_atoms: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000_000,
        description="frames with more atoms are not assembled in the worker: each MPI rank sends its own part",
    )
    transport: Literal["auto", "ipc", "tcp"] = Field(
        default="auto", description="how frames travel: ipc within a host, tcp between hosts, auto: each where it fits"
    )


class PartOfSettings(BaseModel):
    """Base of what one service reads of a section that another one owns: frozen, strict, the other keys left alone."""

    model_config = ConfigDict(frozen=True, strict=True)


class LeaseSettings(PartOfSettings):
    """What the watch over leases needs of the section [workers]."""

    lease_s: Annotated[FiniteFloat, Field(gt=0)]
    max_attempts: Annotated[int, Field(ge=1)]


class WorkerCount(PartOfSettings):
    """What the optimizer needs of the section [workers]."""

    count: Annotated[int, Field(ge=0)]


class EarlyEndPresence(PartOfSettings):
    """What workers need of the section [early_end]: whether there are policies that may end a run."""

    settled: dict[str, Any] | None = None
    learnt: dict[str, Any] | None = None
    hopeless: dict[str, Any] | None = None

    @property
    def is_on(self) -> bool:
        """Whether any run may be ended early."""
        return self.settled is not None or self.learnt is not None or self.hopeless is not None


class SessionSettings(PartOfSettings):
    """What services know of the session: when it began, in seconds of the machine's boot clock."""

    began_boot_s: FiniteFloat


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
        place = path if beside is None else (Path(beside) / path.expanduser()).resolve()
        str(place).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"expected a path of UTF-8 text, got {str(place)!r}") from error
    except (OSError, RuntimeError) as error:
        raise ValueError(f"expected a path, got {str(path)!r}: {error}") from error
    return place


UserFile = Annotated[Path, Field(strict=False), AfterValidator(_beside_the_campaign_file)]
"""A file of the user's own. The campaign file names it relative to itself; workers are given an absolute path."""
