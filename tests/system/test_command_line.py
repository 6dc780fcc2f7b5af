"""The command line as a person meets it: real processes, before, during and after a campaign."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from moireloop import connect
from moireloop.campaign_file.load import load_campaign
from moireloop_broker.connection import free_port
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import open_reader
from moireloop_worker.models import crystal_of
from tests.helpers.patterns import made
from tests.helpers.waiting import wait_until
from tests.helpers.wrong_campaign_files import WRONG_FILES, WrongFile
from tests.system.running import RunningCampaign

Make = Callable[..., RunningCampaign]

pytestmark = pytest.mark.timeout(240)

WRONG = [
    wrong
    for wrong in WRONG_FILES
    if wrong.name
    in ("negative workers", "unknown strategy", "unwritable folder", "started already", "nothing to resume")
]


def moireloop(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "moireloop", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_wrong_file_ends_the_process_with_2(wrong: WrongFile, tmp_path: Path) -> None:
    """One line on stderr, nothing on stdout, nothing left."""
    assert len(WRONG) == 5
    path = tmp_path / "search.toml"
    wrong.put(path)
    before = sorted(tmp_path.rglob("*"))
    ended = moireloop(wrong.purpose, path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"moireloop: {path}: ")
    assert ended.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_looking_at_a_campaign_while_it_runs_and_after(campaign: Make) -> None:
    """Every command that looks works on a running and on a stopped campaign; `run` beside it is refused."""
    running = campaign(results=400, steps=(10_000, 10_000))
    running.start()
    running.wait_for_results(3)
    assert "/400 done" in moireloop("status", running.file).stdout
    second = moireloop("run", "--fresh", running.file)
    assert second.returncode == 2
    assert "is being run by process" in second.stderr
    ended = moireloop("results", running.file)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "paused" in moireloop("pause", running.file).stdout  # the commands that follow have the cores to themselves
    assert_a_pattern_becomes_the_target(running)
    watching = subprocess.Popen(
        [sys.executable, "-m", "moireloop", "watch", str(running.file)], stdout=subprocess.PIPE, text=True
    )
    assert "draining" in moireloop("stop", running.file).stdout
    code, output = running.end()
    assert code == 0, output
    assert f"figures  not drawn; `moireloop figures {running.folder}` draws them" in output
    assert not list((running.folder / "figures").iterdir())
    assert watching.communicate(timeout=30)[0].endswith("the campaign is not running\n")
    assert watching.returncode == 0
    for command, says in (("status", "state stopped"), ("figures", "regret.png")):
        ended = moireloop(command, running.file)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert says in ended.stdout
    assert_closed_pipe_is_no_trouble(running)


def assert_a_pattern_becomes_the_target(running: RunningCampaign) -> None:
    """Submitted by the campaign's file, while its workers run, and searched for from then on."""
    crystal = crystal_of(load_campaign(running.file).growth)
    assert crystal is not None
    constants = (crystal.lattice_angstrom, crystal.lattice_angstrom)
    peaks = made(np.random.default_rng(1), twist_deg=8.3, constants=constants).peaks.q
    table = running.file.with_name("peaks.csv")
    rows = ["q_x_per_angstrom,q_y_per_angstrom,intensity", *(f"{x},{y},1" for x, y in peaks)]
    table.write_text("\n".join(rows), encoding="utf-8")
    submitted = moireloop("submit-pattern", running.file, table, "--name", "shot")
    assert (submitted.returncode, submitted.stderr) == (0, "")
    assert "shot is in the log: twist 8.3" in submitted.stdout
    assert "8.3" in moireloop("retarget", running.file, "--pattern", "newest").stdout
    with connect(running.folder, timeout_s=30) as client:
        assert [round(target.twist_deg, 1) for target in client.targets] == [8.3]


def assert_closed_pipe_is_no_trouble(running: RunningCampaign) -> None:
    """`moireloop results FILE | true`: its reader is gone before the first line; the files are written anyway."""
    (running.folder / "results.csv").unlink()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "moireloop", "results", str(running.file)],
            stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ended.stderr == ""
    assert ended.returncode == 1
    assert (running.folder / "results.csv").exists()


def test_fresh_run_starts_over(campaign: Make) -> None:
    """`run --fresh` removes what was there and runs; a file of the user's in the folder stays."""
    running = campaign(results=4)
    running.start()
    assert running.end()[0] == 0
    first = {result.candidate.proposed_s for result in running.results_of_log()}
    (running.folder / "notes.txt").write_text("dear")
    running.start("run", "--fresh")
    code, output = running.end()
    assert code == 0, output
    second = {result.candidate.proposed_s for result in running.results_of_log()}
    assert len(second) == 4
    assert first.isdisjoint(second)
    assert (running.folder / "notes.txt").read_text() == "dear"


def test_fresh_run_after_everything_was_killed(campaign: Make) -> None:
    """What a killed campaign left, sockets too, is no obstacle."""
    running = campaign(results=4, steps=(40_000, 40_000))
    running.start()
    wait_until(lambda: running.find("moireloop_worker.pool.service") is not None, "the pool")
    with connect(running.folder / "connection.json") as client:
        assert client.status().campaign == "short"
    sockets = running.socket_folder()
    running.kill_everything()
    running.write(results=4)
    running.start("run", "--fresh")
    code, output = running.end()
    assert code == 0, output
    assert len(running.results_of_log()) == 4
    assert not sockets.exists()


def test_shared_redis_is_kept_in_order(campaign: Make, tmp_path: Path) -> None:
    """On a server that others use too, a name is taken once, and --fresh removes the keys of this campaign alone."""
    server = RedisServer(tmp_path / "server", "127.0.0.1", free_port("127.0.0.1"), "secret")
    server.start()
    try:
        client = open_reader(server.url)
        client.set("moireloop:shorter:state", "of somebody else")
        running = campaign(results=4)
        running.file.write_text(f'{running.file.read_text()}\n[redis]\nurl = "{server.url}"\n')
        running.start()
        assert running.end()[0] == 0
        first = client.xlen(Keys("short").log)
        taken = tmp_path / "other.toml"
        taken.write_text(running.file.read_text())
        ended = moireloop("run", taken)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "which a campaign on that server already has" in ended.stderr
        assert not (tmp_path / "other.campaign").exists()
        running.start("run", "--fresh")
        code, output = running.end()
        assert code == 0, output
        assert client.xlen(Keys("short").log) < 2 * first
        assert len(running.results_of_log()) == 4
        assert client.get("moireloop:shorter:state") == b"of somebody else"
        client.close()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "sign", ["campaign.toml", pytest.param("connection.json", marks=pytest.mark.long), "redis/redis.log"]
)
def test_interrupted_while_it_starts(sign: str, campaign: Make) -> None:
    """Ctrl-C before the services are ready ends everything in order; resume then completes the campaign."""
    running = campaign(results=4)
    running.start()
    wait_until(lambda: (running.folder / sign).exists(), sign)
    assert running.process is not None
    running.process.send_signal(signal.SIGINT)
    code, output = running.end(40)
    assert code in (0, 130), output
    assert "Traceback" not in output
    assert not (running.folder / "connection.json").exists() or not running.socket_folder().exists()
    running.start("resume")
    code, output = running.end()
    assert code == 0, output
    running.assert_exactly_one_result_each(4)
