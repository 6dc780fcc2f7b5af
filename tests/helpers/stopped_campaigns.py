"""Campaigns that ran and were stopped, made through the real Redis server of their folder, without a conductor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import keep_copy, read_campaign
from moireloop.session.opening import close_session, open_session
from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.contract.events import Candidate
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import read_identity, write_identity
from moireloop_broker.service.redis_server import RedisServer, start_redis
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from tests.helpers.whole_queue import WholeQueue

TEXT = """
name = "tiny"
[[targets]]
twist_deg = 8.2
[space]
temperature_k = [1500.0, 4500.0]
lattice_strain = [0.0, 0.05]
shear_strain = [0.06, 0.30]
[budget]
results = 20
[growth]
model = "noop"
[workers]
count = 1
"""

PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.1}


def campaign_file(folder: Path, more: str = "") -> Path:
    """A campaign file `tiny.toml` in a folder that is made for it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tiny.toml"
    file.write_text(TEXT + more)
    return file


def opened(file: Path) -> tuple[Campaign, CampaignFolder, Connection]:
    """A campaign whose session was opened, as the conductor does it."""
    read = read_campaign(file)
    campaign = read.campaign
    folder = CampaignFolder(campaign.folder)
    folder.create()
    keep_copy(read, folder)
    connection = open_session(campaign, folder)
    identity = read_identity(folder.root)
    assert identity is not None
    write_identity(folder.root, identity.model_copy(update={"has_begun": True}))
    return campaign, folder, connection


@contextlib.contextmanager
def running_server(
    file: Path, results: int = 2, reason: str = "of no use"
) -> Iterator[tuple[CampaignFolder, RedisServer]]:
    """The private Redis server of a campaign that continues, with this many results, and its folder."""
    _, folder, _ = opened(file)
    connection = read_connection(folder.connection_file)
    server = start_redis(connection)
    assert server is not None
    try:
        with contextlib.closing(connection.open_redis()) as client:
            state = CampaignState(client, connection.keys, connection.campaign)
            queue = WholeQueue(client, connection.keys, limits=AttemptLimits(max_attempts=1))
            queue.create()
            state.change("started")
            for number in range(results):
                queue.propose(Candidate(candidate_id=f"c{number}", parameters=PARAMETERS, seed=1, proposed_s=1.0))
                lease = queue.take("worker", 1.0)
                assert lease is not None
                queue.fail(lease, reason)
        yield folder, server
    finally:
        server.stop()
        close_session(connection)


def stopped(file: Path, results: int = 2, reason: str = "of no use") -> CampaignFolder:
    """The folder of a campaign that ran and does not run any more."""
    with running_server(file, results, reason) as (folder, _):
        return folder


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file below a folder, its size and when it was changed."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
