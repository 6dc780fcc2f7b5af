"""Frames of many simulated workers to several analyzers: shares, drops by cause, analyzers that come and go."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, cast

import psutil
import redis

from bench.campaigns import campaign_of, session, wait_until
from bench.scale import expect, propose, simulators, together
from bench.simulated_workers import Plan
from bench.table import Row
from bench.twist_speed import hot_frame, times_s
from moireloop.campaign import Campaign
from moireloop_broker.connection import Connection
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.campaign_state import frame_endpoints

RUN_S: Final = 60.0

TYPICAL_ATOMS: Final = 864


@dataclass(frozen=True)
class _Measured:
    """Frames observed a second, cores and frames of each analyzer that stayed, what was sent, and what arrived."""

    analyzers: int
    rate: float
    shares: list[float]
    frames: list[int]
    seen: dict[str, float]
    received: int
    observed: int


def rows(
    workers: int = 1000,
    analyzers: int = 8,
    every_s: float = 1.0,
    warm_s: float = 20.0,
    seconds: float = 40.0,
    killed: Sequence[bool] = (False, True),
) -> list[Row]:
    """A frame of 864 atoms from each worker every so often; then again while an analyzer is killed and comes again."""
    plan = Plan("", workers, workers, warm_s + seconds, warm_s, RUN_S, frame_every_s=every_s, each_publishes=True)
    found = []
    for kills in killed:
        found += _rows_of(plan, analyzers, kills=kills)
    return found


def _rows_of(plan: Plan, analyzers: int, *, kills: bool) -> list[Row]:
    own = {"count": analyzers}
    with campaign_of({"model": "noop"}, workers=1, results=1_000_000, analyzers=own) as campaign:
        return _shown(plan, _measured(campaign, plan, analyzers, kills=kills), kills=kills)


def _measured(campaign: Campaign, plan: Plan, analyzers: int, *, kills: bool) -> _Measured:
    folder, killed = CampaignFolder(Path(campaign.folder)), ""
    with (
        session(campaign, without=("pool", "optimizer")) as (conductor, connection),
        contextlib.closing(connection.open_redis()) as client,
    ):
        wait_until(lambda: len(frame_endpoints(client, connection.keys)) == analyzers, "the analyzers are ready")
        propose(client, connection, 3 * plan.workers)
        own_file = str(folder.connection_of("worker"))
        with simulators(replace(plan, connection=own_file)) as processes:
            expect(processes, "counts", conductor)
            names, before, began_s = _analyzers(), _cpu_s(), time.monotonic()
            received = _received(client, connection)
            if kills:
                killed = names[next(iter(before))]
                os.kill(next(iter(before)), signal.SIGKILL)
            expect(processes, "done", conductor)
            elapsed_s, after = time.monotonic() - began_s, _cpu_s()
            rate = (_received(client, connection) - received) / elapsed_s
            seen = together([json.loads(cast("IO[str]", process.stdout).readline()) for process in processes])
        time.sleep(2.0)
        all_received, observed = _received(client, connection), _observed(client, connection)
    shares = [(after[pid] - before[pid]) / elapsed_s for pid in after if pid in before]
    frames = [_frames_of(folder.log_of(name)) for name in names.values() if name != killed]
    return _Measured(analyzers, rate, shares, frames, seen, all_received, observed)


def _shown(plan: Plan, measured: _Measured, *, kills: bool) -> list[Row]:
    wanted = plan.workers / (plan.frame_every_s or 1.0)
    name = f"frames of {plan.workers} workers to {measured.analyzers} analyzers{', one killed' if kills else ''}: "
    frame_s = min(times_s(hot_frame(TYPICAL_ATOMS, chalcogens=False), 0.2))
    received, observed, seen, shares = measured.received, measured.observed, measured.seen, measured.shares
    uncounted = max(0, observed - received)
    lost = seen["frames"] - received - uncounted
    return [
        Row(
            f"{name}observed", measured.rate, "/s", 0.95 * wanted, "at least",
            f"{wanted:.0f} /s are published; {1 / frame_s:.0f} /s is what one core measures; "
            f"load {psutil.getloadavg()[0]:.1f}",
        ),
        Row(
            f"{name}least busy over busiest analyzer", min(shares) / max(max(shares), 1e-9), "", 0.5, "at least",
            f"cores: {', '.join(f'{share:.2f}' for share in sorted(shares))}",
        ),
        Row(
            f"{name}fewest over most frames of an analyzer", min(measured.frames) / max(1, *measured.frames), "",
            0.5, "at least", f"over the whole run: {', '.join(str(number) for number in sorted(measured.frames))}",
        ),
        Row(
            f"{name}frames without room, dropped", 100 * seen["dropped"] / max(1.0, seen["dropped"] + seen["frames"]),
            "%", 5.0, "at most", f"sent {seen['frames']:.0f}, dropped or left over at the end {seen['dropped']:.0f}",
        ),
        Row(
            f"{name}frames sent and not received", 100 * lost / max(1.0, seen["frames"]), "%", 5.0, "at most",
            f"{lost:.0f} in queues of a killed analyzer, or when the workers left; beside them {uncounted} were "
            f"observed by an analyzer that was killed before it had counted them",
        ),
    ]  # fmt: skip


def _received(client: redis.Redis, connection: Connection) -> int:
    return int(cast("bytes | None", client.hget(connection.keys.counters, "frames_received")) or 0)


def _observed(client: redis.Redis, connection: Connection) -> int:
    """All observations so far, also those that are not kept (XINFO STREAM, `entries-added`, since Redis 7)."""
    with contextlib.suppress(redis.ResponseError):
        return int(client.xinfo_stream(connection.keys.observations).get("entries-added", 0))
    return 0


def _frames_of(log_file: Path) -> int:
    """Frames that an analyzer has received, by its own last word; 0 where it was killed before it could say that."""
    said = re.findall(r"frames received number=(\d+)", log_file.read_text(encoding="utf-8"))
    return int(said[-1]) if said else 0


def _analyzers() -> dict[int, str]:
    """The analyzers' processes, and the names of these analyzers."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            name = next((word for word in command if word.startswith("analyzer-")), None)
            if name is not None and "moireloop_analyzer" in " ".join(command):
                found[process.pid] = name
    return found


def _cpu_s() -> dict[int, float]:
    """Seconds of CPU of each analyzer's process, by its id."""
    found = {}
    for pid in _analyzers():
        with contextlib.suppress(psutil.Error):
            found[pid] = sum(psutil.Process(pid).cpu_times()[:2])
    return found
