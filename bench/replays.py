"""What a status costs while many clients replay a long log: at most twice the undisturbed, as issue 16 wants it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.campaigns import campaign_of, session, wait_until
from bench.gateway import GROWTH, append_results
from bench.table import Row
from moireloop.client.client import connect

REPLAYER = """
import sys
from moireloop.client.client import connect
with connect(sys.argv[1], timeout_s=300) as client:
    print("begins", flush=True)
    while True:
        count = len(client.results())
        print(count, flush=True)
"""


@contextmanager
def _replayers(folder: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Programs that replay everything again and again, each in a process of its own."""
    command = [sys.executable, "-c", REPLAYER, str(folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        yield running
    finally:
        for process in running:
            with process:
                process.kill()


def _status_s(folder: Path, asked: int) -> float:
    """The median time of a status, in seconds."""
    times = []
    with connect(folder, timeout_s=60) as client:
        client.status()
        for _ in range(asked):
            begun_s = time.perf_counter()
            client.status()
            times.append(time.perf_counter() - begun_s)
            time.sleep(0.05)
    return median(times)


def rows(results: int = 30_000, clients: int = 10, asked: int = 100) -> list[Row]:
    """Status with and without so many clients that replay; and what those cost by using the machine alone."""
    with (
        campaign_of(GROWTH, workers=1, results=1_000_000) as campaign,
        session(campaign, without=("optimizer",)) as (_, connection),
    ):
        folder = Path(campaign.folder)
        append_results(connection, 0, results)
        with connect(folder, timeout_s=60) as client:
            wait_until(lambda: client.status().last_id != "0-0", "the log is there", every_s=0.05)
        quiet_s = _status_s(folder, asked)
        with _replayers(folder, clients):
            replaying_s = _status_s(folder, asked)
    said = f"{1000 * quiet_s:.1f} ms undisturbed"
    name = f"control: status while {clients} clients replay {results} results"
    return [Row(name, replaying_s / quiet_s, "times", 2.0, "at most", said)]
