"""What a status costs while many clients replay a long log: at most twice the undisturbed, as issue 16 wants it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.campaigns import BROKER_ALONE, campaign_of, median_status_s, session, wait_until
from bench.gateway import GROWTH, append_results
from bench.table import Row
from moireloop.client.client import connect

REPLAYING: Final = """
import sys
from moireloop.client.client import connect
with connect(sys.argv[1], timeout_s=300) as client:
    print("begins", flush=True)
    while True:
        client.results()
"""

DECODING: Final = """
import sys
from moireloop.client.connecting import asking, connection_of
from moireloop.client.requests import replay
from moireloop.client.talks import page_of
from moireloop_broker.contract.codec import pack, unpack_reply
import zmq
with zmq.Context() as context:
    socket = asking(context.socket(zmq.REQ), connection_of(sys.argv[1]))
    socket.send(pack(replay("0-0", 1000, [])))
    held = socket.recv()
    print("begins", flush=True)
    while True:
        page_of(unpack_reply(held))
"""
"""Works as hard as one that replays, on a page that it holds, and asks the broker for nothing."""

TAKING: Final = """
import sys
from moireloop.client.connecting import asking, connection_of
from moireloop.client.requests import replay
from moireloop_broker.contract.codec import pack
import msgpack, zmq
with zmq.Context() as context:
    socket = asking(context.socket(zmq.REQ), connection_of(sys.argv[1]))
    print("begins", flush=True)
    since = "0-0"
    while True:
        socket.send(pack(replay(since, 1000, ["result/3"])))
        page = msgpack.unpackb(socket.recv())
        since = "0-0" if page["complete"] else page["last_id"]
"""
"""Makes no messages of what it gets: it takes as many pages as the broker can give."""


@contextmanager
def _beside(program: str, folder: Path, count: int) -> Iterator[None]:
    """So many clients, each a process, while the block runs."""
    command = [sys.executable, "-c", program, str(folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        yield
    finally:
        for process in running:
            with process:
                process.kill()


def rows(results: int = 30_000, clients: int = 10, asked: int = 100) -> list[Row]:
    """Status with and without clients that replay.

    Those that decode with pydantic keep all cores busy, so they are compared with as many that ask for nothing.
    """
    with (
        campaign_of(GROWTH, workers=1, results=1_000_000) as campaign,
        session(campaign, without=BROKER_ALONE) as (_, connection),
    ):
        folder = Path(campaign.folder)
        append_results(connection, 0, results)
        with connect(folder, timeout_s=60) as client:
            wait_until(lambda: client.status().last_id != "0-0", "the log is there", every_s=0.05)
        quiet_s = median_status_s(folder, asked)
        with _beside(DECODING, folder, clients):
            decoding_s = median_status_s(folder, asked)
        with _beside(REPLAYING, folder, clients):
            replaying_s = median_status_s(folder, asked)
        with _beside(TAKING, folder, clients):
            taking_s = median_status_s(folder, asked)
    name = f"control: status while {clients} clients replay {results} results"
    beside = f"{1000 * decoding_s:.1f} ms beside {clients} that decode what they hold, {1000 * quiet_s:.1f} undisturbed"
    return [
        Row(name, taking_s / quiet_s, "times", 2.0, "at most", f"{1000 * quiet_s:.1f} ms undisturbed"),
        Row(f"{name} and decode them", replaying_s / decoding_s, "times", 2.0, "at most", beside),
    ]
