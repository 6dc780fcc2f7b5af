"""The connection file: endpoints and keys of a running service set, mode 0600, as Jupyter does it (adapter).

It is read without the libraries of Redis, ZeroMQ and of frames: what opens those imports them.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from moireloop_broker.contract.message import Identifier
from moireloop_broker.files import write_synced
from moireloop_broker.folder import CampaignFolder, Role
from moireloop_broker.identity import read_identity
from moireloop_broker.network.addresses import service_address
from moireloop_broker.network.free_ports import FreePorts
from moireloop_broker.network.ports import host_and_port, is_loopback, port_range
from moireloop_broker.state.keys import Keys
from moireloop_broker.streams.curve import Curve

if TYPE_CHECKING:
    import redis

    from moireloop_broker.state.event_log import EventLog
    from moireloop_broker.streams.frames import FramePublisher, FrameReceiver
    from moireloop_broker.streams.parts import PartSender

FILE_NAME = "connection.json"

KEYS_OF_A_CLIENT = ("server_public", "client_public", "client_secret")


class NoConnectionFile(RuntimeError):
    """The connection file is missing, readable by others, or not one of moireloop's; the message says which."""


class Connection(BaseModel):
    """How to reach the services of one campaign.

    `events` (PUB) and `control` (ROUTER) are TCP endpoints secured with CURVE; `redis_url` holds the password and,
    where it is TLS, the certificate; `socket_folder` (mode 0700) holds the local sockets of the frame stream. `host` is
    the broker's name; `network` says how other services find the address on which they listen, `ports` which ports
    they may take. `redis_users` are the passwords of the roles' users, for the broker, which starts the server.
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
    network: str | None = None
    ports: str | None = None
    redis_users: dict[str, str] | None = None

    def of_role(self, role: Role) -> Connection:
        """The part that the services of a role need: the role's user of the private Redis server, no other's.

        An analyzer opens a socket of the services, and has the key for that; the others have not.
        """
        update: dict[str, object] = {"redis_users": None}
        if self.redis_users is not None:
            update["redis_url"] = _with_user(self.redis_url, role, self.redis_users[role])
        if role != "analyzer":
            update["curve"] = self.curve.of_a_client()
        return self.model_copy(update=update)

    @property
    def keys(self) -> Keys:
        """Names of the campaign's Redis keys."""
        return Keys(self.campaign)

    def open_redis(self, *, alone: bool = False) -> redis.Redis:
        """A Redis connection that outlives a restart of the server; `alone` as of `open_client`."""
        from moireloop_broker.state.redis_client import open_client

        return open_client(self.redis_url, alone=alone)

    @property
    def archive(self) -> Path:
        """Where older events of the log lie."""
        return CampaignFolder(Path(self.folder)).archive

    def event_log(self, client: redis.Redis) -> EventLog:
        """The campaign's log, with what is in the archive."""
        from moireloop_broker.state.event_log import EventLog

        return EventLog(client, self.keys, self.archive)

    def open_frame_publisher(self) -> FramePublisher:
        """The sending end of the frame stream, connected to the analyzers known now."""
        from moireloop_broker.state.campaign_state import frame_endpoints
        from moireloop_broker.streams.frames import FramePublisher

        client = self.open_redis()
        return FramePublisher(lambda: frame_endpoints(client, self.keys), curve=self._curve_of_frames)

    def open_part_sender(self, *, chooses: bool) -> PartSender:
        """One rank's end of the stream of parts of frames; it receives the addresses of the analyzers."""
        from moireloop_broker.streams.parts import PartSender

        return PartSender(chooses=chooses, curve=self._curve_of_frames)

    def open_frame_receiver(self, analyzer: str) -> FrameReceiver:
        """The receiving end of the frame stream for one analyzer, announced to the workers.

        It listens on a local socket, by TCP, or on both: see `frames.transport`. Nobody else could reach a TCP port of
        loopback, so that "auto" opens none there.

        Raises:
            OSError: this machine has no address for it, or no port is free.
        """
        from moireloop_broker.streams.frames import FrameReceiver

        local = f"ipc://{self.socket_folder}/{analyzer}.sock"
        address = None if self.frame_transport == "ipc" else service_address(self.network, self.host)
        if address is None or (self.frame_transport == "auto" and is_loopback(address)):
            receiver = FrameReceiver(local)
        else:
            beside = local if self.frame_transport == "auto" and Path(self.socket_folder).is_dir() else None
            receiver = self._receiver_by_tcp(address, beside)
        with contextlib.closing(self.open_redis()) as client:
            client.hset(self.keys.endpoints, analyzer, receiver.endpoint)
        return receiver

    @property
    def _curve_of_frames(self) -> Curve | None:
        return None if self.frame_transport == "ipc" else self.curve

    def _receiver_by_tcp(self, address: str, local: str | None) -> FrameReceiver:
        """Bound to a port that is free, and that none of the other services may be about to take."""
        import zmq

        from moireloop_broker.streams.frames import FrameReceiver

        taken = {host_and_port(url)[1] for url in (self.events, self.control, self.redis_url)}
        free = FreePorts(address, None if self.ports is None else port_range(self.ports), taken)
        while True:
            try:
                return FrameReceiver(f"tcp://{address}:{free.next()}", local=local, curve=self.curve)
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    raise


class ClientConnection(BaseModel):
    """The part of a connection file that a controller needs: a file of `moireloop grant` has just this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    campaign: Identifier
    events: str
    control: str
    curve: Curve
    role: str = ""
    name: str = ""


def read_client_connection(path: Path | str) -> ClientConnection:
    """The way to a campaign: from the file of a grant, a connection file, or the folder of a campaign.

    The five values that docs/protocol.md names are enough, side by side or as a connection file has them.

    Raises:
        NoConnectionFile: the file is missing, open to others, or malformed.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    text = _private_text(path)
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or "redis_url" in fields:
        return _client_part(read_connection(path))
    flat = {key: fields.pop(key) for key in KEYS_OF_A_CLIENT if key in fields}
    try:
        return ClientConnection.model_validate({"campaign": "campaign", **fields, **({"curve": flat} if flat else {})})
    except ValidationError as error:
        raise _not_ours(path, error) from error


def _client_part(connection: Connection) -> ClientConnection:
    names = ("campaign", "events", "control")
    return ClientConnection(**{name: getattr(connection, name) for name in names}, curve=connection.curve.of_a_client())


def read_connection(path: Path | str) -> Connection:
    """The connection described by a file (or by the file of that name in a campaign folder).

    The campaign's folder is the one in which the file lies, wherever that was when the file was written.

    Raises:
        NoConnectionFile: the file is missing, open to others, or malformed.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    try:
        connection = Connection.model_validate_json(_private_text(path))
    except ValidationError as error:
        raise _not_ours(path, error) from error
    return connection.model_copy(update={"folder": str(path.absolute().parent)})


def _private_text(path: Path) -> bytes:
    """The content of a file that only its owner may read. Raises NoConnectionFile."""
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise NoConnectionFile(f"expected a connection file at {path}: {reason}") from error
    if mode & 0o077:
        raise NoConnectionFile(f"expected mode 0600 for {path}, got {mode:04o}: others may have read its keys")
    return text


def _not_ours(path: Path, error: ValidationError) -> NoConnectionFile:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return NoConnectionFile(f"{path} is not a connection file: {where} {first['msg']}")


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
    write_synced(path, connection.model_dump_json(indent=2, exclude_none=True) + "\n")


def _with_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def new_password() -> str:
    """A password of 192 random bits, safe in a URL."""
    return secrets.token_hex(24)


def free_port(host: str) -> int:
    """A TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
