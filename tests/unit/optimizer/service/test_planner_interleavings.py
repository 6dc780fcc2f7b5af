"""The planner under any interleaving of what can happen to candidates, with kills, replays and duplicates."""

from __future__ import annotations

from typing import Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moireloop_broker.contract.events import Event
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_optimizer.service.planner import Planner
from moireloop_optimizer.settings import OptimizerSettings
from tests.helpers.campaign_events import candidate, failed, finished, leased, queued, result

SPACE = SearchSpace.model_validate({"temperature_k": [1000, 3000], "lattice_strain": [0.0, 0.05]})
Mode = Literal["async", "batch"]
ACTIONS = (
    "propose",
    "outside",
    "lease",
    "finish",
    "fail",
    "measured",
    "refused",
    "failed",
    "cancelled",
    "kill",
    "again",
)


HAPPENS_IN: dict[str, tuple[str, ...]] = {
    "lease": ("queued",),
    "finish": ("running",),
    "fail": ("running",),
    "measured": ("analysing",),
    "refused": ("analysing",),
    "failed": ("running",),
    "cancelled": ("queued", "running", "analysing"),
}


class Campaign:
    """A campaign driven step by step: the log is the truth, the planner may be killed at any moment."""

    def __init__(self, mode: Mode, results: int, workers: int) -> None:
        self.mode, self.results, self.workers = mode, results, workers
        self.log: list[Event] = []
        self.stages: dict[str, tuple[str, int, str]] = {}
        self.used = 0
        self.planner = self.fresh()

    def fresh(self) -> Planner:
        settings = OptimizerSettings(mode=self.mode, initial=3, n_batch=2)
        budget = BudgetSettings(results=self.results)
        plan = Planner(SPACE, [Target(twist_deg=5.0), Target(twist_deg=9.0)], settings, budget, self.workers)
        for event in self.log:
            plan.apply(event)
        return plan

    def happen(self, event: Event) -> None:
        self.log.append(event)
        self.planner.apply(event)

    def queue(self, name: str, strategy: str) -> None:
        assert name not in self.stages
        self.stages[name] = ("queued", 1, strategy)
        self.happen(queued(candidate(name, strategy=strategy)))

    def propose(self, at_most: int) -> None:
        """Propose what is wanted, or only the first of it: a kill may come in between."""
        for place in self.planner.places(self.planner.proposals_due(200.0))[:at_most]:
            self.queue(place.candidate_id, "qei")

    def guest(self, name: str) -> None:
        """A candidate from outside, with an id that may be one of the next of ours; a known id changes nothing."""
        if name not in self.stages:
            self.queue(name, "outside")

    def settle(self, name: str, outcome: Literal["measured", "refused", "failed", "cancelled"]) -> None:
        _, attempt, strategy = self.stages.pop(name)
        self.stages[name] = (outcome, attempt, strategy)
        self.used += outcome != "cancelled"
        self.happen(result(candidate(name, strategy=strategy), outcome, attempt=attempt))

    def pick(self, stage: tuple[str, ...], which: int) -> str | None:
        names = [name for name, (now, _, _) in self.stages.items() if now in stage]
        return names[which % len(names)] if names else None

    def move(self, action: str, which: int) -> None:
        """Do one of ACTIONS to one of the candidates that it can happen to."""
        if action == "propose":
            return self.propose(which + 1)
        if action == "outside":
            return self.guest(f"c{which + 1:05d}")
        if action == "kill":
            self.planner = self.fresh()
            return None
        if action == "again":
            for event in self.log[which % (len(self.log) or 1) :]:
                self.planner.apply(event)
            return None
        return self.run(action, which)

    def run(self, action: str, which: int) -> None:
        name = self.pick(HAPPENS_IN[action], which)
        if name is None:
            return
        _, attempt, strategy = self.stages[name]
        if action == "lease":
            self.stages[name] = ("running", attempt, strategy)
            self.happen(leased(name, attempt))
        elif action == "finish":
            self.stages[name] = ("analysing", attempt, strategy)
            self.happen(finished(name, attempt))
        elif action == "fail":
            self.stages[name] = ("queued", attempt + 1, strategy)
            self.happen(failed(name, attempt))
            self.happen(queued(candidate(name, strategy=strategy), attempt + 1))
        else:
            self.settle(name, action)  # type: ignore[arg-type]

    @property
    def open(self) -> list[str]:
        return [name for name, (now, _, _) in self.stages.items() if now in ("queued", "running", "analysing")]


moves = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 20)), max_size=60)
modes: st.SearchStrategy[Mode] = st.sampled_from(["async", "batch"])


@given(modes, st.integers(1, 12), st.integers(1, 4), moves)
@settings(deadline=None, max_examples=150)
def test_the_budget_is_never_exceeded(mode: Mode, results: int, workers: int, todo: list[tuple[str, int]]) -> None:
    """After every step, what is wanted fits in the budget beside what is used and what is pending."""
    campaign = Campaign(mode, results, workers)
    for action, which in todo:
        campaign.move(action, which)
        wanted = campaign.planner.proposals_due(200.0)
        assert wanted == 0 or campaign.used + len(campaign.open) + wanted <= results
        assert campaign.planner.counted == campaign.used


@given(modes, st.integers(1, 12), st.integers(1, 4), moves)
@settings(deadline=None, max_examples=100)
def test_a_replay_gives_the_same_decisions(mode: Mode, results: int, workers: int, todo: list[tuple[str, int]]) -> None:
    """A planner rebuilt from the log, and one that sees the log twice, decide as the one that lived through it."""
    campaign = Campaign(mode, results, workers)
    for action, which in todo:
        campaign.move(action, which)
    twice = campaign.fresh()
    for event in campaign.log:
        twice.apply(event)
    for other in (campaign.fresh(), twice):
        assert other.proposals_due(200.0) == campaign.planner.proposals_due(200.0)
        assert other.places(3) == campaign.planner.places(3)
        assert other.counted == campaign.planner.counted
        np.testing.assert_array_equal(other.runs.twist_deg, campaign.planner.runs.twist_deg)
        np.testing.assert_array_equal(other.pending_points, campaign.planner.pending_points)


@given(modes, st.integers(1, 12), st.integers(1, 4), moves)
@settings(deadline=None, max_examples=60)
def test_a_campaign_always_ends(mode: Mode, results: int, workers: int, todo: list[tuple[str, int]]) -> None:
    """Whatever happened before, workers that go on working use up exactly the budget (more only from outside)."""
    campaign = Campaign(mode, results, workers)
    for action, which in todo:
        campaign.move(action, which)
    for _ in range(2000):
        if campaign.planner.is_complete(200.0):
            break
        campaign.propose(1000)
        for action in ("lease", "finish", "measured"):
            campaign.move(action, 0)
    assert campaign.planner.is_complete(200.0)
    outside = sum(strategy == "outside" for _, _, strategy in campaign.stages.values())
    assert results <= campaign.used <= max(results, results + outside)
