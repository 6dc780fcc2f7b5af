"""Starts the process that archives when the log has grown enough, and says when it cannot (adapter)."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from typing import Final

import redis

from moireloop_broker.archiving.archiver import is_due
from moireloop_broker.connection import Connection
from moireloop_broker.processes.backoff import Backoff
from moireloop_broker.processes.exits import exit_reason
from moireloop_broker.processes.lifeline import lifeline_command
from moireloop_broker.state.campaign_state import CampaignState

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0

SERVICE: Final = "archive"
"""Its name among the services, where it stands only once it could not do its work."""


class ArchiveWatch:
    """Looks at the log's length now and then. The process dies with this one; what it left is done by the next.

    `tries` is how often it was started and has ended.

    Args:
        kept: events that stay in Redis; 0 archives nothing.
    """

    def __init__(self, client: redis.Redis, connection: Connection, campaign: CampaignState, kept: int) -> None:
        self._client, self._connection, self._campaign, self._kept = client, connection, campaign, kept
        self.tries = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._look_at_s = 0.0
        self._backoff = Backoff()
        self._reported: str | None = None

    def look(self) -> None:
        """Start what is due, or take note of how it ended. Call it from the main thread. Raises redis.RedisError."""
        now_s = time.monotonic()
        if self._process is not None:
            code = self._process.poll()
            if code is not None:
                self._look_at_s = now_s + self._ended(self._process, code)
        elif now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            if is_due(self._client.xlen(self._connection.keys.log), self._kept):
                self._process = self._started()

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            _last_words(self._process)

    def _started(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "moireloop_broker.archiving", str(self._kept)]
        process = subprocess.Popen(  # noqa: S603
            lifeline_command(command, signal.SIGKILL), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if process.stdin is not None:
            with process.stdin as stdin:
                stdin.write(self._connection.model_dump_json().encode())
        return process

    def _ended(self, process: subprocess.Popen[bytes], code: int) -> float:
        """Note how it ended; returns the seconds until the next look."""
        self._process = None
        self.tries += 1
        said = _last_words(process)
        if code == 0:
            self._backoff.reset()
            if self._reported is not None:
                self._reported = None
                self._campaign.service_changed(SERVICE, "started", "older events are moved to the archive again")
            return LOOK_EVERY_S
        reason = said or f"older events stay in Redis and will be moved later: the archiver {exit_reason(code)}"
        if self._reported is None:
            self._reported = reason
            self._campaign.service_changed(SERVICE, "crashed", reason)
        log.warning("nothing archived reason=%s", reason)
        return self._backoff.next_s()


def _last_words(process: subprocess.Popen[bytes]) -> str:
    """What a process that has ended, or is about to, has said."""
    said = b""
    if process.stdout is not None:
        with process.stdout as output:
            said = output.read()
    process.wait()
    return said.decode(errors="replace").strip()
