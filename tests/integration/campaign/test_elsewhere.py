"""Services that start by themselves, as the conductor sees them: by their signs of life."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from moireloop.services import elsewhere
from moireloop.services.elsewhere import ElsewhereSet
from moireloop.services.service_set import ServiceSpec
from moireloop_broker.membership.heartbeats import say_alive
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import open_client

PATIENT_S, IMPATIENT_S = 60.0, 0.01


def test_services_come_fall_silent_come_back_and_leave(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is reported once; what was never heard of is missing, and so is what fell silent."""
    monkeypatch.setattr(elsewhere, "SILENT_S", PATIENT_S)
    monkeypatch.setattr(elsewhere, "LOOK_EVERY_S", 0.0)
    client, keys = open_client(redis_server.url), Keys("elsewhere")
    services = ElsewhereSet(tmp_path / "lock")
    for name in ("broker", "analyzer-0", "analyzer-1"):
        services.start(ServiceSpec(name, ["false"], tmp_path / "log"))
    services.follow(client, keys)
    assert services.watch() == []
    assert services.missing == ["broker", "analyzer"]
    say_alive(client, keys, "analyzer-x")
    assert services.watch() == []
    assert (services.take_changes(), services.missing) == ([("analyzer-x", "started")], ["broker"])
    monkeypatch.setattr(elsewhere, "SILENT_S", IMPATIENT_S)
    time.sleep(2 * IMPATIENT_S)
    (crash,) = services.watch()
    assert (crash.service, crash.restarts, services.watch()) == ("analyzer-x", False, [])
    assert crash.reason.startswith("silent for ")
    assert services.missing == ["broker", "analyzer"]
    monkeypatch.setattr(elsewhere, "SILENT_S", PATIENT_S)
    say_alive(client, keys, "analyzer-x")
    services.watch()
    client.hdel(keys.heartbeats, "analyzer-x")
    services.watch()
    assert services.take_changes() == [("analyzer-x", "started"), ("analyzer-x", "stopped")]
    client.close()


FIRST_PROCESS = """
import signal, subprocess, sys, time
from moireloop.services.first_process import as_first_process

def run():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    print("ready", flush=True)
    while True:
        time.sleep(0.1)

sys.exit(as_first_process(run))
"""


def test_first_process_of_a_container_passes_signals_on() -> None:
    """It has the program's exit code."""
    with subprocess.Popen([sys.executable, "-c", FIRST_PROCESS], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        first.terminate()
        assert first.wait(20) == 7
