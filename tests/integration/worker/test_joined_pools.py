"""Pools that join a running campaign: `moireloop join` as processes, with workers under them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop.cli import main
from moireloop_broker.connection import free_port, new_password, write_connection
from moireloop_broker.contract.steering import ScaleRequest
from moireloop_broker.membership.pools import PoolMembership
from moireloop_broker.processes.exits import EXIT_GO_ON, EXIT_NOT_ITS_FAULT
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.service.steering import InvalidRequest, Steering
from moireloop_broker.state.settings_store import write_settings
from moireloop_worker.pool.notices import NOTICES
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import LONG_BEAD, SMALL_BEAD, Campaign, alive, family, new_campaign

Make = Callable[..., Campaign]

Join = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def join(tmp_path: Path) -> Iterator[Join]:
    """Start `moireloop join TARGET --name NAME ...`; what it says goes into NAME.txt."""
    started: list[subprocess.Popen[str]] = []

    def start(target: Path, name: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "moireloop", "join", str(target), "--name", name, *options]
        with (tmp_path / f"{name}.txt").open("a") as output:
            started.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield start
    for pool in started:
        if pool.poll() is None:
            pool.kill()
        pool.wait()


def begun(campaign: Campaign) -> Campaign:
    """The same campaign, in which workers may begin."""
    campaign.state.service_changed("pool", "stopped", "only pools that join have workers")
    return campaign


def steer(campaign: Campaign, request: ScaleRequest) -> None:
    """Ask the broker's part that carries requests out."""
    client = campaign.connection.open_redis()
    Steering(client, campaign.connection.keys, campaign.state).carry_out(request)
    client.close()


def test_pool_grows_and_shrinks_live(make_campaign: Make, join: Join) -> None:
    """A new worker takes work; one too many gives its run back, uncharged, with a restart file to go on from."""
    campaign = begun(make_campaign(LONG_BEAD, count=0, lease_s=60.0))
    campaign.propose("c0")
    campaign.propose("c1")
    pool = join(campaign.file, "a", "--workers", "1")
    campaign.wait_for("run_leased/1", 1)
    steer(campaign, ScaleRequest(pool="a", workers=2, requester="ada"))
    leased = campaign.wait_for("run_leased/1", 2)
    assert {event.worker for event in leased} == {"a-worker-0", "a-worker-1"}
    wait_until(lambda: all(worker.step for worker in campaign.state.status().workers), "both runs are under way")
    steer(campaign, ScaleRequest(pool="a", workers=1, requester="ada"))
    (failed,) = campaign.wait_for("run_failed/1", 1)
    assert (failed.worker, failed.charged) == ("a-worker-1", False)
    assert re.fullmatch(r"a-worker-1 ended at step [1-9]\d* and gave the candidate back", failed.reason)
    assert list((campaign.folder / "runs" / failed.candidate_id).rglob("restart*"))
    wait_until(lambda: [w.worker for w in campaign.state.status().workers] == ["a-worker-0"], "it is forgotten")
    assert [(one.pool, one.workers) for one in campaign.state.status().pools] == [("a", 1)]
    asked = campaign.events("requested/1")
    assert [(event.requester, event.request.workers) for event in asked] == [("ada", 2), ("ada", 1)]
    assert pool.poll() is None


@pytest.mark.parametrize(
    ("request_", "error"),
    [(ScaleRequest(pool="b", workers=1), "UnknownPool"), (ScaleRequest(pool="a", workers=4000), "NoRoom")],
)
def test_what_a_pool_cannot_be_scaled_to_is_refused(make_campaign: Make, request_: ScaleRequest, error: str) -> None:
    """Nothing is changed, and nothing stands in the log."""
    campaign = make_campaign(SMALL_BEAD)
    client, keys = campaign.connection.open_redis(), campaign.connection.keys
    PoolMembership(client, keys, "a", workers=1, room=2).claim()
    with pytest.raises(InvalidRequest) as refusal:
        steer(campaign, request_)
    assert refusal.value.error == error
    assert campaign.events("requested/1") == []
    client.close()


def test_worker_whose_pool_is_gone_ends_itself(make_campaign: Make) -> None:
    """As under a scheduler, where it outlives the pool: it gives its run back, uncharged, and frees its cores."""
    campaign = begun(make_campaign(LONG_BEAD, lease_s=0.5))
    client, keys = campaign.connection.open_redis(), campaign.connection.keys
    PoolMembership(client, keys, "far", host="n17").claim()
    client.close()
    campaign.propose("c0")
    worker = subprocess.Popen([*campaign.worker_command, "--name", "far-worker-0"])
    try:
        campaign.wait_for("run_leased/1", 1)
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.wait()
    (failed,) = campaign.events("run_failed/1")
    assert not failed.charged


def test_worker_ends_itself_when_redis_is_away_for_long(tmp_path: Path) -> None:
    """As on a node that was cut off: its run leaves a restart file, and no line of its log is a traceback.

    A worker that starts while Redis is away ends with one line, too.
    """
    server = RedisServer(tmp_path / "redis", "127.0.0.1", free_port("127.0.0.1"), new_password())
    server.start()
    campaign = begun(new_campaign(server, tmp_path / "c"))
    client, keys = campaign.connection.open_redis(), campaign.connection.keys
    sections = {"growth": LONG_BEAD, "workers": {"count": 0, "lease_s": 0.5}, "frames": {"every_steps": 100}}
    write_settings(client, keys, {**sections, "lammps": {}, "early_end": {}})
    client.close()
    campaign.propose("c0")
    worker = subprocess.Popen([*campaign.worker_command, "--name", "far-worker-0"], stderr=subprocess.PIPE)
    try:
        wait_until(lambda: any(one.step for one in campaign.state.status().workers), "the run has made a step")
        server.stop()
        said = worker.communicate(timeout=90)[1].decode()
    finally:
        server.stop()
        worker.kill()
        worker.communicate()
    assert worker.returncode == EXIT_NOT_ITS_FAULT, said
    assert "no pool looks after this worker any more, ending it reason=Redis has not responded for" in said
    assert "Traceback" not in said
    assert list((campaign.folder / "runs" / "c0").rglob("restart*.json"))
    late = subprocess.Popen([*campaign.worker_command, "--name", "far-worker-1"], stderr=subprocess.PIPE)
    time.sleep(1.0)
    late.terminate()
    said = late.communicate(timeout=60)[1].decode()
    assert late.returncode != 0
    assert "Traceback" not in said


@pytest.fixture
def handlers() -> Iterator[None]:
    """The signal handlers of this process as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, *NOTICES)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("what", ["no file", "not a connection file", "no server", "other keys"])
def test_wrong_connection_file_gets_one_line(
    make_campaign: Make, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the file or the server, and nothing is started."""
    connection, file = make_campaign(SMALL_BEAD).connection, tmp_path / "other.json"
    if what == "not a connection file":
        file.write_text("{}")
        file.chmod(0o600)
    elif what != "no file":
        keys = re.sub(r":[^:@]+@", ":wrong@", connection.redis_url)
        wrong = {"no server": "redis://127.0.0.1:1/0", "other keys": keys}[what]
        write_connection(connection.model_copy(update={"redis_url": wrong}), file)
    assert main(["join", str(file), "--name", "x"]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("moireloop: ")
    says = {
        "no file": f"expected a connection file at {file}: No such file",
        "not a connection file": f"{file} is not a connection file: campaign Field required",
        "no server": f"the Redis server at 127.0.0.1:1, which {file} names, does not respond",
        "other keys": f"refuses the keys of {file}",
    }
    assert says[what] in line


def test_pool_leaves_before_the_time_that_it_was_given(make_campaign: Make, join: Join, tmp_path: Path) -> None:
    """With exit code 75, twice as long before that time as workers of this campaign took to give back."""
    campaign = begun(make_campaign(SMALL_BEAD, count=0))
    campaign.queue.watch.note_hand_back(29.0)
    pool = join(campaign.file, "a", "--workers", "1", "--until", "01:00")
    assert pool.wait(90) == EXIT_GO_ON
    said = (tmp_path / "a.txt").read_text()
    assert re.search(r"the allocation ends in \d+ s \(reserve 58 s\)", said), said
    assert campaign.state.status().pools == []
    assert campaign.state.status().workers == []


def test_two_pools_feed_one_campaign_and_leave_with_it(make_campaign: Make, join: Join, tmp_path: Path) -> None:
    """Each candidate runs once; a second pool of one name is refused; when the campaign is completed, both leave."""
    campaign = begun(make_campaign(SMALL_BEAD, count=0, oversubscribe=True))
    first = join(campaign.file, "a", "--workers", "1")
    second = join(campaign.folder, "b", "--workers", "1")
    wait_until(lambda: len(campaign.state.status().pools) == 2, "both pools have joined")
    again = join(campaign.file, "a", "--workers", "1")
    for number in range(6):
        campaign.propose(f"c{number}")
    finished = campaign.wait_for("run_finished/1", 6)
    assert again.wait(20) == 2
    assert "expected a name that no live pool uses, got 'a'" in (tmp_path / "a.txt").read_text()
    assert {event.report.worker for event in finished} <= {"a-worker-0", "b-worker-0"}
    assert set(Counter(event.candidate_id for event in campaign.events("run_leased/1")).values()) == {1}
    pids = family(first.pid) | family(second.pid)
    campaign.state.change("completed")
    assert (first.wait(20), second.wait(20)) == (0, 0)
    assert not alive(pids)
    assert campaign.state.status().pools == []
    assert campaign.state.status().workers == []
