"""Builds events of a log for the planner's tests."""

from __future__ import annotations

from typing import Literal

from moireloop_broker.contract.events import (
    CampaignChanged,
    Candidate,
    CandidateQueued,
    Measurement,
    Result,
    RunFailed,
    RunFinished,
    RunLeased,
    RunReport,
    StageTimes,
)

Outcome = Literal["measured", "refused", "failed", "cancelled"]


def candidate(name: str, *, strategy: str = "qei", temperature_k: float = 2000.0, strain: float = 0.02) -> Candidate:
    parameters = {"temperature_k": temperature_k, "lattice_strain": strain}
    return Candidate(candidate_id=name, parameters=parameters, seed=1, strategy=strategy, proposed_s=100.0)


def queued(candidate: Candidate, attempt: int = 1, at_s: float = 100.0) -> CandidateQueued:
    return CandidateQueued(candidate=candidate, attempt=attempt, queued_s=at_s)


def leased(name: str, attempt: int = 1, at_s: float = 101.0) -> RunLeased:
    return RunLeased(candidate_id=name, attempt=attempt, worker="w0", leased_s=at_s)


def finished(name: str, attempt: int = 1, at_s: float = 103.0) -> RunFinished:
    report = RunReport(worker="w0", started_s=at_s - 1.0, finished_s=at_s, steps=10, md_s=1.0)
    return RunFinished(candidate_id=name, attempt=attempt, report=report)


def failed(name: str, attempt: int = 1, at_s: float = 102.0) -> RunFailed:
    return RunFailed(candidate_id=name, attempt=attempt, worker="w0", reason="lost", charged=True, failed_s=at_s)


def result(candidate: Candidate, outcome: Outcome = "measured", twist_deg: float = 5.0, attempt: int = 1) -> Result:
    measurement = Measurement(twist_deg=twist_deg) if outcome == "measured" else None
    return Result(
        candidate=candidate,
        attempt=attempt,
        outcome=outcome,
        reason=None if outcome == "measured" else "molten",
        measurement=measurement,
        times=StageTimes(proposed_s=100.0, logged_s=104.0),
    )


def changed(state: Literal["started", "resumed", "draining", "stopped", "completed"], at_s: float) -> CampaignChanged:
    return CampaignChanged(state=state, at_s=at_s)
