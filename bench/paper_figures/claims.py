"""The claims of the paper's paper, each with the numbers of one landscape and a verdict (pure).

A comparison is made repetition by repetition: it holds where the 95 % bootstrap interval of the mean difference lies
on the claimed side of zero, does not hold where it lies on the other, and is open where it holds zero, or where there
are fewer than three repetitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean, median
from typing import Final, Literal, NamedTuple

import numpy as np

from bench.landscapes import Floats
from bench.paper_figures.measures import (
    COHERENT_DEG,
    Interval,
    closest_deg,
    cycles_to_hit,
    efficiency,
    hits,
    interval,
    recipes,
    roughness,
    samples_to_hit,
    spread,
    tolerance_deg,
)
from bench.paper_figures.searches import (
    BATCH,
    MAIN_TARGET_DEG,
    OTHER_TARGETS_DEG,
    SMALL_BATCH,
    Traces,
)
from bench.search import Trace
from moireloop_broker.contract.search import Target

Verdict = Literal["holds", "does not hold", "open"]

FEWEST: Final = 3
"""Fewer repetitions decide no comparison."""

ROUGH: Final = 0.5
"""Neighbours of the grid that differ by at least this share of the difference of any two runs count as rough."""

EXPLAINED: Final = 0.5
"""Share of the variance from which on the parameters are said to decide the twist."""

COMMON_DEG: Final = 10.0
"""Beyond this the paper finds twists increasingly rare."""

TARGETS_DEG: Final = (MAIN_TARGET_DEG, *OTHER_TARGETS_DEG)


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, or one beside it, with what was measured."""

    letter: str
    said: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Evidence:
    """Everything that the claims are judged by: the searches of a landscape, and the twists of its grid."""

    traces: Traces
    grid_deg: Floats

    @property
    def near(self) -> Target:
        """The main target, with the tolerance of what the paper calls near."""
        return self.near_to(MAIN_TARGET_DEG)

    @property
    def coherent(self) -> Target:
        """The main target, with the wider tolerance."""
        return Target(twist_deg=MAIN_TARGET_DEG, tolerance_deg=COHERENT_DEG)

    def near_to(self, twist_deg: float) -> Target:
        """A target with the tolerance of what the paper calls near."""
        return Target(twist_deg=twist_deg, tolerance_deg=tolerance_deg(self.grid_deg, twist_deg))

    def of(self, strategy: str, n_batch: int = BATCH, target_deg: float = MAIN_TARGET_DEG) -> list[Trace]:
        """The searches of a strategy, one a repetition."""
        wanted = [s for s in self.traces if (s.strategy, s.n_batch, s.target_deg) == (strategy, n_batch, target_deg)]
        return [self.traces[setup] for setup in sorted(wanted)]

    def has(self, strategy: str) -> bool:
        """Whether a strategy was tried."""
        return any(setup.strategy == strategy for setup in self.traces)

    @property
    def sizes(self) -> list[int]:
        """Sizes of a batch that expected improvement was tried with."""
        return sorted({setup.n_batch for setup in self.traces if setup.strategy == "qei"})


class Named(NamedTuple):
    """Values, one a repetition, and whose they are."""

    name: str
    values: Sequence[float]


def all_claims(evidence: Evidence) -> list[Claim]:
    """Every claim, in the order of the paper; at the end what it does not say: its readings and moireloop's own."""
    parts: list[Callable[[Evidence], Iterator[Claim]]] = [
        _batches, _explorative, _thompson, _random, _targets, _recipes, _landscape, _beside,
    ]  # fmt: skip
    return [claim for made in parts for claim in made(evidence)]


def compared(more: Sequence[float], less: Sequence[float]) -> tuple[Interval, Verdict]:
    """Whether the first values are larger than the second ones, one a repetition; open where there are too few."""
    found = interval(np.subtract(more, less).tolist())
    verdicts: dict[int, Verdict] = {1: "holds", -1: "does not hold", 0: "open"}
    return found, verdicts[found.sign] if len(more) >= FEWEST else "open"


def _batches(evidence: Evidence) -> Iterator[Claim]:
    searches = {n: evidence.of("qei", n) for n in (SMALL_BATCH, BATCH)}
    for target in (evidence.near, evidence.coherent):
        yield from _speed(searches, target)
    closest = {n: [closest_deg(trace, evidence.near) for trace in traces] for n, traces in searches.items()}
    small, large = (Named(f"{n}:", closest[n]) for n in (SMALL_BATCH, BATCH))
    yield _compare("a", f"but batches of {BATCH} come closer", small, large, "°")


def _speed(searches: Mapping[int, Sequence[Trace]], target: Target) -> Iterator[Claim]:
    """Samples and cycles to the first hit; open where one size never hits, since nothing was then measured."""
    reached = {n: sum(bool(len(hits(trace, target))) for trace in traces) for n, traces in searches.items()}
    samples = [Named(f"{n}:", [samples_to_hit(trace, target) for trace in searches[n]]) for n in (SMALL_BATCH, BATCH)]
    cycles = [Named(f"{n}:", [cycles_to_hit(trace, target, n) for trace in searches[n]]) for n in (SMALL_BATCH, BATCH)]
    within = f"within {target.tolerance_deg:g}°"
    note = ", ".join(f"{n}: in {count} of {len(searches[n])}" for n, count in reached.items())
    said = f"qEI in batches of {SMALL_BATCH} reaches the target in fewer samples than of {BATCH}, {within}"
    for claim in (
        _compare("a", said, samples[1], samples[0], " samples", f"reached by {note}"),
        _compare("a", f"and in more cycles, {within}", cycles[0], cycles[1], " cycles", f"reached by {note}"),
    ):
        yield claim if all(reached.values()) else replace(claim, verdict="open")


def _explorative(evidence: Evidence) -> Iterator[Claim]:
    largest = evidence.sizes[-1]
    for target in (evidence.near, evidence.coherent):
        rates = {
            n: [efficiency(trace, target, n).per_100_samples for trace in evidence.of("qei", n)] for n in evidence.sizes
        }
        best = max(rates, key=lambda n: mean(rates[n]))
        verdict = compared(rates[best], rates[largest])[1] if best != largest else _never_falls(rates)
        note = ", ".join(f"{n}: {mean(rates[n]):.2g}" for n in rates)
        yield Claim(
            "b", f"qEI: beyond an optimal size of a batch the efficiency falls, within {target.tolerance_deg:g}°",
            f"hits in 100 samples by size: {note}", verdict,
        )  # fmt: skip
    wide, narrow = (
        Named(f"{n}:", [spread(trace, n) for trace in evidence.of("qei", n)]) for n in (largest, evidence.sizes[0])
    )
    yield _compare("b", f"batches of {largest} are spread wider than of {evidence.sizes[0]}", wide, narrow, "")


def _never_falls(rates: Mapping[int, Sequence[float]]) -> Verdict:
    """The verdict where the largest size is the best one in the mean."""
    largest = rates[max(rates)]
    better = [compared(largest, rates[n])[1] == "holds" for n in rates if n != max(rates)]
    return "does not hold" if all(better) else "open"


def _thompson(evidence: Evidence) -> Iterator[Claim]:
    for target in (evidence.near, evidence.coherent):
        said = f"Thompson hits more often than qEI in batches of {BATCH}, within {target.tolerance_deg:g}°"
        yield _compare("c", said, _hits(evidence, "thompson", target), _hits(evidence, "qei", target), " hits")


def _random(evidence: Evidence) -> Iterator[Claim]:
    for name, text in (("thompson", "Thompson"), ("qei", "qEI")):
        far, close = (
            Named(who, [closest_deg(trace, evidence.near) for trace in evidence.of(who)]) for who in ("random", name)
        )
        yield _compare("d", f"random stays farther off than {text} within the budget", far, close, "°")
        for target in (evidence.near, evidence.coherent):
            said = f"random hits less often than {text}, within {target.tolerance_deg:g}°"
            yield _compare("d", said, _hits(evidence, name, target), _hits(evidence, "random", target), " hits")


def _targets(evidence: Evidence) -> Iterator[Claim]:
    for twist_deg in TARGETS_DEG:
        target = evidence.near_to(twist_deg)
        closest = [closest_deg(trace, target) for trace in evidence.of("thompson", BATCH, twist_deg)]
        by_chance = [closest_deg(trace, target) for trace in evidence.of("random")]
        within = sum(distance <= target.tolerance_deg for distance in closest)
        nearest = float(np.nanmin(np.abs(evidence.grid_deg - twist_deg)))
        verdict: Verdict = "holds" if within == len(closest) else "open" if within else "does not hold"
        yield Claim(
            "e", f"{twist_deg:g}° is reached from the same initial samples, within {target.tolerance_deg:g}°",
            f"in {within} of {len(closest)}; closest in the median {median(closest):.2f}°, "
            f"random {median(by_chance):.2f}°, nearest of the grid {nearest:.2f}°",
            verdict,
        )  # fmt: skip


def _recipes(evidence: Evidence) -> Iterator[Claim]:
    for twist_deg in TARGETS_DEG:
        target = Target(twist_deg=twist_deg, tolerance_deg=COHERENT_DEG)
        counted = [len(recipes(trace, target)) for trace in evidence.of("thompson", BATCH, twist_deg)]
        verdict: Verdict = "holds" if min(counted) > 1 else "open" if max(counted) > 1 else "does not hold"
        said = f"several recipes give {twist_deg:g}°, within {COHERENT_DEG:g}°"
        yield Claim("f", said, f"recipes by repetition: {', '.join(map(str, counted))}", verdict)


def _landscape(evidence: Evidence) -> Iterator[Claim]:
    found = roughness(evidence.grid_deg)
    rough = max(found.neighbours_deg) >= ROUGH * found.any_deg
    along = ", ".join(f"{value:.1f}°" for value in found.neighbours_deg)
    yield Claim(
        "g", "the landscape is rough: neighbours differ much",
        f"neighbours on the grid differ by {along} along temperature, lattice strain and shear, two seeds by "
        f"{found.seeds_deg:.1f}°, any two runs by {found.any_deg:.1f}°",
        "holds" if rough else "does not hold",
    )  # fmt: skip
    yield Claim(
        "g", "its roughness comes from growth parameters, not from seeds",
        f"the parameters explain {100.0 * found.explained:.0f} % of the variance of twists",
        "holds" if found.explained >= EXPLAINED else "does not hold",
    )  # fmt: skip
    known = evidence.grid_deg[np.isfinite(evidence.grid_deg)]
    shares = [100.0 * float(np.mean(np.abs(known - twist) <= COHERENT_DEG)) for twist in TARGETS_DEG]
    beyond = 100.0 * float(np.mean(known > COMMON_DEG))
    falling = all(nearer > farther for nearer, farther in pairwise(shares))
    note = ", ".join(f"{twist:g}°: {share:.1f} %" for twist, share in zip(TARGETS_DEG, shares, strict=True))
    yield Claim(
        "g", f"targets beyond {COMMON_DEG:g}° are increasingly rare",
        f"{beyond:.0f} % of runs beyond {COMMON_DEG:g}°; within {COHERENT_DEG:g}° of {note}",
        "holds" if falling else "does not hold",
    )  # fmt: skip


def _beside(evidence: Evidence) -> Iterator[Claim]:
    pairs = (
        ("thompson-draws", "thompson", "Thompson by draws hits more often than by simple regret"),
        ("moireloop-thompson", "thompson", "moireloop's thompson hits more often than the published one"),
        ("moireloop-qei", "qei", "moireloop's qei hits more often than the published one"),
    )
    for ours, theirs, said in pairs:
        if not evidence.has(ours):
            continue
        for target in (evidence.near, evidence.coherent):
            within = f"{said}, within {target.tolerance_deg:g}°"
            yield _compare("-", within, _hits(evidence, ours, target), _hits(evidence, theirs, target), " hits")


def _compare(letter: str, said: str, more: Named, less: Named, unit: str, beside: str = "") -> Claim:
    """A claim that the first values are the larger ones."""
    found, verdict = compared(more.values, less.values)
    note = ", ".join(f"{named.name} {mean(named.values):.3g}{unit}" for named in (more, less))
    measured = f"{note}; difference {found.mean:.2g} in [{found.low:.2g}, {found.high:.2g}]"
    return Claim(letter, said, f"{measured}; {beside}" if beside else measured, verdict)


def _hits(evidence: Evidence, strategy: str, target: Target) -> Named:
    return Named(strategy, [float(len(hits(trace, target))) for trace in evidence.of(strategy)])
