"""The colours of the page: as colour-blind people see them, and the contrast of text against its background.

Contrast follows the Web Content Accessibility Guidelines 2.2 (1.4.3 for text, 1.4.11 for charts). Colour blindness is
simulated after Machado, Oliveira and Fernandes (IEEE TVCG 15, 1291, 2009), severity 1. Colour differences are in
CIELAB (1976), where 2.3 is just noticeable.
"""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

Rgb: TypeAlias = NDArray[np.float64]

STATIC: Final = files("moireloop_gateway") / "static"

SEEN_BY: Final = {
    "all": np.eye(3),
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopes": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}

TO_XYZ: Final = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)

IN_CHARTS: Final = ("blue", "red", "green", "yellow", "grey")

IN_TEXT: Final = ("ink", "quiet", "link", "red", "green")


def themes() -> dict[str, dict[str, str]]:
    """Names and values of the colours of both themes."""
    blocks = re.findall(r"^:root(\S*) \{(.*?)\}", (STATIC / "style.css").read_text(), re.DOTALL | re.MULTILINE)
    return {theme or "light": dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for theme, block in blocks}


def linear(colour: str) -> Rgb:
    """Linear light of #rrggbb, each channel in [0, 1]."""
    shares = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(TO_XYZ[1] @ linear(colour))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(light: Rgb) -> Rgb:
    """CIELAB of linear light; white is the screen's."""
    shares = TO_XYZ @ np.clip(light, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", themes())
def test_text_and_charts_stand_out_from_their_ground(theme: str) -> None:
    """4.5 to 1 for text, 3 to 1 for what a chart draws, on the page and on a card."""
    colours = themes()[theme]
    for ground in ("ground", "card"):
        assert {name for name in IN_TEXT if contrast(colours[name], colours[ground]) < 4.5} == set()
        assert {name for name in IN_CHARTS if contrast(colours[name], colours[ground]) < 3.0} == set()


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize("kind", SEEN_BY)
def test_colour_blind_readers_tell_the_colours_of_charts_apart(theme: str, kind: str) -> None:
    """Each pair differs five times as much as is just noticeable."""
    seen = {name: lab(SEEN_BY[kind] @ linear(themes()[theme][name])) for name in IN_CHARTS}
    alike = [(a, b) for a, b in combinations(IN_CHARTS, 2) if np.linalg.norm(seen[a] - seen[b]) < 5 * 2.3]
    assert alike == []


def test_twists_are_read_by_lightness_alone() -> None:
    """The larger the twist, the lighter its colour."""
    (line,) = [line for line in (STATIC / "colours.js").read_text().splitlines() if line.startswith("const VIRIDIS")]
    ramp = re.findall(r"#[0-9a-f]{6}", line)
    lightness = [luminance(colour) for colour in ramp]
    assert len(ramp) == 10
    assert lightness == sorted(set(lightness))
