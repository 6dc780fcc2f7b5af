"""Who else may follow or steer a campaign: names, roles and public keys of grants, in the campaign's folder (adapter).

The secret key of a grant is in the file that was made for its owner, and nowhere else.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, Literal

import zmq
from pydantic import BaseModel, ConfigDict, ValidationError

from moireloop_broker.contract.message import Identifier
from moireloop_broker.files import write_synced

FILE_NAME: Final = "grants.json"

Role = Literal["observer", "controller"]


class GrantRefused(ValueError):
    """A grant cannot be made or revoked; the text says why."""


class Grant(BaseModel):
    """A right: an observer follows and replays, a controller steers too; `revoked_s` ends it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Identifier
    role: Role
    public_key: str
    granted_s: float
    revoked_s: float | None = None


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    grants: tuple[Grant, ...] = ()


class Grants:
    """The grants of a campaign as they are now: the file is read again when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self._seen: tuple[int, ...] = ()
        self._by_key: dict[str, Grant] = {}

    def by_key(self, public_key: str) -> Grant | None:
        """The grant of a key; None where there is none, or it was revoked, or the file cannot be read."""
        try:
            status = os.stat(self._file)
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                grants = read_grants(self._file.parent)
                self._by_key = {grant.public_key: grant for grant in grants if grant.revoked_s is None}
                self._seen = seen
        except (OSError, GrantRefused):
            self._by_key, self._seen = {}, ()
        return self._by_key.get(public_key)


def read_grants(folder: Path) -> tuple[Grant, ...]:
    """All grants ever made, the revoked too. Raises GrantRefused where the file is not ours, OSError."""
    file = folder / FILE_NAME
    if not file.exists():
        return ()
    try:
        return _Kept.model_validate_json(file.read_bytes()).grants
    except ValidationError as error:
        raise GrantRefused(f"{file} is not a grants file: {error.errors()[0]['msg']}") from error


def add_grant(folder: Path, name: str, role: Role) -> tuple[Grant, str]:
    """Make a grant with new keys; returns it and its secret key, 40 characters of Z85, which is kept nowhere.

    Raises:
        GrantRefused: a grant of this name exists already, or the name is invalid.
    """
    grants = read_grants(folder)
    if any(grant.name == name and grant.revoked_s is None for grant in grants):
        raise GrantRefused(f"name: expected a new name, got {name!r}, which already has a grant; revoke it first")
    public, secret = zmq.curve_keypair()
    try:
        grant = Grant(name=name, role=role, public_key=public.decode(), granted_s=time.time())
    except ValidationError:
        text = f"name: expected letters, digits, '_', '.', '-', at most 64, got {name[:80]!r}"
        raise GrantRefused(text) from None
    _keep(folder, (*grants, grant))
    return grant, secret.decode()


def revoke_grant(folder: Path, name: str) -> Grant:
    """End the grant of a name. Raises GrantRefused where there is none."""
    grants = read_grants(folder)
    now = tuple(
        grant.model_copy(update={"revoked_s": time.time()}) if grant.name == name and grant.revoked_s is None else grant
        for grant in grants
    )
    ended = [after for before, after in zip(grants, now, strict=True) if before != after]
    if not ended:
        names = ", ".join(grant.name for grant in grants if grant.revoked_s is None) or "none"
        raise GrantRefused(f"expected the name of a grant ({names}), got {name[:80]!r}")
    _keep(folder, now)
    return ended[0]


def _keep(folder: Path, grants: tuple[Grant, ...]) -> None:
    write_synced(folder / FILE_NAME, _Kept(grants=grants).model_dump_json(indent=2) + "\n")
