"""Campaigns for measuring: a campaign file in a temporary folder, and its services while a block runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_campaign
from moireloop.session.conductor import Conductor
from moireloop.session.lock import locked
from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.folder import CampaignFolder

TEMPLATE = """
name = "bench"
[[targets]]
twist_deg = 8.2
[space]
temperature_k = [1500.0, 4500.0]
lattice_strain = [0.0, 0.05]
shear_strain = [0.06, 0.30]
[budget]
results = {results}
[growth]
{growth}
[workers]
count = {workers}
oversubscribe = true
[optimizer]
strategy = "{strategy}"
{more}
"""


@contextmanager
def campaign_of(
    growth: str, *, workers: int, results: int, strategy: str = "auto", more: str = ""
) -> Iterator[Campaign]:
    """A campaign in a temporary folder; `more` goes on in the section [optimizer] of its file."""
    with tempfile.TemporaryDirectory(prefix="moireloop-bench-") as root:
        file = Path(root) / "bench.toml"
        file.write_text(
            TEMPLATE.format(growth=growth, workers=workers, results=results, strategy=strategy, more=more),
            encoding="utf-8",
        )
        campaign = load_campaign(file, "run")
        CampaignFolder(campaign.folder).create()
        yield campaign


@contextmanager
def session(
    campaign: Campaign, *, resumed: bool = False, without: Collection[str] = ()
) -> Iterator[tuple[Conductor, Connection]]:
    """The services of a campaign, without some of them, while the block runs."""
    with locked(CampaignFolder(campaign.folder)):
        conductor = Conductor(campaign, CampaignFolder(campaign.folder), resumed=resumed, without=without)
        try:
            conductor.start()
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
