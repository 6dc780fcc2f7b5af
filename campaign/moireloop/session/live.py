"""A running campaign asked through its broker, else the state that it left (adapter)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from moireloop.session.history import TOPICS, History
from moireloop.session.lock import is_running
from moireloop_broker.contract.message import START
from moireloop_broker.folder import CampaignFolder

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient

T = TypeVar("T")


def connected(folder: CampaignFolder) -> CampaignClient:
    """A client of the campaign that runs in a folder. Raises NotRunning."""
    from moireloop.client.client import NotRunning, connect

    if not folder.connection_file.exists():
        raise NotRunning(f"the campaign in {folder.root} is still starting; try again in a moment")
    return connect(folder.connection_file)


def live_history(client: CampaignClient) -> History:
    """The history of a campaign that runs now. Raises NotRunning."""
    return History.of(entry.message for entry in client.events(TOPICS))


def recent_history(client: CampaignClient, folder: CampaignFolder, last_id: str) -> tuple[History, str]:
    """What a look needs of the history of a campaign that runs now, and the id up to which it goes.

    It begins with the folder's digest, where there is one that the log has not been rolled back behind.

    Args:
        last_id: the id of the log's newest event.

    Raises:
        NotRunning: the broker does not respond.
    """
    from moireloop.client.received import order
    from moireloop.session.digest import read_digest

    history, since, digest = History(), START, read_digest(folder)
    if digest is not None and order(digest.last_id) <= order(last_id):
        history, since = digest.history, digest.last_id
    return history, note_new(client, history, since)


def note_new(client: CampaignClient, history: History, since: str) -> str:
    """Take what came after the id `since` into a history; returns the id of the last of it. Raises NotRunning."""
    for entry in client.events(TOPICS, since):
        history.note(entry.message)
        since = entry.id
    return since


def look(folder: CampaignFolder, live: Callable[[CampaignClient], T], stored: Callable[[CampaignFolder], T]) -> T:
    """Ask the running services or, if they do not run (any more), read the state that they left."""
    if is_running(folder):
        from moireloop.client.client import NotRunning

        try:
            with connected(folder) as client:
                return live(client)
        except NotRunning:
            if is_running(folder):
                raise
    return stored(folder)
