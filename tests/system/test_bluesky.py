"""A real campaign driven by bluesky's RunEngine and bluesky-adaptive, and followed through bluesky's 0MQ proxy."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import event_model
import msgpack
import numpy as np
import pytest

import moireloop
from moireloop.bluesky.documents import Documents
from moireloop.bluesky.entries import stored
from moireloop.bluesky.publishing import Publisher
from moireloop_broker.connection import NoConnectionFile, free_port
from tests.helpers.patterns import made
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

PAGE = Path(__file__).parents[2] / "docs/bluesky.md"

pytestmark = pytest.mark.timeout(300)

PROBE = "probe"

PROXY = """
import sys
from bluesky.callbacks.zmq import Proxy
Proxy(sys.argv[1], sys.argv[2]).start()
"""

CONSUMER = """
import json, sys
import msgpack
from bluesky.callbacks.zmq import RemoteDispatcher
with open(sys.argv[2], "a") as file:
    def note(name, document):
        file.write(json.dumps([name, document]) + "\\n")
        file.flush()
    dispatcher = RemoteDispatcher(sys.argv[1], deserializer=msgpack.unpackb)
    dispatcher.subscribe(note)
    dispatcher.start()
"""


@pytest.fixture
def driven(tmp_path: Path) -> Iterator[RunningCampaign]:
    """A campaign of short bead runs that grows what it is asked for alone."""
    campaign = RunningCampaign(tmp_path, results=50, steps=(500, 1000), strategy="none")
    campaign.start()
    yield campaign
    campaign.close()


@contextmanager
def program(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that ends with the block."""
    process = subprocess.Popen([sys.executable, *arguments], **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def answering(campaign: RunningCampaign) -> bool:
    """Whether a request is answered."""
    try:
        with moireloop.connect(campaign.folder, timeout_s=5) as client:
            return client.status().state == "started"
    except (NoConnectionFile, moireloop.NotRunning):
        return False


def received(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """The documents that the consumer wrote down."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [(name, document) for name, document in map(json.loads, lines) if document["uid"] != PROBE]


def consumes(inner: str, consumed: Path) -> bool:
    """Whether something sent to the proxy is written down."""
    with closing(Publisher(inner)) as publisher:
        publisher("stop", {"uid": PROBE})
    return consumed.exists() and PROBE in consumed.read_text()


def example(campaign: Path) -> str:
    """The last example of the page, for this campaign."""
    (text,) = re.findall(r"<!-- run by tests/system/test_bluesky.py -->\n```python\n(.*?)```", PAGE.read_text(), re.S)
    assert "search.campaign" in text
    return str(text).replace("search.campaign", str(campaign))


def test_campaign_is_driven_and_followed(driven: RunningCampaign, tmp_path: Path) -> None:
    """By plans, by `optimize` as the page has it; its documents arrive each once, though their publisher is killed."""
    inner, outer = (f"127.0.0.1:{free_port('127.0.0.1')}" for _ in range(2))
    consumed = tmp_path / "documents.jsonl"
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    publish = ("-m", "moireloop", "bluesky", str(driven.file), "--publish", inner)
    wait_until(lambda: answering(driven), "the campaign answers", 200)
    with program("-c", PROXY, inner, outer), program("-c", CONSUMER, outer, str(consumed)):
        wait_until(
            lambda: consumes(inner, consumed), "the consumer listens to the proxy, which forgets what nobody hears", 100
        )
        with program(*publish, env=environment) as publisher:
            wait_until(lambda: len(received(consumed)) >= 1, "the start of the campaign arrives", 100)
            growth_by_plans(driven.folder)
            submitted = a_pattern_is_submitted(driven.folder)
            wait_until(lambda: stops(received(consumed)) >= 3, "the runs arrive", 60)
            publisher.send_signal(signal.SIGKILL)
            publisher.wait(20)
        before = len(received(consumed))
        namespace: dict[str, Any] = {}
        exec(example(driven.folder), namespace)  # noqa: S102
        assert len(namespace["problem"].optimizer.generator.data) == 4
        with program(*publish, env=environment, stdout=subprocess.PIPE) as publisher:
            wait_until(lambda: stops(received(consumed)) >= 7, "the other runs arrive", 60)
            assert subprocess.run([sys.executable, *publish], env=environment, check=False).returncode == 2
            with moireloop.connect(driven.folder) as client:
                client.stop("all grown")
            output, _ = publisher.communicate(timeout=100)
        driven.end()
        campaign = moireloop.open(driven.folder)
        source = stored(campaign)
        documents = Documents(source.description)
        made = [one for batch in source.batches for entry in batch for one in documents.of(entry)]
        wait_until(lambda: len(received(consumed)) >= len(made), "all documents arrive", 30)
    assert len(campaign.results) == 7
    assert patterns_of(received(consumed)) == [submitted]
    assert f"published {len(made) - before} documents" in output.decode()
    assert [document["uid"] for _, document in received(consumed)] == [document["uid"] for _, document in made]
    assert json.loads(json.dumps(made[1:])) == json.loads(json.dumps([list(one) for one in received(consumed)][1:]))
    for name, document in made:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(document)
    assert msgpack.unpackb(msgpack.packb(made[0][1])) == made[0][1]


def stops(documents: list[tuple[str, dict[str, Any]]]) -> int:
    return len([name for name, _ in documents if name == "stop"])


def a_pattern_is_submitted(folder: Path) -> tuple[str, float]:
    """A pattern of two lattices through the client, which indexes it; its name and the twist of the event."""
    with moireloop.connect(folder, name="ada", timeout_s=30) as client:
        peaks = made(np.random.default_rng(1), twist_deg=8.3, weak=0.5).peaks
        event = client.submit_pattern(peaks, pattern_id="shot", lattices=(3.16, 3.16))
    assert event.analysis.twist_deg == pytest.approx(8.3, abs=0.2)
    return event.pattern_id, event.analysis.twist_deg or math.nan


def patterns_of(documents: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, float]]:
    """Names and twists in the stream `patterns`."""
    (stream,) = [one["uid"] for name, one in documents if name == "descriptor" and one["name"] == "patterns"]
    events = [one["data"] for name, one in documents if name == "event" and one["descriptor"] == stream]
    return [(data["pattern_id"], data["twist_deg"]) for data in events]


def growth_by_plans(folder: Path) -> None:
    """A list_scan of one point and two recipes at a time, in a RunEngine; and what a RunEngine is refused."""
    from bluesky import RunEngine
    from bluesky.plans import list_scan
    from bluesky.utils import FailedStatus

    from moireloop.bluesky.growth import Growth
    from moireloop.bluesky.plans import grow

    growth = Growth(folder, requester="ada")
    engine: Any = RunEngine(context_managers=[])
    documents, scan = list[tuple[str, dict[str, Any]]](), cast("Any", list_scan)
    engine.subscribe(lambda name, document: documents.append((name, document)))
    growth["lattice_strain"].set(0.01).wait(0)
    with pytest.raises(FailedStatus):
        engine(scan([growth], growth["temperature_k"], [2000.0]))
    growth["shear_strain"].set(0.1).wait(0)
    documents.clear()
    engine(scan([growth], growth["temperature_k"], [2000.0]))
    (event,) = [document for name, document in documents if name == "event"]
    grown = growth.result(event["data"]["growth_candidate_id"])
    assert (grown.candidate.parameters["temperature_k"], event["data"]["temperature_k"]) == (2000.0, 2000.0)
    assert event["data"]["growth_twist_deg"] == pytest.approx(grown.twist_deg, nan_ok=True)
    documents.clear()
    recipes = [{"temperature_k": hot, "lattice_strain": 0.02, "shear_strain": 0.2} for hot in (2500, 3500)]
    engine(grow(growth, recipes))
    pages: list[Any] = [document for name, document in documents if name == "event_page"]
    events = [event["data"] for page in pages for event in event_model.unpack_event_page(page)]
    assert {data["growth_candidate_id"] for data in events} == set(growth.prepared)
    assert {data["growth_temperature_k"] for data in events} == {2500.0, 3500.0}
    with pytest.raises(FailedStatus):
        engine(grow(growth, [{"temperature_k": 1.0, "lattice_strain": 0.02, "shear_strain": 0.2}]))
    assert threading.active_count() < 50
