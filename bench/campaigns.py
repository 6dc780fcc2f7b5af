"""Campaigns for measuring: one in a temporary folder, and its services while a block runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from moireloop import Campaign
from moireloop.client.client import connect
from moireloop.session.conductor import Conductor
from moireloop.session.lock import locked
from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.folder import CampaignFolder
from tests.helpers.campaign_files import Section, small_campaign


@contextmanager
def campaign_of(
    growth: Section,
    *,
    workers: int,
    results: int,
    optimizer: Section | None = None,
    pool: Section | None = None,
    **sections: Section,
) -> Iterator[Campaign]:
    """A campaign in a temporary folder, a core for each worker; `auto` proposes unless the optimizer says otherwise.

    `pool` is what [workers] has beside their number.
    """
    with tempfile.TemporaryDirectory(prefix="moireloop-bench-") as root:
        own = {"growth": growth, "workers": {"count": workers, "oversubscribe": True, **(pool or {})}}
        tables = {**own, "optimizer": optimizer or {"strategy": "auto"}, **sections}
        campaign = small_campaign("bench", tables, results=results, folder=Path(root) / "bench.campaign")
        CampaignFolder(campaign.folder).create()
        yield campaign


BROKER_ALONE: Final = ("optimizer", "pool", "analyzer-0")
"""The services that a session without workers does not start."""


@contextmanager
def session(
    campaign: Campaign, *, resumed: bool = False, without: Collection[str] = ()
) -> Iterator[tuple[Conductor, Connection]]:
    """The services of a campaign, without some of them, while the block runs; its workers have begun."""
    with locked(CampaignFolder(campaign.folder)):
        conductor = Conductor(campaign, CampaignFolder(campaign.folder), resumed=resumed, without=without)
        try:
            conductor.start()
            wait_until(lambda: conductor.step() is not None and conductor.has_begun, "the workers begin")
            yield conductor, read_connection(CampaignFolder(campaign.folder).connection_file)
        finally:
            conductor.close()


def wait_until(holds: Callable[[], bool], description: str, patience_s: float = 300.0, every_s: float = 0.02) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come about; the text is the description.
    """
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_s:g} s for: {description}")
        time.sleep(every_s)


def median_status_s(folder: Path, asked: int) -> float:
    """The median time in seconds of a status of a running campaign, asked for so often after a first one."""
    times = []
    with connect(folder, timeout_s=120) as client:
        client.status()
        for _ in range(asked):
            begun_s = time.perf_counter()
            client.status()
            times.append(time.perf_counter() - begun_s)
            time.sleep(0.05)
    return median(times)
