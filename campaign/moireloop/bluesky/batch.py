"""Candidates that a device has proposed together, and their results as they come (adapter)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from moireloop.bluesky.status import GrowthStatus
from moireloop.client.client import CampaignClient, connect
from moireloop.client.received import NotRunning, RequestRefused
from moireloop_broker.contract.events import Result

PATIENCE_S: Final = 60.0
"""How long a broker may be away: it may be killed and come again."""

Proposals = Mapping[str, Mapping[str, float]]
"""Parameters by candidate id."""


class Batch:
    """Proposes candidates in a separate thread and waits for their results.

    `status` is done when all results are there; it fails when a proposal is refused, whereupon those proposed before it
    are cancelled, or when the campaign ends without them.
    """

    def __init__(self, campaign: Path | str, requester: str | None, proposals: Proposals) -> None:
        self.status = GrowthStatus()
        self.proposals = proposals
        self._campaign, self._requester = campaign, requester
        self._results: dict[str, Result] = {}
        self._fresh: list[Result] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="moireloop-growth", daemon=True).start()

    def fresh(self) -> list[Result]:
        """Results that came since the last time."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        return fresh

    def cancel(self, reason: str) -> None:
        """End what has no result yet. Raises NotRunning."""
        with connect(self._campaign, name=self._requester) as client:
            self._cancel(client, set(self.proposals) - set(self._results), reason)

    def _run(self) -> None:
        try:
            with connect(self._campaign, name=self._requester) as client:
                since = client.status().last_id
                self._propose(client)
                self._wait(client, since)
        except BaseException as error:
            self.status.finish(error)
        else:
            self.status.finish()

    def _propose(self, client: CampaignClient) -> None:
        proposed: set[str] = set()
        for candidate_id, parameters in self.proposals.items():
            try:
                client.propose(candidate_id, parameters)
            except BaseException:
                self._cancel(client, proposed, "another proposal of its batch was refused")
                raise
            proposed.add(candidate_id)

    def _wait(self, client: CampaignClient, since: str) -> None:
        seen_s = time.monotonic()
        while len(self._results) < len(self.proposals):
            try:
                subscription = client.subscribe([Result], since)
                for entry in subscription:
                    since, seen_s = entry.id, time.monotonic()
                    self._note(entry.message)
                    if len(self._results) == len(self.proposals):
                        return
                ended = subscription.ended
                state = "gone" if ended is None else ended.state
                raise CampaignEnded(f"the campaign is {state}, without results of {self._missing()}")
            except NotRunning:
                if time.monotonic() - seen_s > PATIENCE_S:
                    raise

    def _note(self, result: Result) -> None:
        candidate_id = result.candidate.candidate_id
        if candidate_id in self.proposals:
            with self._lock:
                self._results[candidate_id] = result
                self._fresh.append(result)

    def _missing(self) -> str:
        return ", ".join(name for name in self.proposals if name not in self._results)

    def _cancel(self, client: CampaignClient, candidate_ids: set[str], reason: str) -> None:
        for candidate_id in sorted(candidate_ids):
            with contextlib.suppress(RequestRefused):
                client.cancel(candidate_id, reason)


class CampaignEnded(RuntimeError):
    """The campaign ended before all results were there."""
