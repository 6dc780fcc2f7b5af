"""The end of a campaign, for those who follow it from outside: blocking, with asyncio, slow, and late."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop import connect, connect_async
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.contract.events import CandidateQueued, Requested, Result
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

RESULTS = 60


@pytest.fixture
def noop(tmp_path: Path) -> Iterator[RunningCampaign]:
    """A campaign without MD that was started. A proposal needs no room in its budget, which is soon spoken for."""
    campaign = RunningCampaign(tmp_path, results=RESULTS)
    text = campaign.file.read_text().replace(f"results = {RESULTS}", f"results = {RESULTS}\noutside_counts = false")
    head, _, tail = text.partition("[growth]")
    tail = tail[tail.index("[workers]") :]
    campaign.file.write_text(f'{head}[growth]\nmodel = "noop"\n\n{tail}')
    campaign.start(figures=True)
    yield campaign
    campaign.close()


def answering(campaign: RunningCampaign) -> bool:
    try:
        with connect(campaign.folder, timeout_s=5) as client:
            return client.status().state == "started"
    except (NoConnectionFile, RuntimeError):
        return False


async def followed(folder: Path) -> tuple[list[str], str | None, str]:
    """All results of a campaign, how it ended, and what a request gets after that."""
    async with connect_async(folder, timeout_s=30) as client:
        await client.note("followed from a loop")
        subscription = client.subscribe(since="0-0")
        names = [entry.message.candidate.candidate_id async for entry in subscription]
        ended = subscription.ended.state if subscription.ended else None
        return names, ended, (await client.status()).state


def test_slow_and_quick_subscribers_get_everything_and_end_by_themselves(noop: RunningCampaign) -> None:
    """One of two topics that reads slowly, one with asyncio, and a request after the end while figures are drawn."""
    wait_until(lambda: answering(noop), "the campaign answers", 200)
    quick: list[tuple[list[str], str | None, str]] = []
    thread = threading.Thread(target=lambda: quick.append(asyncio.run(followed(noop.folder))))
    thread.start()
    with connect(noop.folder, timeout_s=30, name="slow reader") as client:
        client.note("I read slowly")
        slow = client.subscribe([Result, CandidateQueued], since="0-0")
        seen: list[tuple[str, str]] = []
        for entry in slow:
            assert isinstance(entry.message, Result | CandidateQueued)
            candidate = entry.message.candidate
            seen.append((entry.message.tag, candidate.candidate_id))
            if len(seen) == 10:
                mine = candidate.parameters
                client.propose("mine", mine, seed=3)
                assert client.wait("mine", 60).candidate.parameters == mine
                client.pause()
                client.resume()
                client.retarget([5.5, (8.2, 0.1)])
            time.sleep(0.004)
        assert slow.ended is not None
        assert (slow.ended.state, slow.ended.reason) == ("completed", f"all {RESULTS} results are there")
    thread.join(60)
    code, output = noop.end()
    assert code == 0, output
    results = [result.candidate.candidate_id for result in noop.results_of_log()]
    assert len(results) == len(set(results))
    assert [name for tag, name in seen if tag == "result/3"] == results
    assert len(seen) == len(set(seen)) == 2 * len(results)
    assert quick == [(results, "completed", "completed")]
    asked = [event for event in noop.events() if isinstance(event, Requested)]
    assert {event.requester for event in asked} >= {"slow reader"}
    assert [event.request.tag for event in asked if event.requester == "slow reader"] == [
        "note_request/1", "propose_request/2", "pause_request/1", "resume_request/1", "retarget_request/1",
    ]  # fmt: skip
