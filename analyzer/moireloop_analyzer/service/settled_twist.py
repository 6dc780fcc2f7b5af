"""The twist of a run that was ended as settled: of the frames that it was found settled by (pure).

The last of them is warm and may show a passing fluctuation; the others are as good as it is. In the demo's search the
median of the window comes twice as often to the twist of the full run as the last frame does (docs/benchmarks.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from moireloop_analyzer.geometry.moire import moire_wavelength
from moireloop_analyzer.service.early_end import standard_error_deg
from moireloop_analyzer.settling.landmarks import claimed_by
from moireloop_broker.contract.events import Measurement
from moireloop_broker.contract.frames import FrameHeader
from moireloop_broker.state.series import SeriesPoint, point_of

MEDIAN_OVER_MEAN: Final = math.sqrt(math.pi / 2)
"""Ratio of the standard errors of a median and a mean, for many normal values: their variances are as pi to 2."""

SAME_DEG: Final = 1.0

LEAST_CLAIMING: Final = 2
"""Frames that a claim needs."""


def settled_measurement(
    header: FrameHeader, final: Measurement, points: Sequence[SeriesPoint], frames: int
) -> Measurement:
    """What a settled run came to: the final frame's measurement with the median twist of the window.

    The median is a twist that was seen: the lower one of two. A final frame without a twist gets one by it.

    Args:
        header: of the final frame.
        final: what that frame shows by itself.
        points: the newest points of the run's series.
        frames: how many of them before the final frame count.
    """
    before = [point for point in points if point.step < header.step][-frames:]
    seen = [point for point in (*before, point_of(header, final)) if point.twist_deg is not None]
    if len(before) < frames or len(seen) <= frames / 2:
        return final
    return _with_twist(final, seen)


def sure_measurement(
    header: FrameHeader, final: Measurement, points: Sequence[SeriesPoint], tolerance_deg: float
) -> Measurement:
    """What a run came to that was ended since it was sure: the final frame's measurement with the twist claimed.

    Args:
        header: of the final frame.
        final: what that frame shows by itself.
        points: the newest points of the run's series, as `landmark` takes them.
        tolerance_deg: the policy's.
    """
    before = [point for point in points if point.step < header.step]
    seen = claimed_by([*before, point_of(header, final)], tolerance_deg)
    if len(seen) < LEAST_CLAIMING:
        return final
    return _with_twist(final, seen)


def median_twist_deg(points: Iterable[SeriesPoint]) -> float | None:
    """The median of the twists that there are, the lower one of two; None where there are none."""
    twists = sorted(point.twist_deg for point in points if point.twist_deg is not None)
    return twists[(len(twists) - 1) // 2] if twists else None


def _with_twist(final: Measurement, seen: Sequence[SeriesPoint]) -> Measurement:
    """The final frame's measurement with the median twist of some frames, and its error."""
    if (median_deg := median_twist_deg(seen)) is None:
        return final
    error_deg = MEDIAN_OVER_MEAN * standard_error_deg(seen)
    return final.model_copy(
        update={
            "twist_deg": median_deg,
            "signed_deg": _signed_deg(median_deg, final),
            "sigma_deg": error_deg if math.isfinite(error_deg) else None,
            "moire_angstrom": _moire_angstrom(median_deg, final),
            "reason": None,
        }
    )


def _signed_deg(twist_deg: float, final: Measurement) -> float | None:
    """The twist with the sense of the final frame, where that shows much the same twist."""
    if final.signed_deg is None or abs(abs(final.signed_deg) - twist_deg) > SAME_DEG:
        return None
    return math.copysign(twist_deg, final.signed_deg)


def _moire_angstrom(twist_deg: float, final: Measurement) -> float | None:
    lower, upper = final.lattice_lower_angstrom, final.lattice_upper_angstrom
    return None if lower is None or upper is None else moire_wavelength(twist_deg, lower, upper)
