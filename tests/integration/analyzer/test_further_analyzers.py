"""Analyzers of somebody else's in the analyzer service: what they find stands in results, what they break does not."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from moireloop_analyzer.service.analyzer import AnalyzerService
from moireloop_broker.connection import Connection, write_connection
from moireloop_broker.contract.codec import unpack_published
from moireloop_broker.contract.events import AnalysisArray, AnalysisOutcome, FrameAnalysed, Observation
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.settings_store import write_settings
from tests.helpers.installed import install
from tests.helpers.waiting import wait_until
from tests.integration.analyzer.test_analyzer_service import bilayer, finished, frame, results, stepped_until

MODULE = """
import os
import signal
import time

import numpy as np

from moireloop_analyzer import Analysis


def count(snapshot):
    return Analysis(
        numbers={"atoms_count": len(snapshot.types), "twist_deg": snapshot.twist.twist_deg},
        arrays={"cell_angstrom": snapshot.cell},
        reasons={"sulfur_count": f"types {snapshot.chalcogen_types}, elements {dict(snapshot.elements)}"},
    )


def greedy(snapshot):
    snapshot.positions[:] = 0.0
    snapshot.types[:] = 0
    return Analysis()


def raises(snapshot):
    raise RuntimeError("no such luck")


def rubbish(snapshot):
    return {"atoms_count": 3}


def not_finite(snapshot):
    return Analysis(numbers={"x": np.nan})


def real(snapshot):
    return snapshot.step > 0


def killed(snapshot):
    if real(snapshot):
        os.kill(os.getpid(), signal.SIGKILL)
    return Analysis()


def stillborn(snapshot):
    os._exit(7)


def hangs(snapshot):
    if real(snapshot):
        time.sleep(60)
    return Analysis()


def slow(snapshot):
    if real(snapshot):
        time.sleep(0.1)
    return Analysis(numbers={"step_count": snapshot.step})
"""
NAMES = ("count", "greedy", "raises", "rubbish", "not_finite", "killed", "stillborn", "hangs", "slow")

Choose = Callable[..., None]


@pytest.fixture
def choose(connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Let the campaign name analyzers of a package that is installed on the path."""
    folder = install(tmp_path / "packages", "somebodys", MODULE, {name: f"somebodys:{name}" for name in NAMES})
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def chosen(*names: str, **settings: object) -> None:
        client = connection.open_redis()
        write_settings(client, connection.keys, {"analyzers": {"analyses": names, **settings}})
        client.close()

    return chosen


def outcomes(connection: Connection) -> dict[str, AnalysisOutcome]:
    """The analyses of the one finished run, whose twist is measured whatever they do."""
    positions, types, _ = bilayer(8.2)
    finished(connection, "c1", frame("c1", positions, types))
    with contextlib.closing(AnalyzerService(connection, "a0")) as service:
        (result,) = stepped_until(service, 1, connection)
    assert result.outcome == "measured"
    assert result.twist_deg == pytest.approx(8.2, abs=1e-3)
    return result.analyses


def test_their_numbers_are_in_the_result(connection: Connection, choose: Choose) -> None:
    """Numbers, arrays and reasons, under the analyzer's name; each gets its own snapshot."""
    choose("greedy", "count")
    found = outcomes(connection)
    cell = bilayer(8.2)[2]
    assert found["greedy"] == AnalysisOutcome()
    assert found["count"].numbers == pytest.approx({"atoms_count": 392.0, "twist_deg": 8.2}, abs=1e-3)
    assert found["count"].arrays == {
        "cell_angstrom": AnalysisArray(shape=[3, 3], values=[x for row in cell for x in row])
    }
    assert found["count"].reasons == {"sulfur_count": "types (), elements {}"}


def test_what_they_break_is_reported(connection: Connection, choose: Choose) -> None:
    """An error, something that is no Analysis, a number that is none, an analyzer that is not there: a reason each."""
    choose("raises", "rubbish", "not_finite", "no_such_thing", "count")
    found = outcomes(connection)
    assert found["raises"].reason == "RuntimeError: no such luck"
    assert found["rubbish"].reason == "expected an Analysis from analyzer 'rubbish', got dict"
    assert (found["not_finite"].reason or "").startswith("ValueError: expected a finite number for x, got nan")
    assert (found["no_such_thing"].reason or "").startswith("expected an analyzer that is installed")
    assert found["count"].numbers["atoms_count"] == 392


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("culprit", "reason"),
    [
        ("killed", "analyzer 'killed' took down its process, which was killed by SIGKILL"),
        ("hangs", "analyzer 'hangs' did not finish within 3 s"),
    ],
)
def test_one_that_takes_its_process_down_does_no_harm(
    connection: Connection, choose: Choose, culprit: str, reason: str
) -> None:
    """The others see the same frame, those after it by another process; after three frames in a row it is given up.

    The time limit is far above what the others need on a machine with other work.
    """
    choose("count", culprit, "greedy", analysis_s=3.0)
    for number in range(5):
        finished(connection, f"c{number}", frame(f"c{number}", *bilayer(8.2)[:2]))
    with contextlib.closing(AnalyzerService(connection, "a0")) as service:
        found = stepped_until(service, 5, connection, patience_s=180)
    assert [result.twist_deg for result in found] == pytest.approx([8.2] * 5, abs=1e-3)
    for result in found:
        assert result.analyses["count"].numbers["atoms_count"] == 392
        assert result.analyses["greedy"] == AnalysisOutcome()
    reasons = [result.analyses[culprit].reason for result in found]
    assert reasons == [reason] * 3 + [f"given up: {reason}, 3 times in a row"] * 2


def test_one_that_cannot_even_begin_does_no_harm(connection: Connection, choose: Choose) -> None:
    """An analyzer that brings the process down before the first frame is reported, and the others run."""
    choose("count", "stillborn", "greedy")
    found = outcomes(connection)
    assert found["stillborn"].reason == "analyzer 'stillborn' took down its process, which ended with exit code 7"
    assert found["count"].numbers["atoms_count"] == 392
    assert found["greedy"] == AnalysisOutcome()


def test_observations_do_not_wait_for_them(connection: Connection, choose: Choose) -> None:
    """Of 30 frames each is observed at once; a slow analyzer gets the first and the newest, the others are counted."""
    choose("slow", analyses_of="every")
    client = connection.open_redis()
    service = AnalyzerService(connection, "a0")
    publisher = connection.open_frame_publisher()
    for step in range(1, 31):
        publisher.publish(frame("c1", *bilayer(8.2)[:2], step=step))

    def seen() -> tuple[list[int], list[int]]:
        publisher.idle()
        service.step()
        rows = EventLog(client, connection.keys).read_streams({connection.keys.observations: "0-0"}, 1000, 0)
        messages = [unpack_published(body) for entries in rows.values() for _, body in entries]
        analysed = [message for message in messages if isinstance(message, FrameAnalysed)]
        assert all(message.analyses["slow"].numbers == {"step_count": message.step} for message in analysed)
        observed = [message.step for message in messages if isinstance(message, Observation)]
        return observed, [message.step for message in analysed]

    def dropped() -> int:
        service.step()
        status = CampaignState(client, connection.keys, connection.campaign).status()
        return status.counters.get("analyses_dropped", 0)

    wait_until(lambda: len(seen()[0]) == 30, "all observations", 20)
    assert len(seen()[1]) < 14
    wait_until(lambda: 30 in seen()[1], "the newest frame is analysed", 30)
    assert wait_until(dropped, "dropped analyses are counted") + len(seen()[1]) == 30
    service.close()
    publisher.close()
    client.close()


STEPS = """
import sys
import time
from pathlib import Path

from moireloop_analyzer.service.analyzer import open_analyzer

service = open_analyzer(Path(sys.argv[1]), "a0")
for _ in range(4):
    begun_s = time.process_time()
    service.step()
    print(time.process_time() - begun_s)
service.close()
"""


def test_first_frame_takes_no_longer_than_the_others(connection: Connection, tmp_path: Path) -> None:
    """In its own process: what has to be compiled or loaded is so before the service announces itself."""
    write_connection(connection, tmp_path / "connection.json")
    for number in range(4):
        finished(connection, f"c{number}", frame(f"c{number}", *bilayer(8.2)[:2]))
    command = [sys.executable, "-c", STEPS, str(tmp_path / "connection.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    first_s, *others_s = [float(line) for line in done.stdout.split()]
    assert len(results(connection)) == 4
    assert first_s < 0.25 + 3 * max(others_s)
