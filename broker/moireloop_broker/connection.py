"""The connection file: endpoints and keys of a running service set, mode 0600, as Jupyter does it (adapter).

A controller reads it without the libraries of Redis and of frames: what opens those imports them.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from moireloop_broker.contract.message import Identifier
from moireloop_broker.files import write_synced
from moireloop_broker.identity import read_identity
from moireloop_broker.state.keys import Keys
from moireloop_broker.streams.curve import Curve

if TYPE_CHECKING:
    import redis

    from moireloop_broker.streams.frames import FramePublisher, FrameReceiver
    from moireloop_broker.streams.parts import PartSender

FILE_NAME = "connection.json"


class NoConnectionFile(RuntimeError):
    """The connection file is missing, readable by others, or not one of ours; the text says which."""


class Connection(BaseModel):
    """How to reach the services of one campaign.

    `events` (PUB) and `control` (ROUTER) are TCP endpoints secured with CURVE; `redis_url` holds the password;
    `socket_folder` (mode 0700) holds the local sockets of the frame stream.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    campaign: Identifier
    folder: str
    redis_url: str
    private_redis: bool
    host: str
    events: str
    control: str
    frame_transport: str
    socket_folder: str
    curve: Curve

    @property
    def keys(self) -> Keys:
        """Names of the campaign's Redis keys."""
        return Keys(self.campaign)

    def open_redis(self) -> redis.Redis:
        """A Redis connection that outlives a restart of the server."""
        from moireloop_broker.state.redis_client import open_client

        return open_client(self.redis_url)

    def open_frame_publisher(self) -> FramePublisher:
        """The sending end of the frame stream, connected to the analyzers known now."""
        from moireloop_broker.state.campaign_state import frame_endpoints
        from moireloop_broker.streams.frames import FramePublisher

        client = self.open_redis()
        curve = self.curve if self.frame_transport == "tcp" else None
        return FramePublisher(lambda: frame_endpoints(client, self.keys), curve=curve)

    def open_part_sender(self, *, chooses: bool) -> PartSender:
        """One rank's end of the stream of parts of frames; it is told where the analyzers are."""
        from moireloop_broker.streams.parts import PartSender

        return PartSender(chooses=chooses, curve=self.curve if self.frame_transport == "tcp" else None)

    def open_frame_receiver(self, analyzer: str) -> FrameReceiver:
        """The receiving end of the frame stream for one analyzer, announced to the workers."""
        from moireloop_broker.streams.frames import FrameReceiver

        if self.frame_transport == "ipc":
            receiver = FrameReceiver(f"ipc://{self.socket_folder}/{analyzer}.sock")
        else:
            receiver = FrameReceiver(f"tcp://{self.host}:*", curve=self.curve)
        with contextlib.closing(self.open_redis()) as client:
            client.hset(self.keys.endpoints, analyzer, receiver.endpoint)
        return receiver


def read_connection(path: Path | str) -> Connection:
    """The connection described by a file (or by the file of that name in a campaign folder).

    The campaign's folder is the one in which the file lies, wherever that was when the file was written.

    Raises:
        NoConnectionFile: the file is missing, open to others, or malformed.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()
    except OSError as error:
        raise NoConnectionFile(f"expected a connection file at {path}: {error.strerror}") from error
    if mode & 0o077:
        raise NoConnectionFile(f"expected mode 0600 of {path}, got {mode:04o}: others may have read its keys")
    try:
        connection = Connection.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NoConnectionFile(f"{path} is not a connection file: {where} {first['msg']}") from error
    return connection.model_copy(update={"folder": str(path.absolute().parent)})


def original_of(file: Path | str) -> Path | None:
    """The folder of which a connection file's campaign folder is a copy; None where it is none.

    A copied folder has the id of the original, whose session the endpoints in the copied file lead to.

    Raises:
        NoConnectionFile: as `read_connection`.
    """
    here = Path(read_connection(file).folder)
    stored = Path(file) / FILE_NAME if Path(file).is_dir() else Path(file)
    there = Path(Connection.model_validate_json(stored.read_bytes()).folder)
    mine, its = read_identity(here), read_identity(there)
    with contextlib.suppress(OSError):
        if mine is not None and its is not None and mine.id == its.id and not here.samefile(there):
            return there
    return None


def write_connection(connection: Connection, path: Path) -> None:
    """Write the connection file, mode 0600, in one atomic step."""
    write_synced(path, connection.model_dump_json(indent=2) + "\n")


def new_password() -> str:
    """A password of 192 random bits, safe in a URL."""
    return secrets.token_hex(24)


def free_port(host: str) -> int:
    """A TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
