"""Measured patterns in the log of a campaign: each once, with its analysis and who sent it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import redis

from moireloop import RequestRefused, connect, connect_async
from moireloop.bluesky.patterns import PatternDocuments
from moireloop.client.requests import BadArgument
from moireloop.experiment.refused import PatternRefused
from moireloop_analyzer.patterns.peaks import Peaks, peaks_of
from moireloop_broker.contract.events import CandidateQueued
from moireloop_broker.contract.patterns import PatternAnalysis, PatternMeasured, PatternPeaks, SubmitPatternRequest
from moireloop_broker.service import steering
from moireloop_broker.service.steering import InvalidRequest, Steering
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.grown import grown
from tests.helpers.patterns import made


def measured(seed: int, twist_deg: float) -> Peaks:
    return made(np.random.default_rng(seed), twist_deg=twist_deg, weak=0.5, spurious=3).peaks


SAME_OF_BOTH: tuple[tuple[Any, ...], ...] = (
    ("describe",), ("results",), ("best",), ("best", 21.0), ("patterns",), ("events", [CandidateQueued]), ("page",),
    ("advise_chamber", 13.0),
)  # fmt: skip


def request(
    name: str, *, intensity: float = 1.0, reason: str = "too few", requester: str = "ada"
) -> SubmitPatternRequest:
    peaks = PatternPeaks(q_x_per_angstrom=[2.3], q_y_per_angstrom=[0.0], intensity=[intensity])
    return SubmitPatternRequest(
        pattern_id=name, peaks=peaks, analysis=PatternAnalysis(reason=reason), requester=requester
    )


def logged(client: redis.Redis, keys: Keys) -> list[PatternMeasured]:
    return [event for _, event in EventLog(client, keys).replay() if isinstance(event, PatternMeasured)]


@pytest.fixture
def steered(client: redis.Redis, keys: Keys) -> Steering:
    return Steering(client, keys, CampaignState(client, keys, "test"))


def test_a_pattern_is_logged_once_even_if_indexed_differently_later(
    client: redis.Redis, keys: Keys, steered: Steering
) -> None:
    """A second submission returns the event of the first; another measurement of this name is refused."""
    first = steered.submit(request("a"))
    assert steered.submit(request("a", reason="other words", requester="bob")) == first
    assert first.requester == "ada"
    with pytest.raises(InvalidRequest, match="a is the id of a pattern with other peaks") as refusal:
        steered.submit(request("a", intensity=2.0))
    assert refusal.value.error == "OtherPattern"
    assert logged(client, keys) == [first]


def test_submissions_at_the_same_moment_are_one_pattern(client: redis.Redis, keys: Keys, steered: Steering) -> None:
    """Also where several brokers carry them out, as for a moment after a kill."""
    others = [Steering(client, keys, CampaignState(client, keys, "test")) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        events = list(pool.map(lambda number: others[number % 4].submit(request("a")), range(40)))
    assert len({event.at_s for event in events}) == 1
    assert logged(client, keys) == events[:1]


def test_a_campaign_takes_a_bounded_number_of_patterns(steered: Steering, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is never trimmed. Those that are there are still returned."""
    monkeypatch.setattr(steering, "MOST_PATTERNS", 1)
    steered.submit(request("a"))
    with pytest.raises(InvalidRequest, match="expected at most 1 patterns"):
        steered.submit(request("b"))
    assert steered.submit(request("a")).pattern_id == "a"


def test_patterns_of_a_running_campaign(broker: BrokerProcess) -> None:
    """Submitted by both clients, seen by a subscriber, kept over kill -9, a target on request; observers may look."""
    with connect(broker.file, name="ada", timeout_s=30) as client:
        with pytest.raises(PatternRefused, match="no result has lattice constants yet"):
            client.submit_pattern(measured(1, 8.3))
        with broker.connection.open_redis() as state:
            log = EventLog(state, broker.connection.keys)
            for number, twist_deg in enumerate((8.27, 13.2, 21.8)):
                log.append(grown(number, twist_deg, {"temperature_k": 2000.0 + number}))
        seen = client.subscribe([PatternMeasured], since="0-0", wait_s=20)
        event = client.submit_pattern(measured(1, 8.3), pattern_id="shot-1", parameters={"substrate_k": 875})
        assert next(seen).message == event
        seen.close()
        assert event.analysis.twist_deg == pytest.approx(8.3, abs=0.1)
        assert event.analysis.closest[0].candidate_id == "c0000"
        assert (event.requester, event.parameters) == ("ada", {"substrate_k": 875.0})
        assert client.compare(measured(1, 8.3)).twist_deg == pytest.approx(event.analysis.twist_deg, abs=1e-6)
        untold = client.submit_pattern(peaks_of(np.random.default_rng(3).uniform(-4, 4, (20, 2))))
        assert untold.analysis.twist_deg is None
        assert untold.analysis.reason
        broker.kill()
        broker.start()
        again = client.submit_pattern(measured(1, 8.3), pattern_id="shot-1", parameters={"substrate_k": 875})
        assert again == event
        with pytest.raises(RequestRefused, match="OtherPattern"):
            client.submit_pattern(measured(2, 8.3), pattern_id="shot-1")
        assert [entry.message for entry in client.patterns()] == [event, untold]
        assert client.advise_chamber().reason == "the model needs at least 8 results with a twist, and there are 3"
        assert client.retarget_to_pattern().twist_deg == event.analysis.twist_deg
        assert client.targets[0].twist_deg == event.analysis.twist_deg
        with pytest.raises(BadArgument, match="has no twist"):
            client.retarget_to_pattern(untold.pattern_id)
        with pytest.raises(BadArgument, match="expected the pattern 'nothing'; 2 patterns in the log"):
            client.retarget_to_pattern("nothing")
        with pytest.raises(BadArgument, match="pattern_id"):
            client.submit_pattern(measured(1, 8.3), pattern_id="a b")
    asyncio.run(_from_asyncio(broker, event))
    _from_documents(broker)


def _from_documents(broker: BrokerProcess) -> None:
    """Events of a RunEngine: one with a pattern twice, one that is none, one of a page, one while nobody answers."""
    with connect(broker.file, name="beamline", timeout_s=10) as client:
        take = PatternDocuments(client, prefix="det_", lattices=(3.16, 3.16))
        first, wrong, paged, late = (_event(seed, f"0000-{seed}") for seed in (11, 12, 13, 14))
        del wrong["data"]["det_intensity"]
        other = {**first, "data": {"temperature": 1.0}}
        for document in (first, first, wrong, other):
            take("event", document)
        take("stop", {})
        take("event_page", {"uid": ["0000-13"], "time": [5.0], "data": {k: [v] for k, v in paged["data"].items()}})
        assert [event.pattern_id for event in take.submitted] == ["0000-11", "0000-11", "0000-13"]
        assert take.submitted[0] == take.submitted[1]
        assert (take.submitted[0].measured_s, take.submitted[0].parameters) == (1700000000.0, {"heater_k": 875.0})
        assert "expected a column intensity" in take.refused["0000-12"]
    with connect(broker.file, name="beamline", timeout_s=0.2) as impatient:
        broker.kill()
        later = PatternDocuments(impatient, prefix="det_", lattices=(3.16, 3.16))
        later("event", late)
        assert not later.submitted
    broker.start()
    with connect(broker.file, name="beamline", timeout_s=30) as client:
        later._client = client
        assert later.flush()
        assert [entry.message.pattern_id for entry in client.patterns()][-2:] == ["0000-13", "0000-14"]


def _event(seed: int, uid: str) -> dict[str, Any]:
    peaks = measured(seed, 13.2)
    data = {"det_q_x_per_angstrom": peaks.q[:, 0], "det_q_y_per_angstrom": peaks.q[:, 1].tolist()}
    return {
        "uid": uid,
        "time": 1700000000.0,
        "data": {**data, "det_intensity": peaks.intensity, "heater_k": 875, "shutter": True, "name": "x"},
    }


async def _from_asyncio(broker: BrokerProcess, first: PatternMeasured) -> None:
    async with connect_async(broker.file, name="bob", timeout_s=30) as client:
        several = [client.submit_pattern(measured(seed, 13.2), lattices=(3.16, 3.16)) for seed in (5, 6)]
        events = await asyncio.gather(*several)
        assert [event.analysis.closest[0].candidate_id for event in events] == ["c0001", "c0001"]
        assert {event.requester for event in events} == {"bob"}
        assert len({event.pattern_id for event in events}) == 2
        assert (await client.patterns())[0].message == first
        target = await client.retarget_to_pattern(first.pattern_id, 0.25)
        assert (target.twist_deg, target.tolerance_deg) == (first.analysis.twist_deg, 0.25)
        await client.propose("x", {"temperature_k": 2000.0})
        assert len(set(await client.replicate("x", 2))) == 2
        for name, *arguments in SAME_OF_BOTH:
            ours = await getattr(client, name)(*arguments)
            assert ours == await asyncio.to_thread(_blocking, broker, name, *arguments), name
        frame = await client.results_frame()
        assert frame.equals(await asyncio.to_thread(_blocking, broker, "results_frame"))
        assert await client.targets() == (target,)
        ours = await client.compare(measured(1, 8.3))
        assert ours.closest == (await asyncio.to_thread(_blocking, broker, "compare", measured(1, 8.3))).closest


def _blocking(broker: BrokerProcess, name: str, *arguments: Any) -> Any:
    with connect(broker.file, timeout_s=30) as client:
        return getattr(client, name)(*arguments)
