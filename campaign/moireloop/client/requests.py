"""Requests from a caller's arguments: accepts numbers of any library and names what is wrong (pure)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, SupportsFloat, TypeVar

from pydantic import ValidationError

from moireloop_broker.contract.control import ReplayRequest
from moireloop_broker.contract.message import Message
from moireloop_broker.contract.patterns import PatternAnalysis, PatternMeasured, PatternPeaks, SubmitPatternRequest
from moireloop_broker.contract.search import Target
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
    StopRequest,
    WantedTwist,
    WithdrawRequest,
)

LONGEST_SHOWN: Final = 60

MOST_RUNS: Final = 1000

Number = SupportsFloat
"""A number of Python, numpy or pandas."""

WantedTarget = Number | tuple[Number, Number] | Mapping[str, Number] | Target
"""A twist in degrees by itself, with its tolerance, or as a campaign file has it."""

M = TypeVar("M", bound=Message)


class BadArgument(ValueError):
    """An argument is invalid; the text names it, what was expected and what came."""


def propose(candidate_id: str, parameters: Mapping[str, Number], seed: int, requester: str) -> ProposeRequest:
    """A request for a candidate. Raises BadArgument."""
    return _request(
        ProposeRequest, candidate_id=candidate_id, parameters=_floats(parameters), seed=seed, requester=requester
    )


def replicate(candidate_id: str, new_id: str, seed: int | None, requester: str) -> ReplicateRequest:
    """A request for one more run of a candidate's parameters. Raises BadArgument."""
    return _request(ReplicateRequest, candidate_id=candidate_id, new_id=new_id, seed=seed, requester=requester)


def replicates(candidate_id: str, runs: int, requester: str) -> list[ReplicateRequest]:
    """Requests for a number of further runs, under new names. Raises BadArgument."""
    runs = _plain(runs)
    if isinstance(runs, bool) or not isinstance(runs, int) or not 1 <= runs <= MOST_RUNS:
        raise BadArgument(f"runs: expected 1 to {MOST_RUNS}, got {_shown(runs)}")
    names = [f"{str(candidate_id)[:50]}-{secrets.token_hex(4)}" for _ in range(runs)]
    return [replicate(candidate_id, name, None, requester) for name in names]


def cancel(candidate_id: str, reason: str, requester: str) -> CancelRequest:
    """A request for the end of a candidate. Raises BadArgument."""
    return _request(CancelRequest, candidate_id=candidate_id, reason=reason, requester=requester)


def withdraw(candidate_id: str, reason: str, requester: str) -> WithdrawRequest:
    """A request to take a candidate out of the queue. Raises BadArgument."""
    return _request(WithdrawRequest, candidate_id=candidate_id, reason=reason, requester=requester)


def prioritise(candidate_id: str, place: int, requester: str) -> PrioritiseRequest:
    """A request for another place in the queue. Raises BadArgument."""
    return _request(PrioritiseRequest, candidate_id=candidate_id, place=place, requester=requester)


def stop(reason: str, requester: str) -> StopRequest:
    """A request for the end of the campaign. Raises BadArgument."""
    return _request(StopRequest, reason=reason, requester=requester)


def scale(workers: int, pool: str, requester: str) -> ScaleRequest:
    """A request for a number of workers in a pool. Raises BadArgument."""
    return _request(ScaleRequest, workers=workers, pool=pool, requester=requester)


def pause(reason: str, requester: str) -> PauseRequest:
    """A request for a pause. Raises BadArgument."""
    return _request(PauseRequest, reason=reason, requester=requester)


def resume(requester: str) -> ResumeRequest:
    """A request to continue after a pause. Raises BadArgument."""
    return _request(ResumeRequest, requester=requester)


def retarget(targets: WantedTarget | Iterable[WantedTarget], requester: str) -> RetargetRequest:
    """A request for other targets: one or several. Raises BadArgument."""
    return _request(RetargetRequest, targets=[_target_fields(one) for one in _several(targets)], requester=requester)


def _several(targets: Any) -> list[Any]:
    """One target in a list, or several; a tuple of two numbers is one with its tolerance."""
    plain = targets.tolist() if hasattr(targets, "tolist") else targets
    is_pair = isinstance(plain, tuple) and len(plain) == 2 and all(isinstance(one, SupportsFloat) for one in plain)
    is_one = is_pair or isinstance(plain, str | Target | Mapping) or not isinstance(plain, Iterable)
    return [plain] if is_one else list(plain)


def change_space(space: Mapping[str, Sequence[Number]], requester: str) -> ChangeSpaceRequest:
    """A request for other bounds. Raises BadArgument."""
    if not isinstance(space, Mapping):
        raise BadArgument(f"space: expected name -> [low, high], got {_shown(space)}")
    bounds = {name: [_float(end, f"space.{name}") for end in ends] for name, ends in space.items()}
    return _request(ChangeSpaceRequest, space=bounds, requester=requester)


def change_budget(results: int | None, wall_time_s: Number | None, requester: str) -> ChangeBudgetRequest:
    """A request for another budget. Raises BadArgument."""
    limit_s = None if wall_time_s is None else _float(wall_time_s, "wall_time_s")
    return _request(ChangeBudgetRequest, results=results, wall_time_s=limit_s, requester=requester)


def note(text: str, candidate_id: str | None, requester: str) -> NoteRequest:
    """A request for a remark in the log. Raises BadArgument."""
    return _request(NoteRequest, text=text, candidate_id=candidate_id, requester=requester)


def submit_pattern(
    pattern_id: str,
    peaks: PatternPeaks,
    analysis: PatternAnalysis,
    parameters: Mapping[str, Number],
    measured_s: Number | None,
    requester: str,
) -> SubmitPatternRequest:
    """A request to put a measured pattern into the log. Raises BadArgument."""
    return _request(
        SubmitPatternRequest,
        pattern_id=pattern_id,
        peaks=peaks,
        analysis=analysis,
        parameters=_floats(parameters),
        measured_s=None if measured_s is None else _float(measured_s, "measured_s"),
        requester=requester,
    )


def one_target(target: WantedTarget) -> Target:
    """A target out of a twist in degrees, a pair of twist and tolerance, or a Target. Raises BadArgument."""
    wanted = _request(WantedTwist, **_target_fields(target))
    return Target(twist_deg=wanted.twist_deg, tolerance_deg=wanted.tolerance_deg)


def target_like(event: PatternMeasured, tolerance_deg: Number | None) -> Target:
    """A target at the twist of a measured pattern; its tolerance by default 0.5 degrees, or twice the error.

    Raises:
        BadArgument: the pattern has no twist, or the tolerance is none.
    """
    twist_deg = event.analysis.twist_deg
    if twist_deg is None:
        raise BadArgument(f"pattern {event.pattern_id} has no twist: {event.analysis.reason}")
    usual = min(30.0, max(0.5, 2.0 * (event.analysis.sigma_deg or 0.0)))
    within = usual if tolerance_deg is None else _float(tolerance_deg, "tolerance_deg")
    return one_target((twist_deg, within))


def chosen_pattern(patterns: Iterable[PatternMeasured], pattern_id: str | None) -> PatternMeasured:
    """The pattern of this name, by default the newest with a twist. Raises BadArgument."""
    found = list(patterns)
    for event in reversed(found):
        if event.pattern_id == pattern_id or (pattern_id is None and event.analysis.twist_deg is not None):
            return event
    there = ", ".join(event.pattern_id for event in found[-3:]) or "none"
    wanted = "a pattern with a twist" if pattern_id is None else f"the pattern {pattern_id!r}"
    raise BadArgument(f"expected {wanted}; {len(found)} patterns in the log, the last ones {there}")


def replay(since: str, limit: int, topics: list[str]) -> ReplayRequest:
    """A request for a page of the log. Raises BadArgument."""
    return _request(ReplayRequest, since=since, limit=limit, topics=topics)


def _request(kind: type[M], **fields: Any) -> M:
    try:
        return kind(**{name: _plain(value) for name, value in fields.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "request"
        words = first["msg"].removeprefix("Value error, ")
        raise BadArgument(f"{where}: {words}, got {_shown(first['input'])}") from None


def _plain(value: Any) -> Any:
    """Converts a number of numpy or pandas to Python's; returns anything else unchanged."""
    if isinstance(value, str | bool | int | float | list | dict | None):
        return value
    return value.item() if hasattr(value, "item") else value


def _floats(parameters: Mapping[str, Number]) -> dict[str, float]:
    try:
        named = dict(parameters.items())
    except AttributeError:
        raise BadArgument(f"parameters: expected name -> number, got {_shown(parameters)}") from None
    return {str(name): _float(value, f"parameters.{name}") for name, value in named.items()}


def _float(value: object, where: str) -> float:
    if isinstance(value, str | bool) or not isinstance(value, SupportsFloat):
        raise BadArgument(f"{where}: expected a number, got {_shown(value)}")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadArgument(f"{where}: expected a number, got {_shown(value)}: {error}") from None


def _target_fields(target: WantedTarget) -> dict[str, float]:
    if isinstance(target, Target):
        return {"twist_deg": target.twist_deg, "tolerance_deg": target.tolerance_deg}
    if isinstance(target, Mapping):
        return {str(name): _float(value, f"targets.{name}") for name, value in target.items()}
    if isinstance(target, tuple):
        return dict(zip(("twist_deg", "tolerance_deg"), (_float(one, "targets") for one in target), strict=False))
    return {"twist_deg": _float(target, "targets")}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}... ({len(text)} characters)"
