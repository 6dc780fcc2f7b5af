"""The connection of a session: endpoints and keys, kept from one session to the next, and a folder for sockets."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

from moireloop.campaign_file import Campaign
from moireloop.folder import CampaignFolder
from moireloop_broker.connection import Connection, NoConnectionFile, new_password, read_connection, write_connection
from moireloop_broker.curve import Curve
from moireloop_broker.redis_server import free_port

SOCKET_FOLDER_PREFIX = "moireloop-"
WILDCARD = "0.0.0.0"  # noqa: S104


def open_session(campaign: Campaign, folder: CampaignFolder) -> Connection:
    """Write the connection file of a new session; keys stay those of the campaign, and ports where they are free."""
    earlier = _earlier_connection(folder)
    if earlier is not None:
        _remove_socket_folder(earlier)
    host = campaign.network.host
    redis_url = campaign.redis.url or _private_redis_url(earlier)
    connection = Connection(
        campaign=campaign.name,
        folder=str(folder.root),
        redis_url=redis_url,
        private_redis=campaign.redis.url is None,
        host=host,
        events=_endpoint(host, earlier.events if earlier else None),
        control=_endpoint(host, earlier.control if earlier else None),
        frame_transport=campaign.frames.transport,
        socket_folder=tempfile.mkdtemp(prefix=SOCKET_FOLDER_PREFIX),
        curve=earlier.curve if earlier else Curve.generate(),
    )
    write_connection(connection, folder.connection_file)
    return connection


def close_session(connection: Connection) -> None:
    """Remove what a session leaves outside the campaign's folder."""
    _remove_socket_folder(connection)


def _earlier_connection(folder: CampaignFolder) -> Connection | None:
    with contextlib.suppress(NoConnectionFile):
        return read_connection(folder.connection_file)
    return None


def _private_redis_url(earlier: Connection | None) -> str:
    if earlier is not None and earlier.private_redis and _is_free(*_host_and_port(earlier.redis_url)):
        return earlier.redis_url
    return f"redis://:{new_password()}@127.0.0.1:{free_port('127.0.0.1')}/0"


def _endpoint(host: str, earlier: str | None) -> str:
    if earlier is not None:
        earlier_host, port = earlier.removeprefix("tcp://").rsplit(":", 1)
        if earlier_host == host and _is_free(host, int(port)):
            return earlier
    return f"tcp://{host}:{free_port(host)}"


def _host_and_port(url: str) -> tuple[str, int]:
    host, port = url.rsplit("@", 1)[1].split("/")[0].rsplit(":", 1)
    return host, int(port)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _remove_socket_folder(connection: Connection) -> None:
    path = Path(connection.socket_folder)
    if path.name.startswith(SOCKET_FOLDER_PREFIX) and path.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(path, ignore_errors=True)
