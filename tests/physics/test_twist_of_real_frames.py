"""Frames of real molecular dynamics of the bead model: 288 atoms, melted, hot, or recrystallized and cold.

`bead_frames.npz` holds state (F,), cell (F, 3, 3), positions (F, 288, 3) and types (F, 288), from LAMMPS runs by the
growth protocol of the bead model with random temperature, strain and shear.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.bilayers import Bilayer, twist_of
from tests.physics.structure_factor import diffraction_direction_deg

with np.load(Path(__file__).with_name("bead_frames.npz")) as stored:
    FRAMES = [
        (str(state), Bilayer(positions.astype(float), types, cell))
        for state, positions, types, cell in zip(
            stored["state"], stored["positions"], stored["types"], stored["cell"], strict=True
        )
    ]


@pytest.mark.parametrize("bilayer", [bilayer for state, bilayer in FRAMES if state != "molten"])
def test_recrystallized_layers_agree_with_their_structure_factor(bilayer: Bilayer) -> None:
    """The lattices of the three brightest peaks of |S(q)|^2 differ by the twist.

    Within 0.3 degrees, or five standard errors for layers with dislocations, whose direction is not the same all over.
    """
    estimate = twist_of(bilayer)
    assert estimate.signed_deg is not None, estimate.reason
    assert estimate.sigma_deg is not None
    allowed = max(0.3, 5.0 * estimate.sigma_deg)
    peaks = [
        diffraction_direction_deg(bilayer.positions[bilayer.types == kind, :2], spacing)
        for kind, spacing in ((1, estimate.lattice_lower_angstrom), (2, estimate.lattice_upper_angstrom))
        if spacing is not None
    ]
    assert (peaks[1] - peaks[0] - estimate.signed_deg + 30.0) % 60.0 - 30.0 == pytest.approx(0.0, abs=allowed)


@pytest.mark.parametrize("bilayer", [bilayer for state, bilayer in FRAMES if state == "molten"])
def test_layers_before_the_growth_have_no_sure_twist(bilayer: Bilayer) -> None:
    """The upper layer has been melted and is at 300 K: no twist, or the twist of a grain of less than half of it."""
    estimate = twist_of(bilayer)
    assert estimate.twist_deg is None or (estimate.confidence or 0.0) < 0.6


def test_cold_frames_show_the_coherent_twists_of_their_cell() -> None:
    """A 12 x 12 cell admits few twists; among the likeliest are 0, 5.5, 8.2 and 30 degrees."""
    twists = [twist_of(bilayer).twist_deg for state, bilayer in FRAMES if state == "cold"]
    for coherent in (0.0, 5.51, 8.21, 30.0):
        assert min(abs(twist - coherent) for twist in twists if twist is not None) < 0.05
