"""A campaign on two hosts: reached by TLS or in clear where that is allowed, and moved from one host to the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop_broker.connection import read_connection
from moireloop_broker.processes.clock import boot_s
from tests.helpers.campaign_files import Section
from tests.helpers.servers import tls_server
from tests.helpers.two_hosts import TwoHosts, two_hosts, why_not
from tests.helpers.waiting import wait_until
from tests.system.two_hosts_campaign import LEASE_S, TwoHostsCampaign, patiently

pytestmark = pytest.mark.timeout(400)  # on a busy machine each session takes its time

Make = Callable[..., TwoHostsCampaign]

CLEAR: Section = {"plaintext": True}

SLOW_KBIT_PER_S = 300

BACK_S = 8.0
"""Within so long a worker is back: 3 s of TCP, 2 s for a try to connect; a busy machine has the rest."""


@pytest.fixture(scope="module")
def hosts() -> Iterator[TwoHosts]:
    """Two hosts for all tests of this file, joined when a test begins."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with two_hosts() as made:
        yield made


@pytest.fixture
def campaign(tmp_path: Path, hosts: TwoHosts) -> Iterator[Make]:
    """Make a campaign; what it has started ends with the test, and the hosts are joined again."""
    made: list[TwoHostsCampaign] = []

    def make(results: int, *, tls: bool = False, **sections: Section) -> TwoHostsCampaign:
        servers = None
        if tls:
            (tmp_path / "servers").mkdir()
            if (servers := tls_server(tmp_path / "servers")) is None:
                pytest.skip("no Redis server with TLS here: Debian's redis-tools has one")
        made.append(TwoHostsCampaign(tmp_path, servers, results, **sections))
        return made[-1]

    yield make
    hosts.plug_in()
    hosts.second.full_speed()
    for one in made:
        one.close()


def test_campaign_runs_on_two_hosts(campaign: Make, hosts: TwoHosts) -> None:
    """Services on one host, the worker on the other; then resumed the other way round, from the same folder.

    The private Redis speaks TLS, the ports come from the file, frames reach the analyzer by TCP, and an analyzer of
    the other host listens there, on its own address.
    """
    both = campaign(1000, tls=True, network={"host": "auto", "ports": "41000-41009"})
    both.start(hosts.first)
    both.analyse(hosts.second, "analyzer-9")
    patiently(lambda: f"tcp://{hosts.second.address}:410" in both.announced(hosts.second), "a second analyzer")
    both.join(hosts.second, "pool")
    both.wait_for_results(2)
    connection = read_connection(both.folder.root)
    assert connection.host == hosts.first.address
    assert connection.redis_url.startswith("rediss://")
    assert connection.events == f"tcp://{hosts.first.address}:41001"
    assert both.hosts_of_results() == {hosts.second.name}
    patiently(lambda: both.count("frames_received"), "frames by TCP")
    for name in ("analyzer-9", "pool", "conductor"):
        both.end(name)

    both.start(hosts.second, "resume")
    assert read_connection(both.folder.root).host == hosts.second.address
    both.join(hosts.first, "pool")
    patiently(lambda: hosts.first.name in both.hosts_of_results(), "a result from the other host")
    assert both.hosts_of_results() == {hosts.first.name, hosts.second.name}
    both.assert_one_result_each(None)


def test_server_without_tls_serves_other_hosts_where_it_may(campaign: Make, hosts: TwoHosts) -> None:
    """`redis.plaintext = true` opens it in clear, under the host's name; without that the campaign is refused.

    The link is slow: frames are late or lost, results are not, and do not wait for them.
    """
    name = hosts.first.name
    both = campaign(2, redis=CLEAR, network={"host": name}, frames={"every_steps": 5})
    both.start(hosts.first)
    hosts.second.slow_down(SLOW_KBIT_PER_S)
    both.join(hosts.second, "pool")
    both.wait_for_the_end()
    both.assert_one_result_each(2)
    assert sum(result["report"]["frames_sent"] for result in both.results()) > both.count("frames_received")
    assert f"@{name}:" in read_connection(both.folder.root).redis_url
    text = both.file.read_text(encoding="utf-8").replace("plaintext = true", "plaintext = false")
    other = both.file.with_name("other.toml")
    other.write_text(text, encoding="utf-8")
    refused = hosts.first.run(["env", "PATH=/nowhere", sys.executable, "-m", "moireloop", "validate", str(other)])
    assert refused.returncode == 2
    assert (
        f"redis.plaintext: network.host = '{name}' opens the campaign's Redis server to other hosts" in refused.stderr
    )
    assert "built without TLS" in refused.stderr


def test_partitions_and_a_host_that_vanishes(campaign: Make, hosts: TwoHosts) -> None:
    """MD goes on through a partition shorter than the lease; one that is longer, or a lost host, costs the attempt.

    The services are back within seconds of the network, frames were lost and counted, and each candidate comes to one
    result.
    """
    endless: Section = {"model": "bead", "cells": [8, 8], "melt_steps": 100, "anneal_steps": 90_000_000}
    both = campaign(20, redis=CLEAR, growth=endless)
    both.start(hosts.first)
    both.join(hosts.second, "far")
    far, near = "far-worker-0", "near-worker-0"
    patiently(lambda: both.step_of(far) > 0 and both.count("frames_received"), "the far worker runs and sends frames")
    [lease] = both.leases(far)

    hosts.unplug()
    cut_s, computed_s = boot_s(), both.computed_s(far)
    patiently(lambda: boot_s() - cut_s > LEASE_S - 1, "a partition shorter than the lease")
    assert both.computed_s(far) > computed_s + 0.05, "MD goes on"
    assert_back_soon(both, hosts, far)
    assert both.leases(far) == [lease]

    both.join(hosts.first, "near")
    patiently(lambda: both.leases(near), "the near worker runs")
    hosts.unplug()
    patiently(lambda: both.failures(), "the lease expires")
    assert [(f["candidate_id"], f["worker"]) for f in both.failures()] == [(lease["candidate_id"], far)]
    hosts.plug_in()
    patiently(lambda: len(both.leases(far)) == 2, "the far worker has let go, and takes a candidate")

    hosts.unplug()
    both.kill_session("far")
    ids = {event["candidate_id"] for event in (*both.leases(far), *both.leases(near))}
    for candidate_id in sorted(ids):
        both.cancel(hosts.first, candidate_id)
    patiently(lambda: ids <= both.settled(), "the candidates of both hosts have a result")
    both.assert_one_result_each(None)


def assert_back_soon(both: TwoHostsCampaign, hosts: TwoHosts, worker: str) -> None:
    """Mend the link: the worker is heard of again within seconds, and its frames arrive."""
    step, received = both.step_of(worker), both.count("frames_received")
    hosts.plug_in()
    mended_s = boot_s()
    patiently(lambda: both.step_of(worker) > step, "the worker is back")
    assert boot_s() - mended_s < BACK_S
    patiently(lambda: both.count("frames_received") > received, "frames arrive again")


@pytest.mark.long
def test_partition_of_a_minute_that_is_shorter_than_the_lease(campaign: Make, hosts: TwoHosts) -> None:
    """MD goes on for all of it. Frames were lost at the cut, and the oldest of those that waited: all are counted."""
    endless: Section = {"model": "bead", "cells": [8, 8], "melt_steps": 100, "anneal_steps": 90_000_000}
    workers: Section = {"count": 0, "lease_s": 120, "oversubscribe": True}
    both = campaign(20, redis=CLEAR, growth=endless, workers=workers, frames={"every_steps": 1})
    both.start(hosts.first)
    both.join(hosts.second, "far")
    far = "far-worker-0"
    patiently(lambda: both.step_of(far) > 0 and both.count("frames_received"), "the far worker runs and sends frames")
    [lease] = both.leases(far)
    hosts.unplug()
    cut_s, computed_s = boot_s(), both.computed_s(far)
    wait_until(lambda: boot_s() - cut_s > 60, "a partition of a minute", 90)
    assert both.computed_s(far) > computed_s + 1.0, "MD goes on"
    assert_back_soon(both, hosts, far)
    assert both.leases(far) == [lease]
    assert both.failures() == []
    both.cancel(hosts.first, lease["candidate_id"])
    patiently(lambda: lease["candidate_id"] in both.settled(), "the candidate has its result")
    both.end("far")
    patiently(lambda: both.count("frames_received") == _settled_count(both), "the analyzer has taken in what came")
    (report,) = [r["report"] for r in both.results() if r["candidate"]["candidate_id"] == lease["candidate_id"]]
    sent, dropped, received = report["frames_sent"], report["frames_dropped"], both.count("frames_received")
    counts = {"steps": report["steps"], "sent": sent, "dropped": dropped, "received": received}
    assert sent + dropped >= report["steps"], counts
    assert dropped > 0, counts
    assert both.count("frames_dropped") >= dropped, counts
    assert received < sent, counts
    both.assert_one_result_each(None)


def _settled_count(both: TwoHostsCampaign) -> int:
    """Frames that arrived, when no more did for three seconds."""
    count, since_s = both.count("frames_received"), boot_s()
    while boot_s() - since_s < 3.0:
        if both.count("frames_received") != count:
            count, since_s = both.count("frames_received"), boot_s()
        time.sleep(0.2)
    return count
