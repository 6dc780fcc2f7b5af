"""The connection of a session (adapter): endpoints and keys, kept from one session to the next; sockets; old state."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import redis

from moireloop.campaign_file.campaign import Campaign
from moireloop.services.service_set import ServiceSet
from moireloop.session.lock import CampaignIsRunning, is_conducted
from moireloop.session.records import refuse_lost_log, refuse_lost_state
from moireloop_broker.connection import (
    Connection,
    NoConnectionFile,
    new_password,
    read_connection,
    write_connection,
)
from moireloop_broker.files import write_synced
from moireloop_broker.folder import ROLES, CampaignFolder
from moireloop_broker.identity import Identity, read_identity, write_identity
from moireloop_broker.network.addresses import bind_address, host_of
from moireloop_broker.network.certificate import new_certificate
from moireloop_broker.network.free_ports import FreePorts
from moireloop_broker.network.ports import host_and_port, is_loopback
from moireloop_broker.processes.file_lock import is_locked, locks_within
from moireloop_broker.service.redis_server import TLS_FILES, holder_of_data
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import open_impatient, open_reader
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.streams.curve import Curve

SOCKET_FOLDER_PREFIX = "moireloop-"

ENDING_S = 20.0

SILENT_S = 2.0


OWNER = "owner"

ANY_ADDRESS = "0.0.0.0"  # noqa: S104
"""Ports for a broker of another host are tried here, on all addresses: what is free here is likely to be free there."""

SHORT_PLACE = "/tmp"  # noqa: S108

LONGEST_SOCKET_PLACE = 107 - len("/moireloop-12345678/analyzer-1234.sock")


class StillEnding(RuntimeError):
    """What an earlier session has started has not ended yet."""


class NameTaken(ValueError):
    """The Redis server that a campaign wants to join holds the state of another one of this name."""


def open_session(campaign: Campaign, folder: CampaignFolder, *, elsewhere: bool = False) -> Connection:
    """Write the connection file of a new session. The campaign's keys stay, and its ports where they are free.

    A campaign gets its id with its first session; each session gets its own mark.

    Args:
        elsewhere: the broker may run on another host than this process, under the name that `network.host` says.

    Raises:
        NameTaken: the Redis server that it joins holds another campaign of this name, or this one was continued from
            another folder.
        StateLost: the campaign was run, and its state is gone.
        redis.RedisError: that server does not respond.
        OSError: there is no place for the local sockets, or the campaign's folder cannot be written to.
    """
    earlier = _earlier_connection(folder)
    host = host_of(campaign.network.host)
    address = _address_of_the_broker(host, elsewhere=elsewhere)
    free = FreePorts(address or ANY_ADDRESS, campaign.network.port_range)
    curve = earlier.curve if earlier else Curve.generate()
    before = read_identity(folder.root) or Identity.new()
    now = before.next_session()
    if campaign.redis.url is None:
        refuse_lost_state(folder)
    else:
        _claim_name(campaign, campaign.redis.url, curve, before)
    write_identity(folder.root, now)
    if campaign.redis.url is not None:
        with contextlib.closing(open_impatient(campaign.redis.url)) as client:
            note_session(client, Keys(campaign.name), now, folder)
    if earlier is not None:
        _remove_socket_folder(earlier)
    by_tls = not is_loopback(address or host) and not campaign.redis.plaintext
    redis_url = campaign.redis.url or _private_redis_url(host, free, earlier, folder if by_tls else None)
    connection = Connection(
        campaign=campaign.name,
        folder=str(folder.root),
        redis_url=redis_url,
        private_redis=campaign.redis.url is None,
        host=host,
        events=_endpoint(host, free, earlier.events if earlier else None),
        control=_endpoint(host, free, earlier.control if earlier else None),
        frame_transport=campaign.frames.transport,
        socket_folder=_make_socket_folder(),
        curve=curve,
        network=campaign.network.host,
        ports=campaign.network.ports,
        redis_users=None if campaign.redis.url is not None else {role: new_password() for role in ROLES},
    )
    for role in ROLES:
        write_connection(connection.of_role(role), folder.connection_of(role))
    write_connection(connection, folder.connection_file)
    return connection


def _address_of_the_broker(host: str, *, elsewhere: bool) -> str | None:
    """The address of this machine on which the broker will listen; None where it is another's. Raises OSError."""
    try:
        return bind_address(host)
    except OSError:
        if elsewhere:
            return None
        raise


def note_session(client: redis.Redis, keys: Keys, identity: Identity, folder: CampaignFolder) -> None:
    """Keep in Redis which session of which campaign is the last one, and where it runs. Raises redis.RedisError."""
    place = os.fsencode(folder.root)
    fields = {"id": identity.id, "session": identity.session, "folder": place, "host": socket.gethostname()}
    client.hset(keys.identity, mapping=cast("Any", fields))


def say_ready(client: redis.Redis, keys: Keys, identity: Identity) -> None:
    """Say in Redis that others may join the session: what an earlier one left is cleared. Raises redis.RedisError."""
    client.hset(keys.identity, "ready", identity.session)


def hold_sockets(connection: Connection) -> int:
    """A descriptor that holds the folder of the local sockets, so that no other session takes them for left over."""
    descriptor = os.open(connection.socket_folder, os.O_RDONLY)
    locks_within(descriptor, 0.0)
    return descriptor


def close_session(connection: Connection) -> None:
    """Remove what a session leaves outside the campaign's folder."""
    _remove_socket_folder(connection)


def refuse_taken_name(campaign: Campaign) -> None:
    """Nothing when a new campaign can keep its state where it wants to.

    Raises:
        NameTaken: the server that it joins holds a campaign of this name.
        redis.RedisError: that server does not respond.
    """
    if campaign.redis.url is None:
        return
    keys = Keys(campaign.name)
    with contextlib.closing(open_reader(campaign.redis.url)) as client:
        if client.exists(keys.log):
            raise NameTaken(
                f"name: expected a name that is new to the server of redis.url, got {campaign.name!r}, "
                f"which a campaign on that server already has; choose another name or server"
            )


def forget_session(folder: CampaignFolder) -> None:
    """Let go of an earlier session for good: its sockets, and its state on a Redis server that it joined.

    Keys on a joined server are removed only if they belong to this very folder. The caller holds the folder's lock.

    Raises:
        StillEnding: services of a killed session do not end.
        redis.RedisError: the joined server does not respond.
    """
    if (earlier := _earlier_connection(folder)) is None:
        return
    _wait_for_the_end_of_services(folder)
    _remove_socket_folder(earlier)
    if not earlier.private_redis:
        _forget_keys(earlier, folder)


def refuse_if_redis_knows(
    folder: CampaignFolder, say: Callable[[str], None] = lambda _: None, *, elsewhere: bool = False
) -> None:
    """Nothing when Redis knows of no session of this folder's campaign, whatever became of the lock files.

    A private server that an earlier session has left is waited for.

    Args:
        say: called with a line where there is something to wait for.
        elsewhere: whether a broker that starts by itself may keep that server: it ends it when a new session begins.

    Raises:
        CampaignIsRunning: a conductor is connected to the campaign's Redis server.
        StillEnding: the private server of an earlier session does not end.
    """
    earlier = _earlier_connection(folder)
    if earlier is None:
        return
    deadline, said = time.monotonic() + ENDING_S, False
    while (left := _left_of(earlier, folder)) is not None and not elsewhere:
        if time.monotonic() > deadline:
            raise StillEnding(f"{left} does not end; check whether it is stopped, and end it with kill -9")
        if not said and time.monotonic() > deadline - ENDING_S + SILENT_S:
            say(f"waiting for the end of {left}, at most {ENDING_S:g} s")
            said = True
        time.sleep(0.05)


def _left_of(connection: Connection, folder: CampaignFolder) -> str | None:
    """The server of an earlier session that still uses the folder, in words. Raises CampaignIsRunning."""
    conducted = is_conducted(connection, folder)
    if conducted:
        raise CampaignIsRunning(
            f"the campaign in {folder.root} is being run: its conductor is connected to its Redis server, "
            f"though no lock shows it; stop it first"
        )
    if conducted is False and connection.private_redis:
        return f"the Redis server of an earlier session in {folder.redis}"
    holder = holder_of_data(folder.redis) if connection.private_redis else None
    return None if holder is None else f"the Redis server of an earlier session (process {holder}) in {folder.redis}"


def _claim_name(campaign: Campaign, redis_url: str, curve: Curve, identity: Identity) -> None:
    """Of campaigns of one name that start on a joined server at once, one gets it: the first to write its key."""
    keys, mine = Keys(campaign.name), json.dumps(curve.server_public)
    with contextlib.closing(open_reader(redis_url)) as client:
        refuse_lost_log(client, keys, "the Redis server of redis.url", identity)
        client.hsetnx(keys.settings, OWNER, mine)
        stored = cast("dict[bytes, bytes]", client.hgetall(keys.identity))
        is_another = stored.get(b"id", identity.id.encode()) != identity.id.encode()
        if client.hget(keys.settings, OWNER) != mine.encode() or is_another:
            raise NameTaken(
                f"name: expected a name that is free on the server of redis.url, got {campaign.name!r}, "
                f"which a campaign in a folder other than {campaign.folder} has; choose another name or server"
            )
        if (text := _copied(stored, identity, campaign.folder)) is not None:
            raise NameTaken(f"folder: {text}")


def _copied(stored: dict[bytes, bytes], identity: Identity, folder: Path) -> str | None:
    """Why a folder is a copy of the one from which the campaign in Redis is run; None where it is that one itself."""
    if not stored:
        return None
    there = Path(os.fsdecode(stored.get(b"folder", b"")))
    where = f"{there} on {stored.get(b'host', b'').decode(errors='replace')}"
    if stored.get(b"session", b"").decode() not in (identity.session, identity.earlier_session):
        return (
            f"{folder} is a copy from before the campaign continued in {where}, and the server of redis.url holds the "
            f"state of that one; continue there"
        )
    if stored.get(b"host", b"").decode() == socket.gethostname() and _is_another_folder(there, folder, identity):
        return (
            f"{folder} is a copy of {there}, and the server of redis.url holds that campaign; "
            f"continue there, or remove it"
        )
    return None


def _is_another_folder(there: Path, here: Path, identity: Identity) -> bool:
    """Whether the campaign is still in the folder where it was last run, and that is another one than this."""
    try:
        kept = read_identity(there)
        return kept is not None and kept.id == identity.id and not there.samefile(here)
    except OSError:
        return False


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
            owner = read_settings(client, keys).section(OWNER, str)
        except LookupError:
            return
        identity = read_identity(folder.root) or Identity(id="")
        stored = cast("dict[bytes, bytes]", client.hgetall(keys.identity))
        if owner == connection.curve.server_public and _copied(stored, identity, folder.root) is None:
            for key in client.scan_iter(match=f"{keys.prefix}*", count=1000):
                client.delete(key)


def _earlier_connection(folder: CampaignFolder) -> Connection | None:
    with contextlib.suppress(NoConnectionFile):
        return read_connection(folder.connection_file)
    return None


def _private_redis_url(host: str, free: FreePorts, earlier: Connection | None, secure: CampaignFolder | None) -> str:
    """With a new password, so that leftovers of an earlier session, or of a copy of the folder, cannot get in.

    Args:
        secure: the folder that gets a certificate for the server, which the URL then holds; None for one without TLS.
    """
    before = host_and_port(earlier.redis_url)[1] if earlier is not None and earlier.private_redis else None
    place = f":{new_password()}@{host}:{free.next(before)}/0"
    if secure is None:
        return f"redis://{place}"
    made = new_certificate(secure.root.name)
    for name, text in zip(TLS_FILES, (made.certificate, made.key), strict=True):
        write_synced(secure.redis / name, text)
    return f"rediss://{place}?{urlencode({'ssl_ca_data': made.certificate, 'ssl_check_hostname': 'false'})}"


def _endpoint(host: str, free: FreePorts, earlier: str | None) -> str:
    """An endpoint of this session, on the port that it had in the earlier one where that is free."""
    return f"tcp://{host}:{free.next(host_and_port(earlier)[1] if earlier is not None else None)}"


def _is_in_use(socket_folder: Path) -> bool:
    """Whether a session uses it, of the folder that this one is a copy of."""
    try:
        descriptor = os.open(socket_folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        return is_locked(descriptor)
    finally:
        os.close(descriptor)


def _remove_socket_folder(connection: Connection) -> None:
    path = Path(connection.socket_folder)
    if path.name.startswith(SOCKET_FOLDER_PREFIX) and not _is_in_use(path):
        for left in path.glob("*.sock"):
            left.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()
