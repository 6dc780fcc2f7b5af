"""`moireloop grant` and `moireloop revoke`: connection files for other people and machines (main)."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from moireloop.commands.started import started
from moireloop.terminal.console import complain, say
from moireloop_broker.connection import ClientConnection, read_connection
from moireloop_broker.files import write_synced
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.grants import GrantRefused, Role, add_grant, revoke_grant


def grant(path: Path, *, role: Role, host: str, name: str | None, output: Path) -> int:
    """Write a connection file with separate keys for another machine."""
    folder = CampaignFolder(started(path).folder)
    connection = read_connection(folder.connection_file)
    if os.path.lexists(output):
        raise GrantRefused(f"{output}: expected a new file, got one that exists")
    if not output.absolute().parent.is_dir():
        raise GrantRefused(f"{output}: expected a place in a folder that exists")
    given, secret = add_grant(folder.root, name or output.stem, role)
    curve = connection.curve.of_a_client().model_copy(
        update={"client_public": given.public_key, "client_secret": secret}
    )
    file = ClientConnection(
        campaign=connection.campaign,
        events=_on(host, connection.events),
        control=_on(host, connection.control),
        curve=curve,
        role=role,
        name=given.name,
    )
    write_synced(output, file.model_dump_json(indent=2) + "\n")
    say(f"granted  {role} {given.name}: {output}, mode 0600; `moireloop revoke {path} {given.name}` ends it")
    if connection.host in ("127.0.0.1", "localhost") and host not in ("127.0.0.1", "localhost"):
        mend = f"set network.host so that {host} can reach it, and resume"
        complain(f"the campaign listens only on {connection.host}; {mend}")
    return 0


def revoke(path: Path, *, name: str) -> int:
    """Revoke a grant: its key stops working."""
    folder = CampaignFolder(started(path).folder)
    ended = revoke_grant(folder.root, name)
    say(f"revoked  {ended.role} {ended.name}; a subscription that is open ends with its connection")
    return 0


def _on(host: str, endpoint: str) -> str:
    """The same port on another name of the machine."""
    named = f"[{host}]" if ":" in host else host
    return f"tcp://{named}:{urlsplit(endpoint).port}"
