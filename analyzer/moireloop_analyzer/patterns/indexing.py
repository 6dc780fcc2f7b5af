"""From the peaks of a pattern to the twist of a bilayer: which two lattices are its layers (pure).

Lattices are found one after the other (search), the two brightest are fitted together (joint_fit), and what is left is
sorted into moire satellites, further domains and peaks of unknown origin. Nothing depends on the rotation of the
sample. docs/compare.md says what was measured with synthetic patterns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from moireloop_analyzer.patterns.described import brightness_of, direction_deg, domain_of, layer_of
from moireloop_analyzer.patterns.doubts import (
    RESOLVED,
    SAME_BRIGHTNESS,
    nearly_coincide,
    not_seen,
    spot_error,
    why_ambiguous,
    why_crowded,
    why_faint,
    why_listed_often,
    why_listed_twice,
    why_not_two,
)
from moireloop_analyzer.patterns.indexed import IndexedPattern, Layer
from moireloop_analyzer.patterns.joining import away_from_beam, crowded_share, joined_spots, of_listed
from moireloop_analyzer.patterns.lattices.joint_fit import JointFit, fit_together
from moireloop_analyzer.patterns.lattices.satellites import satellites_among
from moireloop_analyzer.patterns.lattices.search import MOST_SITES, NEAR, Lattice, lattices_among
from moireloop_analyzer.patterns.layer_values import (
    constant_of,
    error_of,
    signed_twist_deg,
    wavelength_of,
)
from moireloop_analyzer.patterns.peaks import Floats, Ints, Peaks, centred
from moireloop_analyzer.patterns.reciprocal import first_ring, sites_within

MAX_STRAIN: Final = 0.04
"""Largest principal strain of a layer by default."""

MOST_ALARMS: Final = -3.0
"""A lattice counts where chance shows one like it in fewer than a thousandth of all patterns."""

MOST_LATTICES: Final = 6

FEWEST_PEAKS: Final = 6

SATELLITE_LATTICE: Final = 0.7
"""Share of a lattice's peaks that have to be satellites for it to be no domain."""

GUESSES: Final = (0.0015, 0.004)
"""Errors of peaks, as shares of the first ring, that are tried where the pattern has none."""

UNSURE: Final = 1.3
"""Factor on errors that were estimated: one error for all peaks leaves out that faint ones are less sure."""

WIDE: Final = 2.0
"""chi^2 over the degrees of freedom above which errors are widened, and the pattern is indexed with them."""

MOST_WIDENED: Final = 5

RIVAL: Final = 0.8
"""Another scale that explains more than this share of the peaks leaves open which one is right."""


def index_pattern(peaks: Peaks, constants: tuple[float, float], *, max_strain: float = MAX_STRAIN) -> IndexedPattern:
    """The twist of the bilayer behind a pattern, its layers' strains, satellites and domains, or why it is unknown.

    Args:
        peaks: of one pattern; errors that are not known are estimated from the scatter about the lattices.
        constants: lattice constants of the two layers before strain, in angstrom.
        max_strain: largest principal strain of a layer.
    """
    ring = first_ring(max(constants))
    spots = away_from_beam(peaks, ring)
    alone = _of_list(spots.peaks, constants, max_strain)
    joined = joined_spots(spots.peaks, ring)
    if joined is not None and (alone.twist_deg is None or _is_close(alone, joined.peaks)):
        together = of_listed(_of_list(joined.peaks, constants, max_strain), joined)
        alone = _chosen(spots.peaks, alone, together, crowded_share(spots.peaks, joined))
    return of_listed(alone, spots)


def _chosen(peaks: Peaks, alone: IndexedPattern, together: IndexedPattern, crowded: float) -> IndexedPattern:
    """Of a list as it is, and with near peaks joined: the one that is right, or why that is unclear."""
    if alone.twist_deg is None or _agree(alone, together):
        return together
    if together.twist_deg is not None:
        return alone.refused(why_listed_twice(alone, together))
    why = why_listed_often(peaks, alone, crowded)
    return alone if why is None else alone.refused(why)


def _agree(one: IndexedPattern, other: IndexedPattern) -> bool:
    """Whether two twists are the same within their errors."""
    if one.twist_deg is None or other.twist_deg is None:
        return False
    error = max(one.sigma_deg or 0.0, other.sigma_deg or 0.0)
    return abs(one.twist_deg - other.twist_deg) <= RESOLVED * error


def _is_close(pattern: IndexedPattern, joined: Peaks) -> bool:
    """Whether the layers' spots are so near to each other that joining peaks may have made them one."""
    matrices = np.array([layer.matrix for layer in pattern.layers])
    return nearly_coincide(matrices, 2.0 * joined.joined_within)


def _of_list(peaks: Peaks, constants: tuple[float, float], max_strain: float) -> IndexedPattern:
    """`index_pattern` of a list that names each spot once."""
    if len(peaks) < FEWEST_PEAKS:
        return IndexedPattern(reason=f"{len(peaks)} peaks are too few: two lattices have at least {FEWEST_PEAKS}")
    if peaks.errors_known:
        return _widened_until(WIDE, peaks, constants, max_strain)
    ring, tried = first_ring(max(constants)), IndexedPattern(reason="no lattice was found")
    for guess in GUESSES:
        tried = _indexed(centred(peaks.with_errors(guess * ring)), constants, max_strain)
        if tried.twist_deg is not None and tried.reduced_chi2 is not None:
            error = UNSURE * guess * ring * max(tried.reduced_chi2, 1e-4) ** 0.5
            again = _widened_until(1.0, peaks.with_errors(error), constants, max_strain)
            if again.twist_deg is not None:
                return again
            if tried.reduced_chi2 <= WIDE:
                return tried
            tried = again
    return tried


def _widened_until(chi2: float, peaks: Peaks, constants: tuple[float, float], max_strain: float) -> IndexedPattern:
    """The pattern by errors that are widened until the peaks scatter by about as much.

    A fit takes the peaks within a few errors alone: if the errors are far too small, it sees part of the scatter.
    """
    tried = _indexed(centred(peaks), constants, max_strain)
    for _ in range(MOST_WIDENED):
        if tried.twist_deg is None or tried.reduced_chi2 is None or tried.reduced_chi2 <= chi2:
            return tried
        peaks = peaks.widened(UNSURE * tried.reduced_chi2**0.5)
        tried = _indexed(centred(peaks), constants, max_strain)
    return tried


def index_unscaled(
    peaks: Peaks, constants: tuple[float, float], within: float, *, max_strain: float = MAX_STRAIN
) -> IndexedPattern:
    """As `index_pattern`, of a pattern whose calibration is not known: the scale of q is fitted too.

    Scale and a strain that is alike in both layers and all directions are one and the same, so the scale is that at
    which the mean of both layers' lattice constants is the stated one. The twist does not depend on it.

    Args:
        within: largest factor by which the stated q may be wrong, less one: 0.2 is from 1 / 1.2 to 1.2.
    """
    steps = math.ceil(math.log1p(within) / max_strain)
    tried = [
        (factor, indexed)
        for factor in np.exp(np.linspace(-steps, steps, 2 * steps + 1) * math.log1p(within) / max(steps, 1))
        if (indexed := index_pattern(peaks.scaled(factor), constants, max_strain=max_strain)).twist_deg is not None
    ]
    if not tried:
        indexed = index_pattern(peaks, constants, max_strain=max_strain)
        words = indexed.reason or ""
        return indexed.refused(
            f"no scale within a factor of {1 + within:g} shows two lattices; as it was stated: {words}"
        )
    scales = [(factor * _off(indexed, constants), len(peaks) - len(indexed.unexplained)) for factor, indexed in tried]
    scale, most = max(scales, key=lambda each: each[1])
    rivals = [other for other, count in scales if abs(math.log(other / scale)) > max_strain and count > RIVAL * most]
    if rivals:
        return IndexedPattern(
            reason=f"scales of {scale:.3f} and {rivals[0]:.3f} explain about as many peaks: "
            f"it is unclear which one is right"
        )
    indexed = index_pattern(peaks.scaled(scale), constants, max_strain=max_strain)
    return replace(indexed, scale=scale)


def _off(found: IndexedPattern, constants: tuple[float, float]) -> float:
    """Factor on q at which both layers' mean lattice constant is the stated one."""
    seen = math.prod(layer.lattice_angstrom for layer in found.layers)
    return math.sqrt(seen / math.prod(constants))


def _indexed(peaks: Peaks, constants: tuple[float, float], max_strain: float) -> IndexedPattern:
    apart = abs(constants[1] / constants[0] - 1.0)
    distinct = apart > 2.0 * max_strain
    if distinct:
        return _of_two_kinds(peaks, constants, max_strain)
    middle, slack = 0.5 * sum(constants), max_strain + 0.5 * apart
    lattices = lattices_among(peaks, middle, max_strain=slack, most_alarms=MOST_ALARMS, at_most=MOST_LATTICES)
    ordered = sorted(zip(brightness_of(peaks, lattices), lattices, strict=True), key=lambda each: -each[0])
    why = why_not_two([one for _, one in ordered], middle, max_strain, peaks.joined_within)
    if why is not None:
        return IndexedPattern(reason=why)
    return _paired(peaks, [one for _, one in ordered], [b for b, _ in ordered], constants, distinct=False)


def _of_two_kinds(peaks: Peaks, constants: tuple[float, float], max_strain: float) -> IndexedPattern:
    """Layers of constants so different that strain does not confuse them: each is sought separately."""
    chosen: list[Lattice] = []
    others: list[Lattice] = []
    for constant in constants:
        free = np.ones(len(peaks), dtype=np.bool_)
        for one in (*chosen, *others):
            free[one.peaks] = False
        numbers = np.flatnonzero(free)
        found = (
            []
            if not len(numbers)
            else lattices_among(
                peaks.select(numbers), constant, max_strain=max_strain, most_alarms=MOST_ALARMS, at_most=3
            )
        )
        found = [replace(one, peaks=numbers[one.peaks]) for one in found]
        if not found:
            return IndexedPattern(reason=not_seen(constant, max_strain))
        bright = sorted(zip(brightness_of(peaks, found), found, strict=True), key=lambda each: -each[0])
        if len(bright) > 1 and bright[1][0] > SAME_BRIGHTNESS * bright[0][0]:
            turned = [direction_deg(one.matrix) for _, one in bright[:2]]
            return IndexedPattern(
                reason=f"the layer of {constant:g} angstrom has domains of about the same brightness, at "
                f"{turned[0]:.1f} and {turned[1]:.1f} degrees: it is unclear which one the twist is measured from"
            )
        chosen.append(bright[0][1])
        others += [one for _, one in bright[1:]]
    return _paired(peaks, [*chosen, *others], brightness_of(peaks, [*chosen, *others]), constants, distinct=True)


def _paired(
    peaks: Peaks,
    found: Sequence[Lattice],
    brightness: Sequence[float],
    constants: tuple[float, float],
    *,
    distinct: bool,
) -> IndexedPattern:
    """What the first two of the lattices make of the pattern, and what the others are."""
    sites = _sites(peaks, max(constants))
    fit = fit_together(peaks, [one.matrix for one in found[:2]], sites, min(constants))
    if fit is None:
        return IndexedPattern(reason="too few peaks belong to only one lattice: they cannot be distinguished")
    identified, turned = _order(fit, constants, distinct)
    if turned:
        fit, brightness = _exchanged(fit), [brightness[1], brightness[0], *brightness[2:]]
    free = fit.owner < 0
    satellites, about = satellites_among(peaks, free, fit.matrices, spot_error(fit))
    domains = [
        (one, bright)
        for one, bright in zip(found[2:], brightness[2:], strict=True)
        if np.isin(one.peaks, satellites).mean() < SATELLITE_LATTICE
    ]
    pattern = _values(peaks, fit, constants if identified else (_nominal(constants),) * 2, brightness)
    explained = np.concatenate([np.flatnonzero(~free), satellites, *(one.peaks for one, _ in domains)])
    pattern = replace(
        pattern,
        layers_known=identified,
        satellites=satellites,
        satellite_share=_satellite_share(peaks, fit, satellites, about),
        domains=tuple(domain_of(peaks, one, _nominal(constants), bright) for one, bright in domains),
        unexplained=np.setdiff1d(np.arange(len(peaks)), explained),
    )
    why = (
        why_ambiguous(fit, domains, brightness)
        or why_crowded(peaks, fit, satellites, sites)
        or why_faint(peaks, pattern.unexplained)
    )
    return pattern if why is None else pattern.refused(why)


def _values(peaks: Peaks, fit: JointFit, nominal: tuple[float, ...], brightness: Sequence[float]) -> IndexedPattern:
    signed = signed_twist_deg(fit.matrices)
    layers = tuple(_layer(peaks, fit, number, nominal[number], brightness[number]) for number in (0, 1))
    wavelength = wavelength_of(fit.matrices)
    error = None
    if wavelength is not None:
        error = wavelength**2 * error_of(lambda m: 1.0 / (wavelength_of(m) or 1e9), fit.matrices, fit.covariance)
    return IndexedPattern(
        twist_deg=abs(signed),
        sigma_deg=error_of(signed_twist_deg, fit.matrices, fit.covariance),
        signed_deg=signed,
        layers=layers,
        covariance=fit.covariance,
        moire_angstrom=wavelength,
        moire_error_angstrom=error,
        reduced_chi2=fit.reduced,
    )


def _layer(peaks: Peaks, fit: JointFit, number: int, nominal: float, brightness: float) -> Layer:
    own = np.flatnonzero(fit.owner == number)
    some = slice(4 * number, 4 * number + 4)
    return layer_of(
        peaks, fit.matrices[number], fit.covariance[some, some], nominal, brightness, own, fit.indices[own]
    )  # fmt: skip


def _order(fit: JointFit, constants: tuple[float, float], distinct: bool) -> tuple[bool, bool]:
    """Whether the constants show which layer is which, and whether the lattices have to be exchanged for it."""
    if distinct:
        return True, False
    apart = abs(constants[1] - constants[0])
    seen = [constant_of(matrix) for matrix in fit.matrices]
    blocks = [fit.covariance[:4, :4], fit.covariance[4:, 4:]]
    errors = [error_of(_constant, fit.matrices[n : n + 1], block) for n, block in enumerate(blocks)]
    error = float(np.hypot(errors[0], errors[1]))
    straight = abs(seen[0] - constants[0]) + abs(seen[1] - constants[1])
    crossed = abs(seen[0] - constants[1]) + abs(seen[1] - constants[0])
    identified = apart > 0 and abs(straight - crossed) > max(apart, NEAR * error)
    return identified, identified and crossed < straight


def _constant(matrices: Floats) -> float:
    return constant_of(matrices[0])


def _exchanged(fit: JointFit) -> JointFit:
    order = np.r_[4:8, 0:4]
    return replace(
        fit,
        matrices=fit.matrices[::-1],
        covariance=fit.covariance[np.ix_(order, order)],
        owner=np.where(fit.owner < 0, fit.owner, 1 - fit.owner),
    )


def _nominal(constants: tuple[float, float]) -> float:
    return 0.5 * sum(constants)


def _satellite_share(
    peaks: Peaks,
    fit: JointFit,
    satellites: Ints,
    about: Ints,
) -> float | None:
    sites, shares = sites_within(MOST_SITES), []
    for number, (lattice, site) in zip(satellites, about, strict=True):
        own = (fit.owner == lattice) & (fit.indices == sites[site]).all(axis=1)
        if lattice >= 0 and own.any():
            shares.append(float(peaks.intensity[number] / peaks.intensity[own][0]))
    return float(np.mean(shares)) if shares else None


def _sites(peaks: Peaks, constant: float) -> Ints:
    most = min((float(peaks.lengths.max()) * 1.06 / first_ring(constant)) ** 2, MOST_SITES)
    return sites_within(max(most, 1.0))
