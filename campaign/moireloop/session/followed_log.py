"""The log of a session's campaign, read again and again: history, requests, summary and digest (adapter)."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace

import redis

from moireloop.campaign_file.campaign import Campaign
from moireloop.results.summary import SHARE, Summaries, Summary, summary_of
from moireloop.session.digest import EVERY_S, LEAST_RESULTS, Digest, digest_of, write_digest
from moireloop.session.history import TAGS, History
from moireloop.session.resumption import requests_of_file, steerable
from moireloop_broker.connection import Connection
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import Requested
from moireloop_broker.contract.message import START
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.processes.clock import boot_s
from moireloop_broker.service.redis_server import holder_of_data
from moireloop_broker.service.stored_redis import data_mark
from moireloop_broker.state.event_log import EventLog, LogRolledBack
from moireloop_broker.state.settings_store import change_settings, read_settings

log = logging.getLogger(__name__)

AS_IN_FILE = "file"
"""The section of the settings with targets, space and budget as the campaign file last had them."""


class FollowedLog:
    """A campaign's history up to the last entry read, and the campaign as requests have changed it since.

    The digest in the folder is written from it: now and then while the session runs, and once more at its end.

    Args:
        campaign: as its file describes it, with its workers counted.
    """

    def __init__(self, campaign: Campaign, folder: CampaignFolder) -> None:
        self.campaign = campaign
        self.history = History.kept()
        self._of_file = campaign
        self._folder = folder
        self._last_id = START
        self._summaries = Summaries()
        self._digest_due_s = 0.0
        self._last_digest: Digest | None = None

    def read(self, event_log: EventLog) -> None:
        """Take in what is new, or everything again if the log was rolled back. Raises redis.RedisError."""
        try:
            try:
                for _, event in event_log.replay(self._last_id, TAGS):
                    self.history.note(event)
            finally:
                self._last_id = event_log.replayed_to or self._last_id
        except LogRolledBack as error:
            log.warning("reading the log again reason=%s", error)
            self._last_id = START
            self.history = History.kept()
        self.campaign = self._of_file.after(self.history.steered)

    def request_changes_of_file(self, client: redis.Redis, connection: Connection) -> None:
        """Targets, space and budget stay as controllers left them, unless the file has changed since.

        Raises:
            redis.RedisError: Redis does not respond.
        """
        settings = read_settings(client, connection.keys)
        before = settings.plain(AS_IN_FILE) if AS_IN_FILE in settings else None
        event_log = connection.event_log(client)
        for request in requests_of_file(self._of_file, before, self.history.steered):
            event_log.append(Requested(requester=request.requester, request=request, at_s=time.time()))
        self.read(event_log)
        change_settings(client, connection.keys, steerable(self.campaign))

    def store_file_sections(self, client: redis.Redis, connection: Connection) -> None:
        """Store what the file says, for the next session to compare with. Raises redis.RedisError."""
        change_settings(client, connection.keys, {AS_IN_FILE: steerable(self._of_file)})

    def summary(self) -> Summary:
        """The summary of all results so far, or a moment ago."""
        history = self.history
        return self._summaries.look(
            history.results, self.campaign.targets, history.resumed_at_s, boot_s(), history.withheld
        )

    def update_digest(self) -> None:
        """Write the digest of a long campaign, at a small share of the time."""
        if len(self.history.results) < LEAST_RESULTS or boot_s() < self._digest_due_s:
            return
        began_s = time.perf_counter()
        with contextlib.suppress(OSError):
            write_digest(self._folder, digest_of(self._last_id, self.history, self.summary()))
        self._digest_due_s = boot_s() + max(EVERY_S, (time.perf_counter() - began_s) / SHARE)

    def prepare_last_digest(self, status: Callable[[], Status]) -> None:
        """Make the digest of a long campaign at the end of its session, with its status; a short one has none."""
        history = self.history
        if len(history.results) < LEAST_RESULTS:
            return
        summary = summary_of(history.results, self.campaign.targets, history.resumed_at_s, history.withheld)
        self._last_digest = replace(digest_of(self._last_id, history, summary), status=status())

    def write_last_digest(self, connection: Connection) -> None:
        """Write the prepared digest, with the mark of the data that a private server has left."""
        if self._last_digest is None:
            return
        has_ended = connection.private_redis and holder_of_data(self._folder.redis) is None
        mark = data_mark(self._folder.redis) if has_ended else ""
        with contextlib.suppress(OSError):
            write_digest(self._folder, replace(self._last_digest, mark=mark))
