"""Why two lattices, or fewer, may not be the bilayer of a pattern (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from moireloop_analyzer.patterns.described import direction_deg
from moireloop_analyzer.patterns.indexed import IndexedPattern
from moireloop_analyzer.patterns.joining import AS_BRIGHT
from moireloop_analyzer.patterns.lattices.joint_fit import JointFit
from moireloop_analyzer.patterns.lattices.satellites import moire_matrix
from moireloop_analyzer.patterns.lattices.search import Lattice
from moireloop_analyzer.patterns.layer_values import error_of
from moireloop_analyzer.patterns.peaks import Floats, Ints, Peaks
from moireloop_analyzer.patterns.reciprocal import first_ring, rotation_rad, sites_within

SAME_BRIGHTNESS: Final = 0.5
"""A third lattice brighter than this share of the second one leaves open which two are the layers."""

RESOLVED: Final = 4.0
"""How many errors the two lattices' spots have to be apart."""

CLOSE: Final = 0.06
"""Of the first ring: where two lattices' spots are nearer than this, each spot has to be listed once."""

FINEST: Final = 0.02
"""Of the first ring: so near to a spot a peak may be another measurement of it."""

EXPLAINED: Final = 1.0 / 3.0
"""Smallest share of explained peaks among as many of the brightest."""

PAIRED: Final = 5.0
"""How much farther apart the spots of two lattices are than the peaks scatter about them, where each is in a group."""

MOST_CROWDED: Final = 0.2
"""Share of groups of three peaks or more, about as bright, from which on spots are listed several times."""


def why_not_two(found: Sequence[Lattice], constant: float, max_strain: float, joined_within: float) -> str | None:
    """Why fewer than two lattices are seen; None where there are two or more.

    Args:
        joined_within: as of `Peaks`: spots of two layers nearer to each other than this were made one.
    """
    if not found:
        return not_seen(constant, max_strain)
    if len(found) == 1:
        blurred = math.degrees(joined_within / first_ring(constant))
        least = max(3.0 * _lattice_error_deg(found[0]), blurred, 0.01)
        return (
            f"only one hexagonal lattice is seen, at {direction_deg(found[0].matrix):.2f} degrees: the other layer is "
            f"too faint, or turned by less than about {least:.2f} degrees"
        )
    return None


def _lattice_error_deg(one: Lattice) -> float:
    return float(np.degrees(error_of(lambda m: float(rotation_rad(m[0])), one.matrix[None], one.covariance)))


def not_seen(constant: float, max_strain: float) -> str:
    return (
        f"no hexagonal lattice of {constant:g} angstrom within {max_strain:.0%} strain is seen: chance alone would "
        f"explain as many of the peaks"
    )


def why_ambiguous(
    fit: JointFit,
    domains: Sequence[tuple[Lattice, float]],
    brightness: Sequence[float],
) -> str | None:
    rivals = [(one, bright) for one, bright in domains if bright > SAME_BRIGHTNESS * min(brightness[:2])]
    if rivals:
        turned = ", ".join(f"{direction_deg(m):.1f}" for m in (*fit.matrices, *(one.matrix for one, _ in rivals)))
        return (
            f"lattices of similar brightness are seen at {turned} degrees: a layer has several domains, and it is "
            f"unclear which two lattices are the bilayer"
        )
    if _spots_apart(fit.matrices) < RESOLVED * spot_error(fit):
        return "the two lattices are not resolved: their spots are closer together than the errors of their positions"
    return None


def why_crowded(peaks: Peaks, fit: JointFit, satellites: Ints, sites: Ints) -> str | None:
    """Why two lattices that nearly coincide may be one, measured several times.

    Two lattices explain two peaks about each spot. Satellites, which may stand there too, are fainter.
    """
    difference = moire_matrix(fit.matrices[0], fit.matrices[1])
    ring = float(np.linalg.norm(fit.matrices[0], axis=1).mean())
    if not nearly_coincide(fit.matrices):
        return None
    reach = 1.5 * np.maximum(np.linalg.norm(sites @ difference, axis=1), FINEST * ring)
    away = np.linalg.norm(peaks.q[:, None] - sites @ (fit.matrices[0] + 0.5 * difference), axis=-1)
    site, own = away.argmin(axis=1), fit.owner >= 0
    brightest = np.zeros(len(sites))
    np.maximum.at(brightest, site[own], peaks.intensity[own])
    further = ~own & (away.min(axis=1) < reach[site]) & (brightest[site] > 0)
    further &= peaks.intensity > AS_BRIGHT * brightest[site]
    further[satellites] = False
    if further.sum() <= own.sum():
        return None
    return (
        f"{further.sum()} further peaks, about as bright, stand beside the {own.sum()} of two lattices that nearly "
        f"coincide: spots seem to be listed several times, as from several images; list each spot once"
    )


def nearly_coincide(matrices: Floats, within: float = 0.0) -> bool:
    """Whether the first-ring spots of two lattices (2, 2, 2) are closer than CLOSE, or than a distance."""
    ring = float(np.linalg.norm(matrices[0], axis=1).mean())
    return _spots_apart(matrices) <= max(CLOSE * ring, within)


def _spots_apart(matrices: Floats) -> float:
    """The largest distance between first-ring spots of the two lattices, in inverse angstrom."""
    apart = sites_within(1) @ moire_matrix(matrices[0], matrices[1])
    return float(np.linalg.norm(apart, axis=1).max())


def why_listed_often(peaks: Peaks, pattern: IndexedPattern, crowded: float) -> str | None:
    """Why two lattices that nearly coincide may be one whose spots are listed several times.

    Args:
        peaks: of the list.
        pattern: the two lattices that the list shows as it is.
        crowded: share of the groups of near peaks that hold three or more.
    """
    indices = np.concatenate([layer.indices for layer in pattern.layers])
    off = np.concatenate([peaks.q[layer.peaks] - layer.indices @ layer.matrix for layer in pattern.layers])
    scatter = float(np.sqrt((off**2).sum() / max(2 * len(off) - 8, 1)))
    apart = indices @ moire_matrix(pattern.layers[0].matrix, pattern.layers[1].matrix)
    distance = float(np.sqrt((apart**2).sum(axis=1).mean()))
    if crowded <= MOST_CROWDED and distance >= PAIRED * scatter:
        return None
    return (
        "peaks stand together like measurements of one spot, and two lattices that nearly coincide explain them no "
        "better than one: if spots are listed several times, as from several images, list each spot once"
    )


def why_listed_twice(alone: IndexedPattern, together: IndexedPattern) -> str:
    """Why a list that makes sense in two ways has no twist: as it is, and with near peaks joined."""
    return (
        f"the peaks show a twist of {alone.twist_deg:.2f} degrees as they are, and {together.twist_deg:.2f} degrees if "
        f"near ones are measurements of one spot: it is unclear which is right; list each spot once"
    )


def why_faint(peaks: Peaks, unexplained: Ints) -> str | None:
    """Why lattices that explain faint peaks and leave the bright ones may not be the bilayer."""
    explained = np.setdiff1d(np.arange(len(peaks)), unexplained)
    brightest = np.argsort(-peaks.intensity, kind="stable")[: len(explained)]
    bright = int(np.isin(brightest, explained).sum())
    if bright >= EXPLAINED * len(explained):
        return None
    return (
        f"the two lattices explain only {bright} of the {len(explained)} brightest peaks: the pattern seems to be "
        f"another structure's, or the lattice constants are wrong"
    )


def spot_error(fit: JointFit) -> float:
    """Standard error of the place of a first-ring spot of the worse lattice, in inverse angstrom."""
    return float(np.sqrt(np.diag(fit.covariance).reshape(2, 4).sum(axis=1).max() / 2.0))
