"""How a client reaches a campaign: connection file, sockets, and the errors of a silence or a refusal (adapter)."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import zmq

from moireloop.client.received import NotRunning, RequestRefused
from moireloop_broker.connection import ClientConnection, NoConnectionFile, original_of, read_client_connection
from moireloop_broker.contract.codec import unpack_reply
from moireloop_broker.contract.control import Refused, Reply
from moireloop_broker.contract.message import MalformedMessage
from moireloop_broker.network.links import watch_link

MOST_WAITING: Final = 100_000
"""Published messages that may wait for a slow subscription; messages lost beyond it are replayed."""

S = TypeVar("S", bound="zmq.Socket[Any]")


def subscribed(socket: S, connection: ClientConnection, topics: Iterable[str], most_waiting: int = MOST_WAITING) -> S:
    """Connects a socket to the published messages of these topics; beyond `most_waiting` the newest are lost."""
    socket.rcvhwm = most_waiting
    watch_link(socket)
    connection.curve.secure_client(socket)
    for topic in topics:
        socket.subscribe(topic)
    socket.connect(connection.events)
    return socket


def asking(socket: S, connection: ClientConnection) -> S:
    """Connects a socket to the control endpoint."""
    socket.linger = 0
    watch_link(socket)
    connection.curve.secure_client(socket)
    socket.connect(connection.control)
    return socket


def silence(connection: ClientConnection, timeout_s: float) -> NotRunning:
    """The error when no reply comes."""
    return NotRunning(
        f"nothing responds at {connection.control} within {timeout_s:g} s: "
        f"campaign {connection.campaign!r} is not running, or the keys are not its keys"
    )


def understood(data: bytes) -> Reply:
    """Unpacks a reply that is not a refusal. Raises RequestRefused."""
    try:
        reply = unpack_reply(data)
    except MalformedMessage as error:
        raise RequestRefused(f"the reply cannot be read: {error}") from error
    if isinstance(reply, Refused):
        raise RequestRefused(f"{reply.error}: {reply.message}")
    return reply


def default_name() -> str:
    """The default requester: user and host, as far as they are known."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    return f"{user}@{socket.gethostname()}"[:100]


def connection_of(connection_file: Path | str) -> ClientConnection:
    """The content of a connection file, given the file or its folder.

    Raises:
        NoConnectionFile: as `connect`.
    """
    connection, original = read_client_connection(connection_file), None
    with contextlib.suppress(NoConnectionFile):
        original = original_of(connection_file)
    if original is not None:
        raise NoConnectionFile(
            f"{_folder_of(connection_file)} is a copy of {original}, and was not run since: its connection file leads "
            f"to the session of campaign {connection.campaign!r} in {original}; connect to that folder"
        )
    return connection


def _folder_of(connection_file: Path | str) -> Path:
    path = Path(connection_file).absolute()
    return path if path.is_dir() else path.parent
