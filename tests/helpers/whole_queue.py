"""All roles of the work queue in one, for tests that propose candidates, run them and watch over their leases."""

from __future__ import annotations

import redis

from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.lease_watch import LeaseWatch
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from moireloop_broker.state.work_queue.leases import Leases
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_broker.state.work_queue.queues import create_queues


class WholeQueue:
    """A proposer, a worker and a watcher of one campaign, each by its methods."""

    def __init__(
        self, client: redis.Redis, keys: Keys, *, lease_s: float = 30.0, limits: AttemptLimits | None = None
    ) -> None:
        self.client, self.keys = client, keys
        self.proposer = Proposer(client, keys)
        self.leases = Leases(client, keys, lease_s=lease_s, limits=limits)
        self.watch = LeaseWatch(client, keys, lease_s=lease_s, limits=limits)
        self.campaign = CampaignState(client, keys, "test")
        self.propose, self.cancel = self.proposer.propose, self.proposer.cancel
        self.take, self.renew = self.leases.take, self.leases.renew
        self.finish, self.fail = self.leases.finish, self.leases.fail
        self.give_back = self.leases.give_back
        self.report_worker, self.worker_status = self.leases.report_worker, self.watch.worker_status
        self.release_worker, self.release_all = self.watch.release_worker, self.watch.release_all
        self.expire_leases = self.watch.expire_leases
        self.counts, self.draining = self.campaign.counts, self.campaign.draining

    def create(self) -> None:
        """Create the streams and their groups."""
        create_queues(self.client, self.keys)
