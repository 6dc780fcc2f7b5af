"""A measured pattern compared with a campaign: the most similar results, and what to change for each target (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np

from moireloop.experiment.refused import PatternRefused
from moireloop.results.recipes import Recipe, recipe_runs, recipes_of
from moireloop_analyzer.patterns.distance import pattern_distance, reciprocal_of
from moireloop_analyzer.patterns.indexed import IndexedPattern
from moireloop_analyzer.patterns.indexing import MAX_STRAIN, index_pattern, index_unscaled
from moireloop_analyzer.patterns.layer_values import error_of
from moireloop_analyzer.patterns.peaks import Floats, Peaks
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import SearchSpace, Target

if TYPE_CHECKING:
    from moireloop_optimizer.advice import Advice

CLOSEST: Final = 5

LARGEST_SCALE: Final = 0.5

WRONG_UNITS: Final = {
    2.0 * math.pi: "is the factor 2 pi missing?",
    0.1: "is q per nm, not per angstrom?",
    10.0: "is q per angstrom, not per nm?",
    0.2 * math.pi: "is q per nm, without the factor 2 pi?",
    0.5 / math.pi: "is the factor 2 pi there twice?",
}
"""Factors on q that a wrong unit calls for."""

MOST_TRIED: Final = 300
"""Peaks beyond which no other unit is tried."""

LATTICES: Final = (1.0, 20.0)
"""Lattice constants in angstrom that are taken."""


@dataclass(frozen=True)
class Similar:
    """One result compared with the pattern: the distance in inverse angstrom, with its standard error."""

    result: Result
    distance: float
    sigma: float


@dataclass(frozen=True)
class Toward:
    """How to get from the pattern to one target.

    Attributes:
        off_deg: measured twist minus the target's.
        probability_within: probability that the true twist lies within the tolerance, given the measurement's error.
        recipe: the campaign's most reliable recipe for the target; None if none has hit it.
        advice: the model's place for the target, or why it has none.
    """

    target: Target
    off_deg: float
    probability_within: float
    recipe: Recipe | None
    advice: Advice


@dataclass(frozen=True, eq=False)
class Comparison:
    """A pattern, what it shows, and how it compares with a campaign.

    `closest` are the most similar results, the nearest first; none where the pattern was refused.
    """

    peaks: Peaks
    pattern: IndexedPattern
    closest: tuple[Similar, ...]
    toward: tuple[Toward, ...]

    @property
    def twist_deg(self) -> float | None:
        """The measured twist in [0, 30]; None where it is unknown."""
        return self.pattern.twist_deg

    @property
    def sigma_deg(self) -> float | None:
        """Its standard error."""
        return self.pattern.sigma_deg

    @property
    def reason(self) -> str | None:
        """Why there is no twist."""
        return self.pattern.reason


def compare_peaks(
    peaks: Peaks,
    results: Iterable[Result],
    targets: Sequence[Target],
    space: SearchSpace,
    *,
    lattices: tuple[float, float] | None = None,
    max_strain: float = MAX_STRAIN,
    closest: int = CLOSEST,
    scale_within: float | None = None,
) -> Comparison:
    """Index a pattern and compare it with results.

    Args:
        lattices: lattice constants of the two layers before strain, in angstrom; by default the medians of the results.
        max_strain: largest principal strain of a layer.
        closest: how many of the most similar results are wanted.
        scale_within: as of `index_unscaled`, where the calibration is not known.

    Raises:
        PatternRefused: no lattice constants are known, or they or the strain are no such numbers.
    """
    if closest < 0:
        raise PatternRefused(f"closest: expected a number of results, 0 or more, got {closest}")
    found = list(results)
    pattern = indexed(peaks, constants_of(found, lattices, max_strain), max_strain, scale_within)
    if pattern.twist_deg is None:
        return Comparison(peaks, pattern, (), ())
    similar = most_similar(pattern, found, closest)
    return Comparison(peaks, pattern, similar, tuple(_toward(pattern, found, space, target) for target in targets))


def indexed(
    peaks: Peaks, constants: tuple[float, float], max_strain: float, scale_within: float | None
) -> IndexedPattern:
    """A pattern indexed, with its scale where the calibration is not known. Raises PatternRefused."""
    if scale_within is None:
        pattern = index_pattern(peaks, constants, max_strain=max_strain)
        wrong = None if pattern.reason is None else _other_unit(peaks, constants, max_strain)
        return pattern if wrong is None else pattern.refused(f"{pattern.reason}; {wrong}")
    if not 0.0 < scale_within <= LARGEST_SCALE:
        raise PatternRefused(f"scale_within: expected above 0 and up to {LARGEST_SCALE:g}, got {scale_within:g}")
    return index_unscaled(peaks, constants, scale_within, max_strain=max_strain)


def _other_unit(peaks: Peaks, constants: tuple[float, float], max_strain: float) -> str | None:
    """Which wrong unit explains a pattern without a twist: in it, two lattices are seen."""
    if len(peaks) > MOST_TRIED:
        return None
    for factor, words in WRONG_UNITS.items():
        if index_pattern(peaks.scaled(factor), constants, max_strain=max_strain).twist_deg is not None:
            return f"with q {factor:.4g} times as large there are two lattices: {words}"
    return None


def constants_of(
    results: Iterable[Result], lattices: tuple[float, float] | None, max_strain: float
) -> tuple[float, float]:
    """The lattice constants that were given, else the ones in the results.

    Raises:
        PatternRefused: no lattice constants are known, or they or the strain are no such numbers.
    """
    return _checked(lattices or lattices_of(results), max_strain)


def lattices_of(results: Iterable[Result]) -> tuple[float, float]:
    """Median lattice constants of the lower and the upper layers. Raises PatternRefused where no result has any."""
    measured = [result.measurement for result in results if result.measurement is not None]
    lower = [m.lattice_lower_angstrom for m in measured if m.lattice_lower_angstrom]
    upper = [m.lattice_upper_angstrom for m in measured if m.lattice_upper_angstrom]
    if not (lower and upper):
        raise PatternRefused("no result has lattice constants yet: give --lattices, such as 3.16,3.16")
    return median(lower), median(upper)


def most_similar(pattern: IndexedPattern, results: Sequence[Result], count: int) -> tuple[Similar, ...]:
    """The results whose lattices give the most similar pattern, the nearest first, one of each recipe."""
    known = [(result, lattices) for result in results if (lattices := _layers(result)) is not None]
    if not known or pattern.covariance is None:
        return ()
    measured = np.array([layer.matrix for layer in pattern.layers])
    others = reciprocal_of(np.array([lattices for _, lattices in known]))
    apart = pattern_distance(measured, others, layers_known=pattern.layers_known)
    nearest = _one_a_recipe(np.argsort(apart, kind="stable").tolist(), [result for result, _ in known], count)
    return tuple(
        Similar(known[n][0], float(apart[n]), _error(measured, others[n], pattern.covariance, pattern.layers_known))
        for n in nearest
    )


def _one_a_recipe(order: Sequence[int], results: Sequence[Result], count: int) -> list[int]:
    """The first of each set of parameters, in order."""
    kept: dict[tuple[tuple[str, float], ...], int] = {}
    for number in order:
        kept.setdefault(tuple(sorted(results[number].candidate.parameters.items())), number)
    return list(kept.values())[:count]


def _error(measured: Floats, other: Floats, covariance: Floats, layers_known: bool) -> float:
    def distance(matrices: Floats) -> float:
        return float(pattern_distance(matrices, other[None], layers_known=layers_known)[0])

    return error_of(distance, measured, covariance)


def _layers(result: Result) -> Floats | None:
    measured = result.measurement
    if measured is None or measured.lower_vectors_angstrom is None or measured.upper_vectors_angstrom is None:
        return None
    lattices = np.array([measured.lower_vectors_angstrom, measured.upper_vectors_angstrom]).reshape(2, 2, 2)
    return lattices if (np.abs(np.linalg.det(lattices)) > 1e-6).all() else None


def _toward(pattern: IndexedPattern, results: Sequence[Result], space: SearchSpace, target: Target) -> Toward:
    from moireloop_optimizer.advice import advice_for  # torch, which a pattern that is refused needs not wait for

    off = float(pattern.twist_deg or 0.0) - target.twist_deg
    sigma = max(float(pattern.sigma_deg or 0.0), 1e-12) * math.sqrt(2.0)
    within = 0.5 * (math.erf((target.tolerance_deg - off) / sigma) - math.erf((-target.tolerance_deg - off) / sigma))
    recipes = recipes_of(recipe_runs(results), target, n=1)
    hit = recipes[0] if recipes and recipes[0].within_tolerance else None
    return Toward(target, off, within, hit, advice_for(results, space, target))


def _checked(lattices: tuple[float, float], max_strain: float) -> tuple[float, float]:
    if not all(LATTICES[0] <= constant <= LATTICES[1] for constant in lattices):
        raise PatternRefused(
            f"expected two lattice constants from {LATTICES[0]:g} to {LATTICES[1]:g} angstrom, got "
            f"{', '.join(f'{constant:g}' for constant in lattices)}"
        )
    if not 0.0 < max_strain <= 0.08:
        raise PatternRefused(f"expected a largest strain above 0 and up to 0.08, got {max_strain:g}")
    return lattices


def change_of(toward: Toward, start: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Each growth parameter's value at the start and at the model's place; empty where the model has none."""
    place = toward.advice.parameters or {}
    return {name: (start[name], value) for name, value in place.items() if name in start}
