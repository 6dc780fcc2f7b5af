"""No-op tasks a second of executorlib, Parsl and dask beside ours and bare hops, by turns with two workers each.

The peers live in their own environment, build/peers, which `python -m bench peers` fills from
bench/peer_environment at its first run. They keep nothing on disk and analyse nothing; ours does both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench.campaigns import campaign_of, session, wait_until
from bench.queue import NOTHING_TO_DO, candidate_of, candidates_per_s, raw_hops_per_s
from bench.table import Row
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.work_queue.proposals import Proposer

ROOT: Final = Path(__file__).parents[1]

ENVIRONMENT: Final = ROOT / "build" / "peers"

NEEDED: Final = ROOT / "bench" / "peer_environment" / "requirements.txt"

PROGRAM: Final = ROOT / "bench" / "peer_environment" / "noops.py"

INSTALL_S: Final = 900.0

LONGEST_S: Final = 300.0

AHEAD_OF: Final = ("parsl", "dask")

CLOSE_TO: Final = 0.8


class PeersMissing(RuntimeError):
    """The peers' environment is not there and could not be made; the text says why."""


def python_of_peers(*, make: bool = True) -> Path:
    """The interpreter of the peers' environment, which is made first where it is not there.

    Raises:
        PeersMissing: it is not there, and may or can not be made.
    """
    python = ENVIRONMENT / "bin" / "python"
    if (ENVIRONMENT / "ready").exists() and python.exists():
        return python
    if not make:
        raise PeersMissing(f"no environment of the peers in {ENVIRONMENT}: `python -m bench peers` makes it")
    steps = (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [str(python), "-m", "pip", "install", "-q", "-r", str(NEEDED)],
    )
    for step in steps:
        ended = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if ended.returncode:
            raise PeersMissing(f"the peers' environment could not be made: {ended.stderr.strip()[-300:]}")
    (ENVIRONMENT / "ready").touch()
    return python


def peer_rate(python: Path, name: str, tasks: int) -> float:
    """No-op tasks a second of one peer, in its own process and a folder that is removed afterwards."""
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"  # Parsl starts its own programs
    with tempfile.TemporaryDirectory(prefix="moireloop-peer-") as folder:
        ended = subprocess.run(
            [python, PROGRAM, name, str(tasks)],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    if ended.returncode:
        raise PeersMissing(f"{name} failed: {ended.stderr.strip()[-300:]}")
    return float(json.loads(ended.stdout.splitlines()[-1])["per_s"])


def rows(
    tasks: int = 2000, rounds: int = 3, names: Sequence[str] = ("executorlib", "parsl", "dask"), *, make: bool = True
) -> list[Row]:
    """Median rates over rounds; in each round every peer runs the same number of tasks.

    Raises:
        PeersMissing: the peers' environment is not there, and may (`make`) or can not be made.
    """
    python = python_of_peers(make=make)
    rates: dict[str, list[float]] = {name: [] for name in (*names, "hop", "ours")}
    with (
        campaign_of(NOTHING_TO_DO, workers=2, results=1_000_000) as campaign,
        session(campaign, without=("optimizer",)) as (_, connection),
    ):
        client = connection.open_redis()
        state = CampaignState(client, connection.keys, connection.campaign)
        proposer = Proposer(client, connection.keys)
        proposer.propose(candidate_of("first"))
        wait_until(lambda: state.counts()["refused"] == 1, "the first result")
        for number in range(rounds):
            rates["hop"].append(raw_hops_per_s(client, tasks))
            rates["ours"].append(candidates_per_s(state, proposer, f"r{number}", tasks))
            for name in names:
                rates[name].append(peer_rate(python, name, tasks))
        client.close()
    return _table({name: median(some) for name, some in rates.items()}, names)


def _table(rate: dict[str, float], names: Sequence[str]) -> list[Row]:
    note = ", ".join(f"{name} {rate[name]:,.0f}/s" for name in (*names, "hop"))
    found = [Row("no-op candidates, two workers", rate["ours"], "1/s", 500, "at least", note)]
    for name in names:
        goal = 1.0 if name in AHEAD_OF else CLOSE_TO
        found.append(
            Row(f"the same over {name}", rate["ours"] / rate[name], "", goal, "at least", "in memory, unanalysed")
        )
    found.append(Row("the same over bare hops", rate["ours"] / rate["hop"], "", 0.6, "at least", "one client"))
    return found
