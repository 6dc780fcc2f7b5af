"""Up to ten thousand simulated workers on the real services: idle workers, leases, load of each service, `status`."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from typing import IO, Any, Final, cast

import psutil
import redis

from bench.campaigns import campaign_of, median_status_s, session, wait_until
from bench.queue import raw_hops_per_s
from bench.simulated_workers import Plan
from bench.table import Row
from moireloop.session.conductor import Conductor
from moireloop_broker.connection import Connection
from moireloop_broker.contract.events import Candidate
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.settings import ArchiveSettings
from moireloop_broker.state.campaign_state import frame_endpoints
from moireloop_broker.state.keys import OBSERVATIONS_KEPT
from moireloop_broker.state.work_queue.proposals import Proposer

STATUS_ASKED: Final = 20

SIMULATOR: Final = "simulator"

STREAMS: Final = {"log": 3 * ArchiveSettings().kept_events // 2, "observations": OBSERVATIONS_KEPT}
"""The most entries of each; of the log half as many as are kept may wait to be archived."""

HOPS: Final = 300

AT_ONCE: Final = 500

IN_ONE_PROCESS: Final = 1250

PUBLISHING_IN_ONE_PROCESS: Final = 250

SERVICES: Final = ("moireloop_broker", "moireloop_optimizer", "moireloop_analyzer", "redis-server", "valkey-server")


@dataclass(frozen=True)
class Found:
    """Results of a simulation of many workers. CPU is in seconds a second, by service; times in seconds."""

    seen: dict[str, Any]
    cpu: dict[str, float]
    redis_bytes: float
    redis_bytes_a_result: float
    redis_hour_bytes: float
    connections: int
    most_connections: int
    status_s: float
    undisturbed_status_s: float
    events_per_s: float
    results_per_s: float
    raw_hops_per_s: float
    load: float


def rows(
    workers: Sequence[int] = (100, 1000, 10_000),
    run_s: float = 60.0,
    warm_s: float = 45.0,
    seconds: float = 60.0,
    strategy: str = "random",
    analyzers: int = 1,
    frame_every_s: float | None = 20.0,
    proposed: int = 0,
) -> list[Row]:
    """The figures of each number of workers, whose runs take so long in the mean.

    Candidates come from the optimizer, or `proposed` of them at the beginning.
    """
    found = []
    for count in workers:
        plan = Plan("", count, count, warm_s + seconds, warm_s, run_s, frame_every_s=frame_every_s)
        found += _rows_of(count, simulated(plan, strategy=strategy, analyzers=analyzers, proposed=proposed), run_s)
    return found


def simulated(plan: Plan, *, strategy: str = "random", analyzers: int = 1, proposed: int = 0) -> Found:
    """Simulate workers beside the real services of a campaign that never ends."""
    own = {"strategy": strategy}
    with (
        campaign_of(
            {"model": "noop"}, workers=1, results=1_000_000, optimizer=own, analyzers={"count": analyzers}
        ) as campaign,
        session(campaign, without=("pool", "optimizer") if proposed else ("pool",)) as (conductor, connection),
        contextlib.closing(connection.open_redis()) as client,
    ):
        wait_until(lambda: len(frame_endpoints(client, connection.keys)) == analyzers, "the analyzers are ready")
        raw, undisturbed_s = raw_hops_per_s(client, HOPS), median_status_s(Path(campaign.folder), STATUS_ASKED)
        propose(client, connection, proposed)
        of_worker = CampaignFolder(Path(campaign.folder)).connection_of("worker")
        with simulators(replace(plan, connection=str(of_worker))) as processes:
            return _watched(processes, conductor, connection, client, raw, undisturbed_s)


def propose(client: redis.Redis, connection: Connection, count: int) -> None:
    """Enough candidates for all workers."""
    point = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.1}
    proposer = Proposer(client, connection.keys)
    for first in range(0, count, AT_ONCE):
        proposer.propose_several(
            [
                Candidate(candidate_id=f"c{number}", parameters=point, seed=number, proposed_s=time.time())
                for number in range(first, min(first + AT_ONCE, count))
            ]
        )


@contextmanager
def simulators(plan: Plan) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that share the workers, at most IN_ONE_PROCESS each: each waits for one reply of Redis at a time."""
    processes = max(1, -(-plan.workers // (PUBLISHING_IN_ONE_PROCESS if plan.each_publishes else IN_ONE_PROCESS)))
    with contextlib.ExitStack() as stack:
        running = []
        for number in range(processes):
            share = plan.workers // processes + (number < plan.workers % processes)
            own = replace(plan, workers=share, seed=number, pool=f"simulated-{number}")
            command = [sys.executable, "-m", "bench.simulated_workers", json.dumps(asdict(own))]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            running.append(process)
        yield running


def _watched(
    processes: Sequence[subprocess.Popen[str]],
    conductor: Conductor,
    connection: Connection,
    client: redis.Redis,
    raw: float,
    undisturbed_s: float,
) -> Found:
    """Look at the services while the simulation counts; the conductor works meanwhile, as it does in a session."""
    simulators = {process.pid for process in processes}
    expect(processes, "counts", conductor)
    before, began_s = _state(client, connection, simulators), time.monotonic()
    status_s = median_status_s(Path(connection.folder), STATUS_ASKED)
    connections = cast("dict[str, int]", client.info("clients"))
    expect(processes, "done", conductor)
    after, elapsed_s = _state(client, connection, simulators), time.monotonic() - began_s
    seen = together([json.loads(cast("IO[str]", process.stdout).readline()) for process in processes])
    results = after["results"] - before["results"]
    return Found(
        seen=seen,
        cpu={name: (after["cpu"][name] - before["cpu"].get(name, 0.0)) / elapsed_s for name in after["cpu"]},
        redis_bytes=after["bytes"],
        redis_bytes_a_result=max(0.0, (after["others"] - before["others"]) / max(1, results)),
        redis_hour_bytes=after_an_hour(before, after, 3600 / elapsed_s),
        connections=connections["connected_clients"],
        most_connections=int(cast("dict[str, str]", client.config_get("maxclients"))["maxclients"]),
        status_s=status_s,
        undisturbed_status_s=undisturbed_s,
        events_per_s=(after["events"] - before["events"]) / elapsed_s,
        results_per_s=results / elapsed_s,
        raw_hops_per_s=raw,
        load=psutil.getloadavg()[0],
    )


def after_an_hour(before: dict[str, Any], after: dict[str, Any], times: float) -> float:
    """Redis memory extrapolated to a multiple of the events: its two streams keep a bounded number of entries."""
    streams = 0.0
    for name, most in STREAMS.items():
        (_, earlier), (used, entries) = before[name], after[name]
        streams += used / max(1, entries) * min(most, entries + times * (entries - earlier))
    return float(streams + after["others"] + times * max(0, after["others"] - before["others"]))


def together(several: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What all simulators have seen."""
    counted: Counter[str] = Counter()
    for one in several:
        counted.update(one["counted"])
    return {
        "next_lease_s": [wait_s for one in several for wait_s in one["next_lease_s"]],
        "idle_s": sum(one["idle_s"] for one in several),
        "late_s": max(one["late_s"] for one in several),
        "counted_s": several[0]["counted_s"],
        "frames": sum(one["frames_sent"] for one in several),
        "dropped": sum(one["frames_dropped"] for one in several),
        "counted": counted,
    }


def expect(processes: Sequence[subprocess.Popen[str]], word: str, conductor: Conductor) -> None:
    """Wait for a line of each simulator, and let the conductor look after its services meanwhile."""
    for process in processes:
        lines = cast("IO[str]", process.stdout)
        while not select.select([lines], [], [], 0.2)[0]:
            conductor.step()
        if (came := lines.readline().strip()) != word:
            raise RuntimeError(f"expected {word!r} from the simulated workers, got {came!r}")


def _state(client: redis.Redis, connection: Connection, simulators: Collection[int]) -> dict[str, Any]:
    counts = cast("dict[bytes, bytes]", client.hgetall(connection.keys.counts))
    keys, used = connection.keys, client.info("memory")["used_memory"]
    streams = {
        name: (client.memory_usage(key, samples=1000) or 0, client.xlen(key))
        for name, key in (("log", keys.log), ("observations", keys.observations))
    }
    return {
        **streams,
        "cpu": _cpu_s(simulators),
        "bytes": used,
        "others": used - sum(taken for taken, _ in streams.values()),
        "events": client.xlen(connection.keys.log),
        "results": sum(int(counts.get(name, 0)) for name in (b"measured", b"refused", b"failed")),
    }


def _cpu_s(simulators: Collection[int]) -> dict[str, float]:
    """Seconds of CPU so far of this process, the conductor of the session, and of what it has started, by service."""
    me = psutil.Process()
    found = {"conductor and bench": sum(me.cpu_times()[:2])}
    for process in me.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            name = SIMULATOR if process.pid in simulators else _service_of(process)
            found[name] = found.get(name, 0.0) + sum(process.cpu_times()[:2])
    return found


def _service_of(process: psutil.Process) -> str:
    said = " ".join(process.cmdline())
    return next((name.removeprefix("moireloop_") for name in SERVICES if name in said), "others")


def _rows_of(workers: int, found: Found, run_s: float) -> list[Row]:
    seen, counted = found.seen, found.seen["counted"]
    waits = seen["next_lease_s"] or [0.0]
    busy = ", ".join(f"{name} {100 * share:.0f} %" for name, share in sorted(found.cpu.items(), key=lambda x: -x[1]))
    events = {name: count for name, count in counted.items() if count}
    said = ", ".join(f"{name}: {count}" for name, count in sorted(events.items()))
    name = f"scale, {workers} workers: "
    lease_ms = 1000 * (quantiles(waits, n=100)[98] if len(waits) > 1 else waits[0])
    return [
        Row(f"{name}idle", 100 * seen["idle_s"] / (workers * seen["counted_s"]), "%", 1.0, "at most", said),
        Row(
            f"{name}from an end to the next lease, 99 %", lease_ms, "ms", 100, "at most",
            f"median {1000 * median(waits):.1f} ms; a bare hop {1000 / found.raw_hops_per_s:.2f} ms; "
            f"the simulator is late by {1000 * seen['late_s']:.0f} ms at most",
        ),
        Row(f"{name}leases lost by overload", counted.get("leases lost by overload", 0), "", 0, "at most"),
        Row(
            f"{name}status", found.status_s, "s", 0.2, "at most", f"{found.undisturbed_status_s:.4f} s without workers"
        ),
        Row(
            f"{name}results", found.results_per_s, "/s", 0.9 * workers / run_s, "at least",
            f"{found.events_per_s:.0f} events/s; cores: {busy}; load {found.load:.1f}",
        ),
        Row(
            f"{name}Redis after an hour, reckoned", found.redis_hour_bytes / 2**30, "GiB", 1.0, "at most",
            f"{found.redis_bytes / 2**20:.0f} MiB now; log and observations are bounded, "
            f"{found.redis_bytes_a_result:.0f} bytes a result beside them",
        ),
        Row(f"{name}connections of Redis", found.connections, "", found.most_connections, "at most"),
    ]  # fmt: skip
