"""The peaks of a pattern in the plane, each with its errors along and across its scattering vector (pure)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]

FWHM_OF_SIGMA: Final = 2.3548200450309493
"""Full width at half maximum of a Gaussian of standard deviation 1."""


FARTHEST_CENTRE: Final = 3.5
"""In standard errors of the stated centre: farther away it is not looked for."""

SAME_CENTRE: Final = 3.0

FEWEST_OPPOSITE: Final = 3
"""Pairs of spots that have to agree on the centre."""


COLUMNS: Final = ("q", "intensity", "sigma_radial", "sigma_azimuthal", "width_radial", "width_azimuthal")
"""Attributes of Peaks that have a row for each peak."""


@dataclass(frozen=True, eq=False)
class Peaks:
    """N peaks of one pattern.

    Attributes:
        q: (N, 2) scattering vectors in the plane, in inverse angstrom, the direct beam at the origin.
        intensity: (N,) above 0, in any unit.
        sigma_radial: (N,) standard errors along q in inverse angstrom; NaN where they are not known.
        sigma_azimuthal: (N,) standard errors across q in inverse angstrom; NaN where they are not known.
        width_radial: (N,) full widths at half maximum along q in inverse angstrom; NaN where they are not known.
        width_azimuthal: (N,) the same across q.
        centre_error: standard error of the place of the direct beam, in inverse angstrom.
        joined_within: peaks nearer to each other than this were joined to one, in inverse angstrom.
    """

    q: Floats
    intensity: Floats
    sigma_radial: Floats
    sigma_azimuthal: Floats
    width_radial: Floats
    width_azimuthal: Floats
    centre_error: float = 0.0
    joined_within: float = 0.0

    def __len__(self) -> int:
        return len(self.q)

    @property
    def errors_known(self) -> bool:
        """Whether every peak has both errors."""
        return bool(np.isfinite(self.sigma_radial).all() and np.isfinite(self.sigma_azimuthal).all())

    @property
    def lengths(self) -> Floats:
        """(N,) lengths of q."""
        return np.asarray(np.linalg.norm(self.q, axis=1))

    def select(self, which: Ints | npt.NDArray[np.bool_]) -> Peaks:
        """The peaks of a mask or of numbers, in that order."""
        return replace(self, **{name: getattr(self, name)[which] for name in COLUMNS})

    def with_errors(self, sigma: float) -> Peaks:
        """The same peaks, with this error where none is known."""
        radial, across = (
            np.where(np.isfinite(known), known, sigma) for known in (self.sigma_radial, self.sigma_azimuthal)
        )
        return replace(self, sigma_radial=radial, sigma_azimuthal=across)

    def widened(self, factor: float) -> Peaks:
        """The same peaks with all errors multiplied."""
        return replace(self, sigma_radial=self.sigma_radial * factor, sigma_azimuthal=self.sigma_azimuthal * factor)

    def scaled(self, factor: float) -> Peaks:
        """The same peaks with all lengths multiplied."""
        lengths = ("q", *COLUMNS[2:], "centre_error", "joined_within")
        return replace(self, **{name: getattr(self, name) * factor for name in lengths})

    def whitening(self) -> Floats:
        """(N, 2, 2) matrices that take a difference of vectors at each peak to errors of unit variance."""
        length = np.maximum(self.lengths, 1e-12)[:, None]
        along = self.q / length
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        return np.stack([along / self.sigma_radial[:, None], across / self.sigma_azimuthal[:, None]], axis=1)


def peaks_of(
    q: npt.ArrayLike,
    intensity: npt.ArrayLike | None = None,
    sigma: npt.ArrayLike | None = None,
    *,
    centre_error: float = 0.0,
) -> Peaks:
    """Peaks from plain arrays: q (N, 2), intensity (N,) or 1, one error (N,) for both directions, or none.

    Raises:
        ValueError: the arrays do not fit to each other, or contain a NaN.
    """
    places = np.asarray(q, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"expected q of shape (N, 2), got {places.shape}")
    count, unknown = len(places), np.full(len(places), np.nan)
    heights = np.ones(count) if intensity is None else np.broadcast_to(np.asarray(intensity, np.float64), (count,))
    errors = unknown if sigma is None else np.broadcast_to(np.asarray(sigma, np.float64), (count,))
    if not (np.isfinite(places).all() and np.isfinite(heights).all()):
        raise ValueError("expected finite q and intensities, got NaN or infinity")
    return Peaks(places, heights, errors, errors, unknown, unknown, centre_error)


def centred(peaks: Peaks) -> Peaks:
    """The peaks about the centre that most pairs of opposite spots have in common.

    Where the centre is known exactly, the peaks are unchanged. Where too few pairs agree, the centre stays as stated
    and its error is added to the peaks' errors.
    """
    if peaks.centre_error <= 0.0:
        return peaks
    first, second = np.triu_indices(len(peaks), 1)
    middle = 0.5 * (peaks.q[first] + peaks.q[second])
    near = np.linalg.norm(middle, axis=1) < FARTHEST_CENTRE * peaks.centre_error
    middle, first, second = middle[near], first[near], second[near]
    sigma = np.maximum(peaks.sigma_radial, peaks.sigma_azimuthal)
    error = 0.5 * np.hypot(sigma[first], sigma[second])
    apart = np.linalg.norm(middle[:, None] - middle, axis=-1) / np.hypot(error[:, None], error)
    votes = (apart < SAME_CENTRE).sum(axis=1)
    if not len(votes) or votes.max() < FEWEST_OPPOSITE:
        return replace(
            peaks,
            sigma_radial=np.hypot(peaks.sigma_radial, peaks.centre_error),
            sigma_azimuthal=np.hypot(peaks.sigma_azimuthal, peaks.centre_error),
        )
    agreeing = apart[votes.argmax()] < SAME_CENTRE
    weight = error[agreeing] ** -2
    centre = (middle[agreeing] * weight[:, None]).sum(axis=0) / weight.sum()
    return replace(peaks, q=peaks.q - centre)
