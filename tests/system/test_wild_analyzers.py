"""An analyzer gone wild in a real campaign: the campaign comes to its end, and nothing is left of the analyzer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.helpers.installed import install
from tests.system.running import RunningCampaign

MODULE = """
import os
import signal
import time
from pathlib import Path

from moireloop_analyzer import Analysis


def wild(snapshot):
    if snapshot.step == 0:
        return Analysis()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path(os.environ["LEFT"], f"pid-{os.getpid()}").touch()
            time.sleep(600)
        os._exit(0)
    os.wait()
    for _ in range(100):
        os.write(2, b"x" * 65536)
    os.kill(os.getpid(), signal.SIGSTOP)
"""

pytestmark = pytest.mark.timeout(240)


def test_campaign_goes_on_and_nothing_is_left(
    campaign: Callable[..., RunningCampaign], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame brings a daemon, 6 MB of output and a process that stops itself; after three it is given up."""
    folder = install(tmp_path / "packages", "wilds", MODULE, {"wild": "wilds:wild"})
    left = tmp_path / "left"
    left.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("LEFT", str(left))
    running = campaign(results=4)
    text = running.file.read_text()
    running.file.write_text(f'{text}\n[analyzers]\nanalyses = ["wild"]\nanalysis_s = 1.0\n')
    running.start()
    code, output = running.end()
    assert code == 0, output
    running.assert_exactly_one_result_each(4)
    reasons = {result.analyses["wild"].reason for result in running.results_of_log()}
    reason = "analyzer 'wild' did not finish within 1 s"
    assert reasons == {reason, f"given up: {reason}, 3 times in a row"}
    pids = [int(path.name.removeprefix("pid-")) for path in left.iterdir()]
    assert len(pids) == 3
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    log = (running.folder / "logs" / "analyzer-0.log").read_bytes()
    assert len(log) < 2_000_000
    assert log.count(b"output cut name=analyzers wild bytes=") == 3
