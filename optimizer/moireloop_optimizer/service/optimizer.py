"""The optimizer service: follows the event log, asks the fit process, proposes candidates (main)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import redis

from moireloop_broker.connection import read_connection
from moireloop_broker.contract.events import Candidate
from moireloop_broker.contract.message import START
from moireloop_broker.contract.search import BudgetSettings, Points, SearchSpace, Target
from moireloop_broker.membership.pools import live_workers
from moireloop_broker.processes.clock import boot_s
from moireloop_broker.settings import SessionSettings, WorkerCount
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.settings_store import Sections, read_settings
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_optimizer.service.fit_protocol import Answer, Question, packed_growths, packed_rows
from moireloop_optimizer.service.fitter import FitProcessLost, Fitter
from moireloop_optimizer.service.planner import Place, Planner
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import STAND_IN
from moireloop_optimizer.strategy_names import NO_STRATEGY, is_own

logger = logging.getLogger(__name__)

READ_LIMIT = 1000

IDLE_S = 0.5

COUNT_EVERY_S = 2.0

ANSWER_WAIT_S = 0.02

LEAST_RESULTS = 2

MOST_LOSSES = 3


@dataclass(frozen=True)
class Proposal:
    """A place filled: a (d,) point of the unit cube, and what chose it."""

    place: Place
    point: Points
    made_by: str


@dataclass(frozen=True)
class _Job:
    """Places for which the fit process is asked, and the planner's revision then."""

    places: list[Place]
    began_s: float
    fitter_was_warm: bool
    revision: int


class OptimizerService:
    """Keeps the queue filled. Its state is the planner's, rebuilt from the log, and the job in the fit process."""

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        campaign: str,
        planner: Planner,
        fitter: Fitter,
        began_boot_s: float | None = None,
        archive: Path | None = None,
    ) -> None:
        self._client = client
        self._log = EventLog(client, keys, archive)
        self._proposer = Proposer(client, keys)
        self._campaign = CampaignState(client, keys, campaign)
        self._planner = planner
        self._fitter = fitter
        self._began_boot_s = boot_s() if began_boot_s is None else began_boot_s
        self._since = START
        self._job: _Job | None = None
        self._busy = True
        self._losses = 0
        self._keys = keys
        self._counted_s = float("-inf")

    @property
    def planner(self) -> Planner:
        """What the service knows of the campaign."""
        return self._planner

    @property
    def is_asking(self) -> bool:
        """Whether the fit process has a question."""
        return self._job is not None

    def step(self) -> None:
        """Take in new events and replies, then propose or ask; waits at most half a second."""
        filled = self._take_answer(self._job) if self._job is not None else None
        self._count_workers()
        self._follow_log(0.0 if self._busy or self._job else IDLE_S)
        if self._job is None:
            self._busy = self._begin()
        elif filled is not None:
            self._finish(filled if self._job.revision == self._planner.revision else [])

    def close(self) -> None:
        """End the fit process and the connection."""
        self._fitter.close()
        self._client.close()

    def _count_workers(self) -> None:
        """As many as the pools keep now, which join and leave; before any has reported, the campaign file's number."""
        if time.monotonic() - self._counted_s >= COUNT_EVERY_S:
            counted = live_workers(self._client, self._keys)
            self._planner.workers = self._planner.workers if counted is None else counted
            self._counted_s = time.monotonic()

    def _follow_log(self, block_s: float) -> None:
        """Read the log to its end, so that what we proposed is known before the next decision."""
        if self._since == START:
            self._catch_up()
        while entries := self._log.read(self._since, READ_LIMIT, block_s):
            for entry_id, event in entries:
                self._planner.apply(event)
                self._since = entry_id
            block_s = 0.0

    def _catch_up(self) -> None:
        """Take in a log from its start in large blocks: that of a long campaign has hundreds of thousands of events."""
        for entry_id, event in self._log.replay():
            self._planner.apply(event)
            self._since = entry_id

    def _begin(self) -> bool:
        """Propose what needs no model, else put a question; whether there was something to do."""
        places = self._planner.places(self._planner.proposals_due(self._now_s()))
        if not places:
            return False
        learnt = self._is_learnt()
        unmodelled = [place for place in places if place.number <= self._planner.settings.initial or not learnt]
        if unmodelled:
            self._propose([self._by_sobol(place, self._unmodelled_name(place)) for place in unmodelled])
            return True
        if self._planner.settings.mode == "async":
            places = places[: self._planner.pace.at_once(self._planner.workers)]
        self._ask(_Job(places, time.monotonic(), self._fitter.is_warm, self._planner.revision))
        return True

    def _is_learnt(self) -> bool:
        if self._planner.settings.strategy == "random" or self._is_given_up:
            return False
        runs = self._planner.runs
        return len(runs) >= LEAST_RESULTS and bool(np.isfinite(runs.twist_deg).any())

    @property
    def _is_given_up(self) -> bool:
        """Whether a user's strategy has brought down its process so often that it is asked no more."""
        return self._losses >= MOST_LOSSES and not is_own(self._planner.settings.strategy)

    def _unmodelled_name(self, place: Place) -> str:
        settings = self._planner.settings
        if place.number <= settings.initial:
            return "initial"
        return "random" if settings.strategy == "random" else STAND_IN

    def _by_sobol(self, place: Place, made_by: str) -> Proposal:
        settings, dimension = self._planner.settings, self._planner.space.dimension
        point = sobol_points(1, dimension, seed=settings.seed, index=place.number - 1)[0]
        return Proposal(place, point, made_by)

    def _ask(self, job: _Job) -> None:
        self._job = job
        runs = self._planner.runs
        question = Question(
            strategy=self._planner.settings.strategy,
            seed=self._planner.settings.seed,
            n=len(job.places),
            index=job.places[0].number - 1,
            space=self._planner.space,
            points=packed_rows(runs.points),
            twist_deg=packed_rows(runs.twist_deg),
            sigma_deg=packed_rows(runs.sigma_deg),
            lattices=b"" if runs.lattices is None else packed_rows(runs.lattices),
            growths=packed_growths(runs.growths),
            pending=packed_rows(self._planner.pending_points),
            targets=list(self._planner.targets),
            replicates=self._planner.settings.replicates,
            options=self._planner.settings.options,
            suggest_s=self._planner.settings.suggest_s,
        )
        self._fitter.ask(question)

    def _take_answer(self, job: _Job) -> list[Proposal] | None:
        try:
            answer = self._fitter.answer(ANSWER_WAIT_S)
        except FitProcessLost as error:
            return self._without(job, error)
        if answer is None:
            return None
        return self._filled(job, answer) if job.revision == self._planner.revision else []

    def _filled(self, job: _Job, answer: Answer) -> list[Proposal]:
        self._losses = 0
        if answer.fit_failed:
            self._campaign.count({"fits_failed": 1})
        logger.info(
            "points chosen n=%d made_by=%s fit_s=%.3f acquisition_s=%.3f",
            len(job.places),
            ",".join(dict.fromkeys(answer.made_by)),
            answer.fit_s,
            answer.acquisition_s,
        )
        if job.fitter_was_warm:
            self._planner.pace.suggested(time.monotonic() - job.began_s)
        chosen = zip(job.places, answer.points, answer.aims, answer.made_by, strict=True)
        return [self._filled_place(place, np.array(point), aim, made_by) for place, point, aim, made_by in chosen]

    def _filled_place(self, place: Place, point: Points, aim: int, made_by: str) -> Proposal:
        if made_by == STAND_IN:
            return self._by_sobol(place, made_by)
        return Proposal(replace(place, target=self._planner.targets[aim]), point, made_by)

    def _without(self, job: _Job, error: FitProcessLost) -> list[Proposal]:
        """All places filled from the Sobol sequence: the workers shall not wait for a new process."""
        self._losses += 1
        logger.error("fit process lost reason=%s", error)
        if self._is_given_up:
            logger.error("strategy given up for this session strategy=%s", self._planner.settings.strategy)
        self._campaign.count({"fit_processes_lost": 1})
        return [self._by_sobol(place, STAND_IN) for place in job.places]

    def _finish(self, filled: list[Proposal]) -> None:
        self._job, self._busy = None, True
        self._propose(filled[: self._planner.allowed(self._now_s())])

    def _now_s(self) -> float:
        """Seconds since the epoch as they would be if no clock had been set since the session began."""
        began_s = self._planner.clock.began_s
        return time.time() if began_s is None else began_s + boot_s() - self._began_boot_s

    def _propose(self, proposals: list[Proposal]) -> None:
        if not proposals:
            return
        space, budget = self._planner.space, self._planner.budget
        parameters = space.from_unit(np.array([proposal.point for proposal in proposals]))
        candidates = [_candidate(*both) for both in zip(proposals, parameters, strict=True)]
        limit = budget.results if budget.outside_counts else None
        outcomes = self._proposer.propose_several(candidates, budget=limit)
        for candidate, outcome in zip(candidates, outcomes, strict=True):
            if outcome == "spent":
                logger.info("no room in the budget candidate=%s", candidate.candidate_id)
            elif outcome == "known":
                logger.warning("candidate id taken candidate=%s", candidate.candidate_id)
                self._planner.note_id_in_use(candidate.candidate_id)


def _candidate(proposal: Proposal, parameters: dict[str, float]) -> Candidate:
    place = proposal.place
    return Candidate(
        candidate_id=place.candidate_id,
        parameters=parameters,
        seed=place.seed,
        target_deg=place.target.twist_deg,
        strategy=proposal.made_by,
        proposed_s=time.time(),
    )


def open_optimizer(connection_file: Path) -> OptimizerService:
    """The service of the campaign that a connection file describes.

    Raises:
        NoConnectionFile: no usable connection file.
        SettingsUnusable: the campaign's settings lack a section, or one is not valid.
    """
    connection = read_connection(connection_file)
    client, keys = connection.open_redis(), connection.keys
    sections = read_settings(client, keys)
    settings = sections.section("optimizer", OptimizerSettings)
    planner = Planner(
        sections.section("space", SearchSpace),
        sections.section("targets", list[Target]),
        settings,
        sections.section("budget", BudgetSettings),
        sections.section("workers", WorkerCount).count,
    )
    fitter = Fitter(settings.threads)
    if settings.strategy not in ("random", NO_STRATEGY):
        fitter.start()
    began_s = _began_boot_s(sections)
    return OptimizerService(client, keys, connection.campaign, planner, fitter, began_s, connection.archive)


def _began_boot_s(sections: Sections) -> float | None:
    """When the session began by the boot clock of this machine, on which the conductor runs too; None where unknown."""
    return sections.section("session", SessionSettings).began_boot_s if "session" in sections else None
