"""What the gateway knows of a campaign that it follows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from moireloop_broker.contract.events import RunLeased
from moireloop_broker.folder import CampaignFolder
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.sources.place import Place


def test_the_present_time_is_the_campaigns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first live event on, whatever the clock of this machine shows and however it is set."""

    async def timings() -> tuple[float, float, float]:
        followed = Followed(Place("none", CampaignFolder(tmp_path)))
        try:
            leased = RunLeased(candidate_id="c1", attempt=1, worker="w0", leased_s=1.0)
            monkeypatch.setattr("time.time", lambda: 5000.0)
            before_s = followed.now_s
            followed._note("2000000-0", leased, live=True)
            first_s = followed.now_s
            monkeypatch.setattr("time.time", lambda: 9_000_000.0)
            return before_s, first_s, followed.now_s
        finally:
            followed.close()

    before_s, first_s, later_s = asyncio.run(timings())
    assert before_s == 5000.0
    assert 2000.0 <= first_s <= later_s < 2600.0
