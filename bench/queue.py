"""The queue: no-op candidates from proposal to result through two workers and one analyzer, and their latency."""

from __future__ import annotations

import time
from statistics import median
from typing import Any, cast

import redis

from bench.campaigns import campaign_of, session, wait_until
from bench.table import Row
from moireloop_broker.contract.events import Candidate, Result, RunLeased
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.work_queue.proposals import Proposer

NOTHING_TO_DO = {"model": "noop", "cells": [2, 2]}  # too few atoms for a twist: refused at once
PROPOSED_AT_ONCE = 50
POINT = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.1}


def candidate_of(name: str) -> Candidate:
    return Candidate(candidate_id=name, parameters=POINT, seed=1, proposed_s=time.time())


def raw_hops_per_s(client: redis.Redis, rounds: int) -> float:
    """Bare XADD + XREADGROUP + XACK on the same server: what any queue on a Redis stream pays at least."""
    client.xgroup_create("raw", "group", mkstream=True)
    begun_s = time.perf_counter()
    for _ in range(rounds):
        client.xadd("raw", {"e": b"x" * 300})
        answer = client.xreadgroup("group", "me", {"raw": ">"}, count=1)
        client.xack("raw", "group", cast("Any", answer)[0][1][0][0])
    elapsed_s = time.perf_counter() - begun_s
    client.delete("raw")
    return rounds / elapsed_s


def candidates_per_s(state: CampaignState, proposer: Proposer, name: str, count: int) -> float:
    """No-op candidates per second, from the first proposal to the last result; proposed in blocks, as the optimizer."""
    settled = state.counts()["refused"]
    begun_s = time.perf_counter()
    for first in range(0, count, PROPOSED_AT_ONCE):
        numbers = range(first, min(first + PROPOSED_AT_ONCE, count))
        proposer.propose_several([candidate_of(f"{name}-{number}") for number in numbers])
    wait_until(lambda: state.counts()["refused"] == settled + count, "all results", every_s=0.01)
    return count / (time.perf_counter() - begun_s)


def beside_raw_hops(
    client: redis.Redis, state: CampaignState, proposer: Proposer, count: int, slices: int
) -> list[tuple[float, float]]:
    """Candidates and bare hops per second, by turns, so that both see the same load."""
    found = []
    for number in range(slices):
        raw = raw_hops_per_s(client, count)
        found.append((candidates_per_s(state, proposer, f"s{number}", count), raw))
    return found


def latencies_s(client: redis.Redis, keys: Keys, state: CampaignState, proposer: Proposer, count: int) -> list[float]:
    """Seconds from queued to leased for candidates that come one at a time to an idle worker."""
    queued: dict[str, float] = {}
    for number in range(count):
        name = f"single{number}"
        proposer.propose(candidate_of(name))
        wait_until(lambda: not any(state.counts()[s] for s in ("queued", "running", "analysing")), name, every_s=0.002)
    found = []
    for _, event in EventLog(client, keys).replay():
        if isinstance(event, Result) and event.candidate.candidate_id.startswith("single"):
            queued[event.candidate.candidate_id] = event.times.queued_s or 0.0
        if isinstance(event, RunLeased) and event.candidate_id.startswith("single"):
            found.append((event.candidate_id, event.leased_s))
    return [leased_s - queued[name] for name, leased_s in found]


def rows(candidates: int = 500, slices: int = 10, single: int = 200) -> list[Row]:
    """Rate of no-op candidates in slices, and latency from queue to worker of single ones."""
    with (
        campaign_of(NOTHING_TO_DO, workers=2, results=1_000_000) as campaign,
        session(campaign, without=("optimizer",)) as (_, connection),
    ):
        client = connection.open_redis()
        proposer = Proposer(client, connection.keys)
        state = CampaignState(client, connection.keys, connection.campaign)
        proposer.propose(candidate_of("first"))
        wait_until(lambda: state.counts()["refused"] == 1, "the first result")
        latency_ms = 1000 * median(latencies_s(client, connection.keys, state, proposer, single))
        pairs = beside_raw_hops(client, state, proposer, candidates, slices)
        client.close()
    rate, raw = (median(side) for side in zip(*pairs, strict=True))
    ratios = sorted(rate / raw for rate, raw in pairs)
    baseline = f"bare XADD+XREADGROUP+XACK {raw:,.0f}/s by turns; MatEnsemble 2.6/s (published design)"
    spread = f"{slices} slices of {candidates}, {ratios[0]:.2f} to {ratios[-1]:.2f}"
    return [
        Row("no-op candidates, proposal to result, two workers", rate, "1/s", 500, "at least", baseline),
        Row("the same over bare hops, median", median(ratios), "", 0.6, "at least", spread),
        Row("queue to worker, median", latency_ms, "ms", 10, "at most"),
    ]
