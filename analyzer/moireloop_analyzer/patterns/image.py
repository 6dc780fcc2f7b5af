"""Spots of a LEED image or another flat picture of the plane of q, and where they lie in it (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from moireloop_analyzer.patterns.peaks import FWHM_OF_SIGMA, Floats, Ints, Peaks

SURE: Final = 6.0
"""Height of a spot in standard deviations of the noise."""

MOST_SPOTS: Final = 600

SURROUND: Final = 8
"""Half of the window about a spot, in pixels, in which it is fitted."""

LEAST_ERROR: Final = 0.05
"""Of a spot's place in pixels, however bright it is."""

SWEEPS: Final = 12


class NoScreen(ValueError):
    """What was said of a screen makes no picture of the plane."""


@dataclass(frozen=True)
class Screen:
    """How pixels lie in the plane of q.

    Pixels (x, y) are counted from the centre, stretched along `angle_deg` and shrunk across it by half of `ellipticity`
    each, and lengthened by 1 + `radial` r^2 with r in pixels; y goes up in q and down in the picture.

    Args:
        per_pixel: inverse angstrom a pixel.
        centre: x and y of the direct beam in pixels, from the middle of the upper left one.
        centre_error: its standard error in pixels.
        ellipticity: how much longer one pixel is along the angle than across it, as a fraction.
        angle_deg: of the ellipse, counter-clockwise from x.
        radial: barrel (above 0) or cushion distortion, in inverse square pixels.
        mask_radius: pixels about the centre that are not looked at.
    """

    per_pixel: float
    centre: tuple[float, float]
    centre_error: float = 0.5
    ellipticity: float = 0.0
    angle_deg: float = 0.0
    radial: float = 0.0
    mask_radius: float = 12.0

    def __post_init__(self) -> None:
        numbers = (self.per_pixel, *self.centre, self.centre_error, self.ellipticity, self.angle_deg, self.radial)
        if not all(math.isfinite(number) for number in numbers):
            raise NoScreen(f"expected finite numbers of the screen, got {numbers}")
        if not (0 < self.per_pixel <= 1.0 and self.centre_error >= 0 and abs(self.ellipticity) < 0.5):
            raise NoScreen(
                f"expected a calibration in (0, 1] per angstrom a pixel, a centre error of 0 or more, an ellipticity "
                f"within 0.5, got {self.per_pixel:g}, {self.centre_error:g} and {self.ellipticity:g}"
            )

    def q(self, pixels: Floats) -> Floats:
        """(N, 2) scattering vectors in inverse angstrom of pixels (N, 2) as x and y."""
        away = (np.asarray(pixels, dtype=np.float64) - self.centre) * [1.0, -1.0]
        c, s = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        turn = np.array([[c, s], [-s, c]])
        stretch = np.diag([1.0 + 0.5 * self.ellipticity, 1.0 - 0.5 * self.ellipticity])
        flat = away @ (turn.T @ stretch @ turn).T
        square = (flat**2).sum(axis=1, keepdims=True)
        return np.asarray(self.per_pixel * flat * (1.0 + self.radial * square))


def spots_in_image(image: Floats, screen: Screen) -> Peaks:
    """The bright spots of an image (rows, columns), the first row at the top.

    Raises:
        NoScreen: the centre lies so far outside that nothing can be its pattern.
    """
    rows, columns = image.shape
    x, y = screen.centre
    if not (-columns <= x <= 2 * columns and -rows <= y <= 2 * rows):
        raise NoScreen(f"expected a centre near the image of {columns} x {rows} pixels, got {x:g}, {y:g}")
    flat, noise = _flattened(image)
    tops = _tops(flat, noise, screen)
    spots = [spot for top in tops if (spot := _spot(flat, noise, top)) is not None]
    table = np.array(_each_once(spots), dtype=np.float64).reshape(-1, 7)
    q = screen.q(table[:, :2])
    errors = table[:, 3] * screen.per_pixel
    widths = _widths(table, q, screen)
    return Peaks(q, table[:, 2], errors, errors, widths[0], widths[1], screen.centre_error * screen.per_pixel)


def _flattened(image: Floats) -> tuple[Floats, float]:
    """The image less its smooth background, and the standard deviation of what is left without the spots."""
    finite = np.where(
        np.isfinite(image), image, np.nanmedian(image[np.isfinite(image)]) if np.isfinite(image).any() else 0
    )
    coarse = ndimage.median_filter(finite[::4, ::4], size=9, mode="nearest")
    background = ndimage.zoom(coarse, np.array(finite.shape) / np.array(coarse.shape), order=1, mode="nearest")
    flat = finite - background[: finite.shape[0], : finite.shape[1]]
    noise = 1.4826 * float(np.median(np.abs(flat - np.median(flat))))
    return flat - float(np.median(flat)), max(noise, 1e-9 * max(float(np.abs(flat).max()), 1e-300))


def _tops(flat: Floats, noise: float, screen: Screen) -> Ints:
    """(S, 2) rows and columns of local maxima that stand out of the noise, the brightest first."""
    smooth = ndimage.gaussian_filter(flat, 1.5)
    least = SURE * noise / (2.0 * math.sqrt(math.pi) * 1.5)
    tops = np.argwhere((smooth == ndimage.maximum_filter(smooth, size=7)) & (smooth > least))
    away = np.hypot(tops[:, 1] - screen.centre[0], tops[:, 0] - screen.centre[1])
    tops = tops[away > screen.mask_radius]
    order = np.argsort(-smooth[tops[:, 0], tops[:, 1]], kind="stable")
    return np.asarray(tops[order][:MOST_SPOTS])


def _spot(flat: Floats, noise: float, top: Ints) -> tuple[float, ...] | None:
    """x, y, intensity, error of the place and moments xx, xy, yy of a spot, by moments under a Gaussian weight.

    Under a weight as wide as the spot itself the moments are half of the spot's own (Bernstein and Jarvis, Astronomical
    Journal 123, 583 (2002)).
    """
    low = np.maximum(top - SURROUND, 0)
    window = flat[low[0] : top[0] + SURROUND + 1, low[1] : top[1] + SURROUND + 1]
    y, x = np.mgrid[: window.shape[0], : window.shape[1]] + low[:, None, None]
    place, shape = np.array([top[1], top[0]], dtype=float), np.eye(2) * 4.0
    for _ in range(SWEEPS):
        away = np.stack([x - place[0], y - place[1]], axis=-1)
        weight = window * np.exp(-0.5 * np.einsum("...a,ab,...b", away, np.linalg.inv(shape), away))
        total = float(weight.sum())
        if total <= 0:
            return None
        place = place + 2.0 * np.einsum("yx,yxa->a", weight, away) / total
        moments = np.einsum("yx,yxa,yxb->ab", weight, away, away) / total
        shape = np.clip(2.0 * moments, -(SURROUND**2), SURROUND**2) + 1e-3 * np.eye(2)
        if shape[0, 0] <= 0 or np.linalg.det(shape) <= 0.05 or np.abs(place - [top[1], top[0]]).max() > 3.0:
            return None
    area = 2.0 * math.pi * math.sqrt(float(np.linalg.det(shape)))
    height = 2.0 * total / area
    if height < 0.5 * SURE * noise:
        return None
    error = max(math.sqrt(2.0 / math.pi) * noise / height, LEAST_ERROR)
    shape_row = float(shape[0, 0]), float(shape[0, 1]), float(shape[1, 1])
    return float(place[0]), float(place[1]), height * area, error, *shape_row


def _each_once(found: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    kept: list[tuple[float, ...]] = []
    for spot in found:
        if all(math.hypot(spot[0] - other[0], spot[1] - other[1]) > 1.5 for other in kept):
            kept.append(spot)
    return kept


def _widths(table: Floats, q: Floats, screen: Screen) -> tuple[Floats, Floats]:
    """Full widths along and across q in inverse angstrom; y goes down in the picture and up in q."""
    along = q / np.maximum(np.linalg.norm(q, axis=1), 1e-12)[:, None]
    xx, xy, yy = table[:, 4], -table[:, 5], table[:, 6]
    radial = along[:, 0] ** 2 * xx + 2.0 * along[:, 0] * along[:, 1] * xy + along[:, 1] ** 2 * yy
    both = np.stack([radial, xx + yy - radial])
    widths = FWHM_OF_SIGMA * np.sqrt(np.maximum(both, 0.0)) * screen.per_pixel
    return widths[0], widths[1]
