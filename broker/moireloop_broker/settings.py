"""Settings of the streams, the state server and the sockets, as they stand in a campaign file (pure)."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

REDIS_SCHEMES = ("redis", "rediss", "unix")


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
    return url


RedisUrl = Annotated[str, AfterValidator(_redis_url)]


class Settings(BaseModel):
    """Base of the settings: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RedisSettings(Settings):
    """The server that keeps the campaign's state."""

    url: RedisUrl | None = Field(
        default=None,
        description="Redis server to join (redis, rediss or unix URL); by default a private one is started",
    )


class NetworkSettings(Settings):
    """Where the broker's sockets listen."""

    host: str = Field(
        default="127.0.0.1",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$",
        description="host name or IPv4 address that the sockets bind to; loopback unless said otherwise",
    )


class FrameSettings(Settings):
    """How often workers publish frames, of which atoms, and by which way."""

    every_steps: int = Field(default=500, ge=1, le=1_000_000_000, description="MD steps between two frames of a run")
    atoms: Literal["all", "lattice"] = Field(
        default="all", description="atoms in frames: all, or lattice for those alone whose lattice carries the twist"
    )
    part_atoms: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000_000,
        description="frames of more atoms are not put together in the worker: each MPI rank sends its own part",
    )
    transport: Literal["ipc", "tcp"] = Field(default="ipc", description="ipc on one machine, tcp across machines")
