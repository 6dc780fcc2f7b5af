"""What requests do to a campaign: each is carried out whole and logged with who asked, or refused (adapter)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import redis
from pydantic import ValidationError

from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.events import CampaignChanged, Candidate, Requested
from moireloop_broker.contract.patterns import PatternMeasured, SubmitPatternRequest
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steered import Steered
from moireloop_broker.contract.steering import (
    CancelRequest,
    ChangeBudgetRequest,
    ChangeSpaceRequest,
    NoteRequest,
    PauseRequest,
    PrioritiseRequest,
    ProposeRequest,
    ReplicateRequest,
    ResumeRequest,
    RetargetRequest,
    ScaleRequest,
    SteeringRequest,
    StopRequest,
    WithdrawRequest,
)
from moireloop_broker.membership.pools import SIZES, pools_of, wanted_sizes
from moireloop_broker.state.campaign_state import RUNNING, CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.campaign import CampaignScripts
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.state.work_queue.proposals import Proposer

LONGEST_REFUSAL: Final = 1000

MOST_PATTERNS: Final = 100_000
"""Of one campaign: its log, which nothing is taken out of, stays below 4 GB of them."""

TAKES: Final = ("started", "resumed")
"""States in which candidates are leased."""


class InvalidRequest(Exception):
    """A well-formed request that cannot be carried out; `error` is its name on the wire."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class Steering:
    """Carries requests out, one at a time. All state is in Redis, so that a broker may be killed at any moment."""

    def __init__(self, client: redis.Redis, keys: Keys, campaign: CampaignState, archive: Path | None = None) -> None:
        self._client = client
        self._keys = keys
        self._campaign = campaign
        self._log = EventLog(client, keys, archive)
        self._proposer = Proposer(client, keys)
        self._scripts = CampaignScripts(client, keys)

    def carry_out(self, request: SteeringRequest) -> None:
        """Do what a request asks for and log it; nothing where that was done before.

        Raises:
            InvalidRequest: it makes no sense now.
        """
        asked = Requested(requester=request.requester, request=request, at_s=time.time())
        match request:
            case ProposeRequest():
                self._propose(asked, request.candidate_id, request.parameters, request.seed)
            case ReplicateRequest():
                self._replicate(request, asked)
            case CancelRequest() | WithdrawRequest():
                self._end(request, asked)
            case PrioritiseRequest():
                self._prioritise(request, asked)
            case PauseRequest() | ResumeRequest() | StopRequest():
                self._change_state(request, asked)
            case RetargetRequest():
                self._retarget(request, asked)
            case ChangeSpaceRequest():
                self._change_space(request, asked)
            case ChangeBudgetRequest():
                self._change_budget(request, asked)
            case ScaleRequest():
                self._scale(request, asked)
            case NoteRequest():
                self._note(request, asked)

    def submit(self, request: SubmitPatternRequest) -> PatternMeasured:
        """Log a measured pattern once; returns its event in the log, the first one if it was logged before.

        Raises:
            InvalidRequest: another measurement has its id, or no more patterns are taken.
        """
        event = PatternMeasured(
            pattern_id=request.pattern_id,
            requester=request.requester,
            peaks=request.peaks,
            analysis=request.analysis,
            parameters=request.parameters,
            measured_s=request.measured_s,
            at_s=time.time(),
        )
        outcome, log_id = self._scripts.submit_pattern(
            request.pattern_id, digest=_digest(request), event=pack(event), most=MOST_PATTERNS
        )
        if outcome == "other":
            raise InvalidRequest(
                "OtherPattern",
                f"{request.pattern_id} is the id of a pattern with other peaks, parameters or time; submit this "
                f"one under another id",
            )
        if outcome == "full":
            raise InvalidRequest("TooManyPatterns", f"expected at most {MOST_PATTERNS} patterns in a campaign")
        return event if outcome == "logged" else self._log.event(log_id, PatternMeasured)

    def _propose(self, asked: Requested, candidate_id: str, parameters: dict[str, float], seed: int) -> None:
        bounds = read_settings(self._client, self._keys).section("space", SearchSpace).root
        if parameters.keys() != bounds.keys():
            expected, came = sorted(bounds), sorted(parameters)
            raise InvalidRequest("UnknownParameters", f"expected parameters {expected}, got {came}")
        for name, value in parameters.items():
            low, high = bounds[name]
            if not low <= value <= high:
                raise InvalidRequest("OutOfBounds", f"expected {name} in [{low:g}, {high:g}], got {value:g}")
        self._refuse_unless_running()
        candidate = Candidate(candidate_id=candidate_id, parameters=parameters, seed=seed, proposed_s=time.time())
        outcome = self._proposer.propose(candidate, asked=asked, budget=self._budget_for_outside())
        if outcome == "spent":
            raise InvalidRequest("BudgetSpent", self._spent())
        if outcome == "known":
            self._refuse_another(candidate, self._proposer.candidate(candidate_id))

    def _refuse_another(self, proposed: Candidate, known: Candidate) -> None:
        if (known.parameters, known.seed) != (proposed.parameters, proposed.seed):
            raise InvalidRequest(
                "OtherCandidate",
                f"{known.candidate_id} is the id of a candidate with parameters {known.parameters} and seed "
                f"{known.seed}; propose others under a new id"[:LONGEST_REFUSAL],
            )

    def _replicate(self, request: ReplicateRequest, asked: Requested) -> None:
        if not self._proposer.is_known(request.candidate_id):
            raise _unknown(request.candidate_id)
        recipe = self._proposer.candidate(request.candidate_id)
        seed = _seed_of(request.new_id) if request.seed is None else request.seed
        if seed == recipe.seed:
            raise InvalidRequest("SameSeed", f"expected a seed that {recipe.candidate_id} does not have, got {seed}")
        self._propose(asked, request.new_id, recipe.parameters, seed)

    def _end(self, request: CancelRequest | WithdrawRequest, asked: Requested) -> None:
        only_queued = isinstance(request, WithdrawRequest)
        outcome = self._proposer.cancel(request.candidate_id, request.reason, asked=asked, only_queued=only_queued)
        if outcome == "unknown":
            raise _unknown(request.candidate_id)
        if outcome == "running":
            raise InvalidRequest("TooLate", f"{request.candidate_id} is already running; cancel ends it")
        if outcome == "late":
            raise InvalidRequest("TooLate", f"the run of {request.candidate_id} is over")

    def _prioritise(self, request: PrioritiseRequest, asked: Requested) -> None:
        self._refuse_unless_running()
        outcome = self._proposer.prioritise(request.candidate_id, request.place, asked)
        if outcome == "unknown":
            raise _unknown(request.candidate_id)
        if outcome == "late":
            raise InvalidRequest("TooLate", f"{request.candidate_id} is no longer in the queue")

    def _change_state(self, request: PauseRequest | ResumeRequest | StopRequest, asked: Requested) -> None:
        if isinstance(request, StopRequest):
            changed = CampaignChanged(state="draining", reason=request.reason, at_s=time.time())
            self._scripts.steer(states=RUNNING, new_state="draining", event=pack(asked), further_event=pack(changed))
            return
        is_pause = isinstance(request, PauseRequest)
        states, new_state = (TAKES, "paused") if is_pause else (("paused",), "resumed")
        if self._scripts.steer(states=states, new_state=new_state, event=pack(asked)):
            return
        self._refuse_unless_running()
        if not is_pause:
            raise InvalidRequest("NotPaused", "the campaign is not paused")

    def _retarget(self, request: RetargetRequest, asked: Requested) -> None:
        twists = [wanted.twist_deg for wanted in request.targets]
        if len(set(twists)) < len(twists):
            raise InvalidRequest("SameTarget", f"expected different twists, got {twists}"[:LONGEST_REFUSAL])
        targets = Steered().after(request).targets or ()
        if list(targets) == read_settings(self._client, self._keys).section("targets", list[Target]):
            return self._refuse_unless_running()
        self._set("targets", [target.model_dump(mode="json") for target in targets], asked)
        waiting = [one for one in self._proposer.queued() if one.target_deg is not None]
        unwanted = [one for one in waiting if one.target_deg not in twists]
        self._withdraw(unwanted, f"proposed for a target that {request.requester} gave up")
        return None

    def _change_space(self, request: ChangeSpaceRequest, asked: Requested) -> None:
        sections = read_settings(self._client, self._keys)
        present = sections.section("space", SearchSpace)
        if unknown := sorted(request.space.keys() - present.root.keys()):
            names = list(present.names)
            raise InvalidRequest("UnknownParameters", f"expected parameters among {names}, got {unknown[0]!r}")
        limits = sections.plain("limits") if "limits" in sections else {}
        for name, (low, high) in request.space.items():
            lowest, highest = limits.get(name, (low, high))
            if low < lowest or high > highest:
                text = f"expected {name} within [{lowest:g}, {highest:g}], got [{low:g}, {high:g}]"
                raise InvalidRequest("OutOfBounds", text)
        try:
            space = Steered().after(request).space(present)
        except ValidationError as error:
            raise InvalidRequest("BadRange", str(error.errors()[0]["msg"])[:LONGEST_REFUSAL]) from error
        if space == present:
            return self._refuse_unless_running()
        self._set("space", space.model_dump(mode="json"), asked)
        outside = [one for one in self._proposer.queued() if not _is_within(one, space)]
        self._withdraw(outside, f"outside the search space that {request.requester} asked for")
        return None

    def _change_budget(self, request: ChangeBudgetRequest, asked: Requested) -> None:
        present = self._budget()
        budget = Steered().after(request).budget(present)
        if budget.results < (done := self._result_count()):
            text = f"expected at least the {done} results that are there, got {budget.results}; stop ends the campaign"
            raise InvalidRequest("BudgetSpent", text)
        if budget == present:
            return self._refuse_unless_running()
        self._set("budget", budget.model_dump(mode="json"), asked)
        counts = self._campaign.counts()
        pending = sum(counts[stage] for stage in ("queued", "running", "analysing"))
        beyond = max(0, self._result_count() + pending - budget.results)
        queued = self._proposer.queued()
        self._withdraw(queued[len(queued) - min(beyond, len(queued)) :], "beyond the remaining budget")
        return None

    def _scale(self, request: ScaleRequest, asked: Requested) -> None:
        pools = pools_of(self._client, self._keys)
        if request.pool not in pools:
            there = ", ".join(sorted(pools)) or "none"
            raise InvalidRequest("UnknownPool", f"expected a pool of this campaign ({there}), got {request.pool!r}")
        pool = pools[request.pool]
        if pool.room is not None and request.workers > max(pool.room, pool.workers):
            text = f"expected at most {pool.room} workers, which fit on {pool.host}, got {request.workers}"
            raise InvalidRequest("NoRoom", text)
        sizes = wanted_sizes(self._client, self._keys)
        if sizes.get(request.pool, pool.workers) == request.workers:
            return self._refuse_unless_running()
        self._set(SIZES, sizes | {request.pool: request.workers}, asked)
        return None

    def _note(self, request: NoteRequest, asked: Requested) -> None:
        if request.candidate_id is not None and not self._proposer.is_known(request.candidate_id):
            raise _unknown(request.candidate_id)
        self._log.append(asked)

    def _set(self, section: str, value: object, asked: Requested) -> None:
        if not self._scripts.steer(states=RUNNING, section=section, value=json.dumps(value), event=pack(asked)):
            self._refuse_unless_running()

    def _withdraw(self, candidates: Sequence[Candidate], reason: str) -> None:
        for candidate in candidates:
            self._proposer.cancel(candidate.candidate_id, reason, only_queued=True)

    def _refuse_unless_running(self) -> None:
        if self._campaign.state not in RUNNING:
            raise InvalidRequest("Draining", "the campaign is draining or has ended; it accepts no more candidates")

    def _budget(self) -> BudgetSettings:
        return read_settings(self._client, self._keys).section("budget", BudgetSettings)

    def _budget_for_outside(self) -> int | None:
        sections = read_settings(self._client, self._keys)
        if "budget" not in sections:
            return None
        budget = sections.section("budget", BudgetSettings)
        return budget.results if budget.outside_counts else None

    def _result_count(self) -> int:
        counts = self._campaign.counts()
        return sum(counts[outcome] for outcome in ("measured", "refused", "failed"))

    def _spent(self) -> str:
        results, budget = self._result_count(), self._budget().results
        return (
            f"expected room in the budget of {budget} results, got none: {results} are there, and "
            f"the pending candidates, none of which the optimizer could give up, take up the rest; raise the "
            f"budget, or cancel candidates"
        )


def _digest(request: SubmitPatternRequest) -> str:
    """What was measured, in short: an analysis may differ, since more results are there later."""
    measured = request.model_dump_json(include={"peaks", "parameters", "measured_s"})
    return hashlib.sha256(measured.encode()).hexdigest()


def _unknown(candidate_id: str) -> InvalidRequest:
    return InvalidRequest("UnknownCandidate", f"expected a known candidate, got {candidate_id!r}")


def _seed_of(new_id: str) -> int:
    """A seed in [0, 2**31) from the new id, so that the same request twice is one candidate."""
    return int.from_bytes(hashlib.sha256(new_id.encode()).digest()[:4], "big") >> 1


def _is_within(candidate: Candidate, space: SearchSpace) -> bool:
    inside = ((name, low, high) for name, (low, high) in space.root.items() if name in candidate.parameters)
    return all(low <= candidate.parameters[name] <= high for name, low, high in inside)
