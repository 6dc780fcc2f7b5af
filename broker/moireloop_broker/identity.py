"""Which campaign a folder holds: an id that moves with the folder, and the session that last ran it (adapter)."""

from __future__ import annotations

import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from moireloop_broker.files import write_synced

FILE_NAME = "identity.json"


class Identity(BaseModel):
    """The id of a campaign, and the marks of its last two sessions.

    A folder that was copied has the same id. Sessions distinguish the copies: each writes a new mark into its folder
    and, where it joins a Redis server, there too. `has_begun` is whether the campaign's log was ever begun, `ended` how
    the last session came to its end by itself: "completed", "stopped", or empty where it did not.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    session: str = ""
    earlier_session: str = ""
    has_begun: bool = False
    ended: str = ""

    @classmethod
    def new(cls) -> Identity:
        """A campaign that never ran, with a random id."""
        return cls(id=secrets.token_hex(16))

    def next_session(self) -> Identity:
        """The same campaign with a session more."""
        now = {"session": secrets.token_hex(16), "earlier_session": self.session, "ended": ""}
        return self.model_copy(update=now)


def read_identity(folder: Path) -> Identity | None:
    """The identity that a campaign's folder has; None where it has none, as before the first session that gives one."""
    try:
        return Identity.model_validate_json((folder / FILE_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def write_identity(folder: Path, identity: Identity) -> None:
    """Keep the identity in the folder, whole or not at all. Raises OSError."""
    write_synced(folder / FILE_NAME, identity.model_dump_json(indent=2) + "\n")
