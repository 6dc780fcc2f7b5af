"""The campaign as its conductor knows it after reading the log."""

from __future__ import annotations

from bench.campaigns import BROKER_ALONE, campaign_of, session, wait_until


def test_workers_stay_counted() -> None:
    """`count = "all"` was counted at the start: what requests change comes on top of that, not of the file."""
    with (
        campaign_of({"model": "noop"}, workers=1, results=3, pool={"count": "all"}) as campaign,
        session(campaign, without=BROKER_ALONE) as (conductor, _),
    ):
        counted = conductor.campaign.workers.count
        assert isinstance(counted, int)
        wait_until(lambda: conductor.step() is not None, "the log is read")
        assert conductor.campaign.workers.count == counted
