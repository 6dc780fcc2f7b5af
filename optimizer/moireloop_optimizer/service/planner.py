"""What to propose and when: events of the log in, numbered places for candidates out, without any I/O (pure).

The planner is rebuilt by feeding it the log from its start. Events may come twice, or the whole log again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from moireloop_broker.contract.events import (
    OUTSIDE,
    CampaignChanged,
    Candidate,
    CandidateQueued,
    Event,
    Requested,
    Result,
    RunFailed,
    RunFinished,
    RunLeased,
)
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import BudgetSettings, MissingParameter, Points, SearchSpace, Target, regret_deg
from moireloop_broker.contract.steered import Steered
from moireloop_broker.contract.steering import PauseRequest, ResumeRequest, SteeringRequest
from moireloop_optimizer.growths import MOST_GROWTHS, Chamber
from moireloop_optimizer.runs import GrowingRuns, Runs
from moireloop_optimizer.service.candidate_names import CandidateNames, candidate_id
from moireloop_optimizer.service.pace import Pace
from moireloop_optimizer.service.session_clock import SessionClock
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_optimizer.strategy_names import NO_STRATEGY

logger = logging.getLogger(__name__)

QUEUED, RUNNING, ANALYSING, FAILED = range(4)

KEPT_PATTERNS: Final = 10 * MOST_GROWTHS
"""Those without the parameters of the search space are among them: the space may change."""


@dataclass(frozen=True)
class Place:
    """A candidate to be filled with parameters: its running number from 1, its id, seed and target."""

    number: int
    candidate_id: str
    seed: int
    target: Target


@dataclass(frozen=True)
class _Pending:
    candidate: Candidate
    attempt: int
    stage: int
    leased_s: float | None = None


def candidate_seed(campaign_seed: int, number: int) -> int:
    """Seed of a candidate's run, in [0, 2**31), from the campaign's seed and the candidate's number."""
    return int(np.random.SeedSequence((campaign_seed, number)).generate_state(1)[0]) >> 1


class Planner:
    """The optimizer's view of the campaign, and its decisions.

    A candidate is pending while it is queued, running, finished but not analysed, or waiting for another attempt.
    Proposals and results together never exceed the budget: pending candidates hold a place of it, measured,
    refused and failed results use one up, a cancelled one gives its place back. Candidates from outside count
    like our own, unless `budget.outside_counts` says otherwise. Requests change targets, space and budget; `revision`
    rises with each change of the first two, after which an answer to an earlier question is useless.
    """

    def __init__(
        self,
        space: SearchSpace,
        targets: Sequence[Target],
        settings: OptimizerSettings,
        budget: BudgetSettings,
        workers: int,
    ) -> None:
        if not targets:
            raise ValueError("expected at least one target, got none")
        self.space = space
        self.targets = tuple(targets)
        self.settings = settings
        self.budget = budget
        self.workers = workers
        self.revision = 0
        self._first = (space, budget)
        self._steered = Steered()
        self._is_paused = False
        self.pace = Pace()
        self.clock = SessionClock()
        self._pending: dict[str, _Pending] = {}
        self._settled_names = CandidateNames()
        self._learnt = GrowingRuns(space)
        self._patterns: dict[str, PatternMeasured] = {}
        self._chamber: Chamber | None = None
        self._counted_own = self._counted_outside = 0
        self._own = CandidateNames()
        self._taken: set[str] = set()
        self._reached: set[Target] = set()
        self._next = 1

    def apply(self, event: Event) -> None:
        """Take in one event of the log; one that is known already changes nothing."""
        match event:
            case CandidateQueued():
                self._queued(event)
            case RunLeased():
                self._moved(event.candidate_id, event.attempt, RUNNING, event.leased_s)
            case RunFinished():
                self._moved(event.candidate_id, event.attempt, ANALYSING, event.report.finished_s)
            case RunFailed():
                self._moved(event.candidate_id, event.attempt, FAILED, event.failed_s)
            case Result():
                self._settled(event)
            case PatternMeasured() if self.settings.learn_from_patterns:
                self._measured(event)
            case CampaignChanged():
                self.clock.changed(event)
                self._is_paused = False
            case Requested():
                self._apply_request(event.request)

    @property
    def counted(self) -> int:
        """Results that use up the budget: all but the cancelled ones."""
        return self._counted_own + (self._counted_outside if self.budget.outside_counts else 0)

    @property
    def room(self) -> int:
        """How many more candidates the budget allows."""
        pending = sum(self._is_paid(pending.candidate) for pending in self._pending.values())
        return max(0, self.budget.results - self.counted - pending)

    @property
    def pending_points(self) -> Points:
        """(m, d) unit cube points of the pending candidates that have values for all parameters, oldest first."""
        whole = []
        for pending in self._pending.values():
            try:
                self.space.row(pending.candidate.parameters)
            except MissingParameter as error:
                logger.debug("pending candidate left out candidate=%s reason=%s", pending.candidate.candidate_id, error)
            else:
                whole.append(pending.candidate.parameters)
        return self.space.to_unit(whole)

    @property
    def runs(self) -> Runs:
        """What can be learnt from the results so far, and from measured patterns where the settings say so."""
        if not self._patterns:
            return self._learnt.runs
        self._chamber = self._chamber or Chamber(self._patterns.values(), self.space)
        return replace(self._learnt.runs, growths=self._chamber.growths)

    def is_complete(self, now_s: float) -> bool:
        """Whether the budget is used up (in results or in time) and nothing is pending any more."""
        return not self._pending and (self.counted >= self.budget.results or self._out_of_time(now_s))

    def proposals_due(self, now_s: float) -> int:
        """How many candidates to propose now (`now_s`: seconds since the epoch)."""
        if not self.allowed(now_s):
            return 0
        missing_initial = max(0, self.settings.initial - self._next + 1)
        if self.settings.mode == "batch":
            return min(self.room, self._batch_wanted(missing_initial))
        return min(self.room, max(missing_initial, self._ahead_wanted()))

    def allowed(self, now_s: float) -> int:
        """How many candidates may be proposed at most: the budget's room, none out of time or while draining."""
        is_closed = self.clock.is_closed or self._is_paused or self.settings.strategy == NO_STRATEGY
        return 0 if is_closed or self._out_of_time(now_s) else self.room

    def places(self, count: int) -> list[Place]:
        """The next `count` places for candidates, cycling over the targets not yet reached (all, when all are)."""
        open_targets = [target for target in self.targets if target not in self._reached] or list(self.targets)
        places: list[Place] = []
        number = self._next
        while len(places) < count:
            if not self._is_known(candidate_id(number)):
                target = open_targets[(number - 1) % len(open_targets)]
                seed = candidate_seed(self.settings.seed, number)
                places.append(Place(number, candidate_id(number), seed, target))
            number += 1
        return places

    def note_id_in_use(self, name: str) -> None:
        """Note that a candidate id is in use, though the log has not reported it: its place is passed over."""
        self._taken.add(name)

    def _apply_request(self, request: SteeringRequest) -> None:
        """Take in what a request changes; results so far keep their worth."""
        self._is_paused = isinstance(request, PauseRequest) or (
            self._is_paused and not isinstance(request, ResumeRequest)
        )
        steered = self._steered.after(request)
        if steered == self._steered:
            return
        self._steered, before = steered, (self.targets, self.space)
        self.targets = steered.targets or self.targets
        self.space, self.budget = steered.space(self._first[0]), steered.budget(self._first[1])
        if (self.targets, self.space) != before:
            self.revision += 1
            self._learnt.within(self.space)
            self._chamber = None
            self._reached = {target for target in self.targets if self._learnt.has_reached(target)}

    def _is_paid(self, candidate: Candidate) -> bool:
        """Whether a candidate takes a place of the budget."""
        return self.budget.outside_counts or candidate.strategy != OUTSIDE

    def _batch_wanted(self, missing_initial: int) -> int:
        if any(name in self._own for name in self._pending):
            return 0
        return missing_initial or self.settings.n_batch

    def _ahead_wanted(self) -> int:
        stages = [pending.stage for pending in self._pending.values()]
        free = max(0, self.workers - stages.count(RUNNING))
        return max(0, self.pace.ahead(self.workers) + free - stages.count(QUEUED))

    def _out_of_time(self, now_s: float) -> bool:
        limit_s = self.budget.wall_time_s
        return limit_s is not None and self.clock.elapsed_s(now_s) >= limit_s

    def _is_known(self, name: str) -> bool:
        return name in self._pending or name in self._settled_names or name in self._taken

    def _queued(self, event: CandidateQueued) -> None:
        name = event.candidate.candidate_id
        known = self._pending.get(name)
        if name in self._settled_names or (known and (known.attempt, known.stage) >= (event.attempt, QUEUED)):
            return
        self._pending[name] = _Pending(event.candidate, event.attempt, QUEUED)
        self._count_own(event.candidate)

    def _moved(self, name: str, attempt: int, stage: int, at_s: float) -> None:
        known = self._pending.get(name)
        if known is None or (known.attempt, known.stage) >= (attempt, stage):
            return
        if stage == RUNNING:
            self._pending[name] = replace(known, attempt=attempt, stage=stage, leased_s=at_s)
            return
        if stage == ANALYSING and known.leased_s is not None and known.attempt == attempt:
            self.pace.ran(at_s - known.leased_s)
        self._pending[name] = replace(known, attempt=attempt, stage=stage, leased_s=None)

    def _settled(self, result: Result) -> None:
        name = result.candidate.candidate_id
        self._pending.pop(name, None)
        if name in self._settled_names:
            return
        self._settled_names.add(name)
        self._learnt.add(result)
        if result.counts_for_budget and result.candidate.strategy == OUTSIDE:
            self._counted_outside += 1
        elif result.counts_for_budget:
            self._counted_own += 1
        self._count_own(result.candidate)
        twist_deg = result.twist_deg if result.outcome == "measured" else None
        if twist_deg is not None:
            self._reached.update(one for one in self.targets if regret_deg(twist_deg, one) <= one.tolerance_deg)

    def _measured(self, event: PatternMeasured) -> None:
        """Keep a pattern that has a twist; of many, the newest."""
        if event.analysis.twist_deg is None or event.pattern_id in self._patterns:
            return
        self._patterns[event.pattern_id], self._chamber = event, None
        while len(self._patterns) > KEPT_PATTERNS:
            del self._patterns[next(iter(self._patterns))]

    def _count_own(self, candidate: Candidate) -> None:
        if candidate.strategy != OUTSIDE:
            self._own.add(candidate.candidate_id)
        while self._is_known(candidate_id(self._next)):
            self._next += 1
