"""The connection of a session (adapter): endpoints and keys, kept from one session to the next; sockets; old state."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.session.service_set import ServiceSet
from moireloop_broker.connection import (
    Connection,
    NoConnectionFile,
    free_port,
    new_password,
    read_connection,
    write_connection,
)
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import open_reader
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.streams.curve import Curve

SOCKET_FOLDER_PREFIX = "moireloop-"

ENDING_S = 20.0

OWNER = "owner"

SHORT_PLACE = "/tmp"  # noqa: S108

LONGEST_SOCKET_PLACE = 107 - len("/moireloop-12345678/analyzer-1234.sock")


class StillEnding(RuntimeError):
    """What an earlier session has started has not ended yet."""


class NameTaken(ValueError):
    """The Redis server that a campaign wants to join holds the state of another one of this name."""


def open_session(campaign: Campaign, folder: CampaignFolder) -> Connection:
    """Write the connection file of a new session; keys stay those of the campaign, and ports where they are free.

    Raises:
        NameTaken: the Redis server that it joins holds a campaign of this name with other keys.
        redis.RedisError: that server does not answer.
        OSError: there is no place for the local sockets, or the campaign's folder cannot be written to.
    """
    earlier = _earlier_connection(folder)
    if earlier is not None:
        _remove_socket_folder(earlier)
    host = campaign.network.host
    curve = earlier.curve if earlier else Curve.generate()
    if campaign.redis.url is not None:
        _claim_name(campaign, campaign.redis.url, curve)
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
        socket_folder=_make_socket_folder(),
        curve=curve,
    )
    write_connection(connection, folder.connection_file)
    return connection


def close_session(connection: Connection) -> None:
    """Remove what a session leaves outside the campaign's folder."""
    _remove_socket_folder(connection)


def refuse_taken_name(campaign: Campaign) -> None:
    """Nothing when a new campaign can keep its state where it wants to.

    Raises:
        NameTaken: the server that it joins holds a campaign of this name.
        redis.RedisError: that server does not answer.
    """
    if campaign.redis.url is None:
        return
    keys = Keys(campaign.name)
    with contextlib.closing(open_reader(campaign.redis.url)) as client:
        if client.exists(keys.log):
            raise NameTaken(
                f"name: expected one that is new to the server of redis.url, got {campaign.name!r}, "
                f"of which that server holds a campaign already; choose another name or server"
            )


def forget_session(folder: CampaignFolder) -> None:
    """Let go of an earlier session for good: its sockets, and its state on a Redis server that it joined.

    Keys on a joined server go only when they are those of this very folder. The caller holds the folder's lock.

    Raises:
        StillEnding: services of a killed session do not end.
        redis.RedisError: the joined server does not answer.
    """
    if (earlier := _earlier_connection(folder)) is None:
        return
    _wait_for_the_end_of_services(folder)
    _remove_socket_folder(earlier)
    if not earlier.private_redis:
        _forget_keys(earlier, folder)


def _claim_name(campaign: Campaign, redis_url: str, curve: Curve) -> None:
    """Of campaigns of one name that start on a joined server at once, one gets it: the first to write its key."""
    settings, mine = Keys(campaign.name).settings, json.dumps(curve.server_public)
    with contextlib.closing(open_reader(redis_url)) as client:
        client.hsetnx(settings, OWNER, mine)
        if client.hget(settings, OWNER) != mine.encode():
            raise NameTaken(
                f"name: expected one that is free on the server of redis.url, got {campaign.name!r}, "
                f"which another campaign than that of {campaign.folder} has; choose another name or server"
            )


def _make_socket_folder() -> str:
    """A new folder of mode 0700, its path short enough for Unix sockets (man 7 unix: 107 bytes)."""
    with contextlib.suppress(OSError):
        if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_SOCKET_PLACE:
            return tempfile.mkdtemp(prefix=SOCKET_FOLDER_PREFIX)
    with contextlib.suppress(OSError):
        return tempfile.mkdtemp(prefix=SOCKET_FOLDER_PREFIX, dir=SHORT_PLACE)
    raise OSError(
        f"expected a folder for sockets, writable, its path of at most {LONGEST_SOCKET_PLACE} bytes; "
        f"found neither TMPDIR nor {SHORT_PLACE} to be one: set TMPDIR"
    )


def _wait_for_the_end_of_services(folder: CampaignFolder) -> None:
    """They end by themselves, since each dies with its parent."""
    services = ServiceSet(folder.services_lock)
    if not services.claim(ENDING_S):
        raise StillEnding(
            f"services of an earlier session still run (fuser {folder.services_lock} shows them); end them first"
        )
    services.release()


def _forget_keys(connection: Connection, folder: CampaignFolder) -> None:
    keys = connection.keys
    with contextlib.closing(open_reader(connection.redis_url)) as client:
        try:
            owner = read_settings(client, keys, "folder")
        except LookupError:
            return
        if owner == str(folder.root):
            for key in client.scan_iter(match=f"{keys.prefix}*", count=1000):
                client.delete(key)


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
    if path.name.startswith(SOCKET_FOLDER_PREFIX):
        for left in path.glob("*.sock"):
            left.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()
