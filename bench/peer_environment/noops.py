"""Run by the interpreter of build/peers: `noops.py NAME TASKS` prints the rate of no-op tasks with two workers.

It imports nothing of moireloop. Each peer first runs a few tasks, so that its workers are up.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module

WARM = 20


def nothing(number: int) -> int:
    """The task."""
    return number


def rate_of(submit: Callable[[int], Future[int]], tasks: int) -> float:
    """Tasks a second from the first submission to the last result."""
    for future in [submit(number) for number in range(WARM)]:
        future.result()
    begun_s = time.perf_counter()
    futures = [submit(number) for number in range(tasks)]
    for future in futures:
        future.result()
    return tasks / (time.perf_counter() - begun_s)


def executorlib(tasks: int) -> float:
    """Block allocation: workers that live as long as the executor, as ours do."""
    with import_module("executorlib").SingleNodeExecutor(max_workers=2, block_allocation=True) as executor:
        return rate_of(lambda number: executor.submit(nothing, number), tasks)


def parsl(tasks: int) -> float:
    """High-throughput executor with its encryption, on this machine."""
    library, config = import_module("parsl"), import_module("parsl.config")
    two = import_module("parsl.executors").HighThroughputExecutor(
        label="two",
        address="127.0.0.1",
        max_workers_per_node=2,
        encrypted=True,
        provider=import_module("parsl.providers").LocalProvider(max_blocks=1),
    )
    with library.load(config.Config(executors=[two])):
        app = library.python_app(nothing)
        return rate_of(app, tasks)


def dask(tasks: int) -> float:
    """Two workers of one thread each."""
    library = import_module("distributed")
    with (
        library.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        library.Client(cluster) as client,
    ):
        return rate_of(lambda number: client.submit(nothing, number, pure=False), tasks)


PEERS = {"executorlib": executorlib, "parsl": parsl, "dask": dask}

if __name__ == "__main__":
    name, count = sys.argv[1:]
    print(json.dumps({"per_s": PEERS[name](int(count))}))
