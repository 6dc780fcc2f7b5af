"""What the settled policy saves and what it costs: bead runs to their full end, and the same runs ended early."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from bench.campaigns import campaign_of, session, wait_until
from bench.table import Row
from moireloop.results.early_ends import early_ends
from moireloop_analyzer.service.early_end import decide_along, frames_needed
from moireloop_analyzer.service.settled_twist import median_twist_deg
from moireloop_analyzer.settings import EarlyEndSettings, SettledPolicy
from moireloop_analyzer.settling.earlier import series_in
from moireloop_broker.contract.events import Candidate, EarlyEndOrdered, Result
from moireloop_broker.contract.search import SearchSpace
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.series import Series
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_optimizer.sobol import sobol_points
from tests.helpers.campaign_files import BEAD, Section

SLOW: Section = {"model": "bead", "anneal_steps": 100_000}
EVERY_STEPS = 500
SLOW_EVERY_STEPS = 6000
AT_ONCE: Section = {"hopeless": {"frames": 2, "after_fraction": 0.0, "distance_deg": 1e-9}}
"""A policy that finds every run hopeless at its second frame, to see how fast an order is heard."""


@dataclass(frozen=True)
class Compared:
    """A run under a policy and to its full end: share of steps saved, and the difference of the twists in degrees.

    The difference is None where the policy let the run go to its end, infinite where only one of the two has a twist.
    """

    candidate_id: str
    saved: float
    difference_deg: float | None


def offline(all_series: Iterable[Series], policies: EarlyEndSettings, targets_deg: Sequence[float]) -> list[Compared]:
    """What a policy would have done to runs that went to their full end: the steps saved at the deciding frame.

    The twist of a settled run is the median of the deciding frames and the one after them, as an analyzer takes it.
    """
    return [
        _compared_offline(series, policies, targets_deg)
        for series in all_series
        if series.points and series.points[-1].final and series.points[-1].planned_steps
    ]


def _compared_offline(series: Series, policies: EarlyEndSettings, targets_deg: Sequence[float]) -> Compared:
    decision = decide_along(series.points, policies, targets_deg)
    if decision is None:
        return Compared(series.candidate_id, 0.0, None)
    deciding = next(number for number, point in enumerate(series.points) if point.step == decision.step)
    ended = series.points[deciding + 1]
    seen = series.points[: deciding + 2][-frames_needed(policies) - 1 :] if decision.ending == "settled" else [ended]
    saved = 1 - decision.step / ended.planned_steps
    return Compared(series.candidate_id, saved, _difference_deg(median_twist_deg(seen), series.points[-1].twist_deg))


def _difference_deg(early: float | None, full: float | None) -> float:
    if early is None or full is None:
        return 0.0 if early is full else float("inf")
    return abs(early - full)


def show_offline(arguments: argparse.Namespace) -> None:
    """Print what the settled policy would have saved in the runs of a file, run by run."""
    chosen = dict(pair.split("=", 1) for pair in arguments.settled)
    policies = EarlyEndSettings(settled=SettledPolicy.model_validate(chosen))
    found = offline(series_in(arguments.trajectories), policies, ())
    print(f"{policies.settled}")
    for compared in found:
        print(f"{compared.candidate_id}  saved {compared.saved:4.0%}  {_text(compared.difference_deg)}")
    print(_summary(found))


def _text(difference_deg: float | None) -> str:
    return "ran to its end" if difference_deg is None else f"{difference_deg:.3f} degrees from the full end"


def _differences_deg(found: Sequence[Compared]) -> list[float]:
    return [compared.difference_deg for compared in found if compared.difference_deg is not None]


def _summary(found: Sequence[Compared]) -> str:
    differences = _differences_deg(found)
    if not differences:
        return f"{len(found)} runs, none of them settled"
    off = sum(difference > 0.05 for difference in differences)
    return (
        f"{len(differences)} of {len(found)} runs settled, {mean(c.saved for c in found):.0%} of all steps saved; "
        f"twist off by {median(differences):.3f} degrees in the median, {max(differences):.2f} at worst, "
        f"by more than 0.05 in {off}"
    )


@dataclass(frozen=True)
class Campaigned:
    """What a campaign came to: results and series by candidate, and the orders."""

    results: dict[str, Result]
    all_series: list[Series]
    orders: dict[str, EarlyEndOrdered]

    def lags(self, every_steps: int) -> list[float]:
        """Frame intervals from the frame that decided to the end of the run."""
        reports = ((self.results[name].report, order) for name, order in self.orders.items())
        return [(report.steps - order.step) / every_steps for report, order in reports if report is not None]


def _campaign(runs: int, *, early_end: Section, every_steps: int, growth: Section) -> Campaigned:
    """So many candidates spread evenly over the demo's search space; the same ones each time."""
    with (
        campaign_of(
            growth, workers=2, results=runs, frames={"every_steps": every_steps}, early_end=early_end
        ) as campaign,
        session(campaign, without=("optimizer",)) as (conductor, connection),
    ):
        client = connection.open_redis()
        proposer = Proposer(client, connection.keys)
        for candidate in _spread(campaign.space, runs):
            proposer.propose(candidate)
        wait_until(lambda: conductor.step() is not None and conductor.ending() is not None, "all results", 1800.0)
        events: list[Any] = [event for _, event in EventLog(client, connection.keys).replay()]
        all_series = list(Observations(client, connection.keys).all_series())
        client.close()
    return Campaigned(
        {event.candidate.candidate_id: event for event in events if isinstance(event, Result)},
        all_series,
        {event.candidate_id: event for event in events if isinstance(event, EarlyEndOrdered)},
    )


def _spread(space: SearchSpace, count: int) -> list[Candidate]:
    points = space.from_unit(sobol_points(count, space.dimension, seed=0))
    return [
        Candidate(candidate_id=f"c{number:05d}", parameters=parameters, seed=number, proposed_s=time.time())
        for number, parameters in enumerate(points)
    ]


def rows(
    runs: int = 36,
    slow_runs: int = 8,
    growth: Section = BEAD,
    slow_growth: Section = SLOW,
    settled: dict[str, Any] | None = None,
) -> list[Row]:
    """Steps saved and twists kept, replayed on full runs and in a campaign; and how fast orders are heard.

    A number is NaN where no run ended early. Without slow runs that is the last one.
    """
    policy = SettledPolicy.model_validate(settled or {})
    full = _campaign(runs, early_end={}, every_steps=EVERY_STEPS, growth=growth)
    early = _campaign(runs, early_end={"settled": settled or {}}, every_steps=EVERY_STEPS, growth=growth)
    slow = Campaigned({}, [], {})
    if slow_runs:
        slow = _campaign(slow_runs, early_end=AT_ONCE, every_steps=SLOW_EVERY_STEPS, growth=slow_growth)
    replayed = offline(full.all_series, EarlyEndSettings(settled=policy), ())
    real = [_compared(full.results[name], early.results[name]) for name in sorted(full.results)]
    ends = early_ends(early.results.values())
    return [
        Row("steps saved, replayed on full runs", 100 * mean(c.saved for c in replayed), "%", 50, "at least",
            _summary(replayed)),
        Row("steps saved, campaign with early end", 100 * mean(c.saved for c in real), "%", 50, "at least", str(ends)),
        Row("twist at early end against full end, median", _median(_differences_deg(real)), "degrees", 0.05, "at most",
            _summary(real)),
        _lag_row("40 ms", early.lags(EVERY_STEPS)),
        _lag_row("0.5 s", slow.lags(SLOW_EVERY_STEPS)),
    ]  # fmt: skip


def _compared(full: Result, early: Result) -> Compared:
    report = early.report
    if report is None or report.ended == "completed":
        return Compared(early.candidate.candidate_id, 0.0, None)
    saved = 1 - report.steps / report.planned_steps
    return Compared(early.candidate.candidate_id, saved, _difference_deg(early.twist_deg, full.twist_deg))


def _lag_row(interval: str, lags: list[float]) -> Row:
    baseline = f"median {_median(lags):.2f} over {len(lags)} runs"
    name = f"deciding frame to end of run, frames of {interval}, worst"
    return Row(name, max(lags, default=math.nan), "frame intervals", 1, "at most", baseline)


def _median(values: Sequence[float]) -> float:
    return median(values) if values else math.nan
