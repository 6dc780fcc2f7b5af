"""The gateway: from the log to a listener, events a second to many of them, and memory after many results."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import psutil

from bench.campaigns import BROKER_ALONE, campaign_of, session, wait_until
from bench.table import Row
from moireloop.client.client import CampaignClient, connect
from moireloop_broker.connection import Connection
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.events import Candidate, Measurement, Result, RunReport, StageTimes
from moireloop_broker.contract.topics import LOG_TOPICS
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.keys import EVENT_FIELD

if TYPE_CHECKING:
    from playwright.sync_api import Page

GROWTH = {"model": "noop", "cells": [2, 2]}

KEY = "api/v1/campaigns"

MARK = b"\nevent: result/"

CHROMIUM = shutil.which("chromium")

COMES = """(wanted) => new Promise((resolve) => {
  const { store } = moireloop, look = () => {
    if (store.columns.candidate_id?.at(-1) !== wanted) return;
    store.listeners.delete(look);
    requestAnimationFrame(() => setTimeout(() => resolve(Date.now() / 1000)));
  };
  store.listeners.add(look);
  look();
})"""
"""The time at which the page has drawn the panel with this result."""


@dataclass(frozen=True)
class Gateway:
    """A gateway in its own process."""

    port: int
    token: str
    pid: int
    key: str

    def ask(self, path: str = "") -> Any:
        """JSON below the campaign's address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            connection.request("GET", f"/{KEY}/{self.key}{path}", headers=self._headers())
            return json.loads(connection.getresponse().read())

    def listen(self, since: str) -> http.client.HTTPConnection:
        """A connection on which events come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", f"/{KEY}/{self.key}/events?since={since}", headers=self._headers())
        return connection

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def _result(number: int, now_s: float) -> Result:
    """A result as in a campaign of the `bead` model."""
    parameters = {"temperature_k": 2000.0 + number % 997, "lattice_strain": 0.01, "shear_strain": 0.1}
    times = {name: now_s for name in StageTimes.model_fields}
    return Result(
        candidate=Candidate(candidate_id=f"b{number:06d}", parameters=parameters, seed=number, proposed_s=now_s),
        attempt=1,
        outcome="measured",
        measurement=Measurement(twist_deg=number % 30, sigma_deg=0.03, order_lower=0.98, order_upper=0.97),
        report=RunReport(
            worker=f"worker-{number % 8}", started_s=now_s, finished_s=now_s, steps=20_000, planned_steps=20_000,
            md_s=2.0, provenance={"lammps": "2 Aug 2023", "input": "x" * 400},
        ),
        times=StageTimes(**times),
    )  # fmt: skip


def append_results(connection: Connection, first: int, count: int) -> None:
    """Write this many results into the log, as fast as Redis takes them."""
    with contextlib.closing(connection.open_redis()) as client:
        for begin in range(first, first + count, 500):
            pipeline = client.pipeline(transaction=False)
            for number in range(begin, min(begin + 500, first + count)):
                packed = pack(_result(number, time.time()))
                pipeline.xadd(connection.keys.log, cast("Any", {EVENT_FIELD: packed}))
            pipeline.execute()


@contextmanager
def _gateway(folder: Path) -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory() as place:
        tokens, output = Path(place, "tokens.json"), Path(place, "output.txt")
        command = [sys.executable, "-m", "moireloop", "dashboard", str(folder), "--port", "0", "--tokens", str(tokens)]
        with output.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            wait_until(
                lambda: "to look" in output.read_text() or process.poll() is not None, "the gateway", every_s=0.05
            )
            port = int(output.read_text().partition("127.0.0.1:")[2].partition("/")[0])
            token = json.loads(tokens.read_text())["observer"]
            (listed,) = _listed(port, token)
            yield Gateway(port, token, process.pid, listed["key"])
        finally:
            process.terminate()
            process.wait(20)


def _listed(port: int, token: str) -> list[dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", f"/{KEY}", headers={"Authorization": f"Bearer {token}"})
        found: list[dict[str, Any]] = json.loads(connection.getresponse().read())["campaigns"]
        return found


def _delays_s(gateway: Gateway, connection: Connection, count: int) -> list[float]:
    """Seconds from before a result is written into the log until a listener has it, one at a time."""
    listening = gateway.listen(gateway.ask()["last_id"])
    with contextlib.closing(listening):
        lines = iter(listening.getresponse().readline, b"")
        return [_one_delay_s(lines, connection, 900_000 + number) for number in range(count)]


def _one_delay_s(lines: Iterator[bytes], connection: Connection, number: int) -> float:
    begun_s = time.perf_counter()
    append_results(connection, number, 1)
    next(line for line in lines if line.startswith(b"data: ") and b'"result/' in line)
    return time.perf_counter() - begun_s


def _page_delays_s(gateway: Gateway, connection: Connection, count: int) -> list[float]:
    """Seconds from before a result is written into the log until a browser has drawn it, one at a time."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{gateway.port}/?token={gateway.token}")
        page.wait_for_function("() => window.moireloop?.store?.connected")
        found = [_one_page_delay_s(page, connection, 970_000 + number) for number in range(count)]
        browser.close()
    return found


def _one_page_delay_s(page: Page, connection: Connection, number: int) -> float:
    begun_s = time.time()
    append_results(connection, number, 1)
    return float(page.evaluate(COMES, f"b{number:06d}")) - begun_s


def _raw_delays_s(connection: Connection, folder: Path, count: int) -> list[float]:
    """The same to a ZeroMQ subscriber, without the gateway."""
    came = threading.Event()
    found: list[float] = []
    with connect(folder) as client:
        thread = threading.Thread(target=_wait_for_results, args=(client, came, count), daemon=True)
        thread.start()
        time.sleep(0.5)
        for number in range(count):
            came.clear()
            begun_s = time.perf_counter()
            append_results(connection, 950_000 + number, 1)
            came.wait(10)
            found.append(time.perf_counter() - begun_s)
        thread.join(20)
    return found


def _wait_for_results(client: CampaignClient, came: threading.Event, count: int) -> None:
    for _ in itertools.islice(client.subscribe(wait_s=15), count):
        came.set()


def _events_per_s(gateway: Gateway, since: str, events: int, listeners: int) -> float:
    """Events a second, summed over listeners that all read the same events from an id on."""
    connections = [gateway.listen(since) for _ in range(listeners)]
    begun_s = time.perf_counter()
    sockets = {cast("socket.socket", connection.sock): 0 for connection in connections}
    tails = dict.fromkeys(sockets, b"")
    open_sockets = set(sockets)
    while open_sockets:
        ready_now = select.select(list(open_sockets), [], [], 60)[0]
        if not ready_now:
            raise TimeoutError(f"expected {events} events for each listener, got {min(sockets.values())}")
        for ready in ready_now:
            data = ready.recv(1 << 18)
            text = tails[ready] + data
            sockets[ready] += text.count(MARK)
            tails[ready] = text[-len(MARK) + 1 :]
            if sockets[ready] >= events or not data:
                open_sockets.discard(ready)
    elapsed_s = time.perf_counter() - begun_s
    for connection in connections:
        connection.close()
    return sum(sockets.values()) / elapsed_s


def _replayed_per_s(folder: Path, since: str, events: int) -> float:
    """Events a second that one client replays from the broker, without the gateway."""
    begun_s = time.perf_counter()
    with connect(folder) as client:
        found = client.events(LOG_TOPICS, since)
    return min(len(found), events) / (time.perf_counter() - begun_s)


def rows(
    results: int = 100_000, events: int = 5000, delays: int = 100, listeners: tuple[int, ...] = (1, 10, 50)
) -> list[Row]:
    """Delay, rates for this many listeners, and memory after this many results."""
    with (
        campaign_of(GROWTH, workers=1, results=1_000_000) as campaign,
        session(campaign, without=BROKER_ALONE) as (_, connection),
    ):
        folder = Path(campaign.folder)
        CampaignFolder(folder).keep_campaign_file(campaign.toml())
        with _gateway(folder) as gateway:
            wait_until(lambda: gateway.ask()["phase"] == "live", "the gateway follows", every_s=0.05)
            empty_mib = psutil.Process(gateway.pid).memory_info().rss / 2**20
            slow = _delays_s(gateway, connection, delays)
            raw = _raw_delays_s(connection, folder, delays)
            found = [_delay_row(slow, raw)]
            if CHROMIUM is not None:
                found.append(_page_row(_page_delays_s(gateway, connection, delays), slow))
            append_results(connection, 0, results - events)
            wait_until(lambda: gateway.ask()["results"] >= results - events, "the gateway has them", every_s=0.2)
            since = gateway.ask()["last_id"]
            append_results(connection, results - events, events)
            wait_until(lambda: gateway.ask()["results"] >= results, "the gateway has all", every_s=0.2)
            replayed = _replayed_per_s(folder, since, events)
            for count in listeners:
                rate = _events_per_s(gateway, since, events, count)
                found.append(_rate_row(rate, count, replayed))
            gateway.ask("/results?limit=1000")
            memory_mib = psutil.Process(gateway.pid).memory_info().rss / 2**20
    return [
        *found,
        Row(
            f"gateway: memory after {results} results",
            memory_mib,
            "MiB",
            300,
            "at most",
            f"{empty_mib:.0f} MiB when empty",
        ),
    ]


def _delay_row(delays: list[float], raw: list[float]) -> Row:
    baseline = f"{1000 * median(raw):.1f} ms to a ZeroMQ subscriber"
    return Row("gateway: from the log to a listener", 1000 * median(delays), "ms", 1000, "at most", baseline)


def _page_row(delays: list[float], listener: list[float]) -> Row:
    baseline = f"{1000 * median(listener):.1f} ms to a listener"
    return Row("gateway: from the log to a browser's page", 1000 * median(delays), "ms", 1000, "at most", baseline)


def _rate_row(rate: float, listeners: int, replayed: float) -> Row:
    baseline = f"{replayed:.0f} /s replayed by one client of the broker"
    return Row(f"gateway: events to {listeners} listeners", rate, "/s", 2000, "at least", baseline)
