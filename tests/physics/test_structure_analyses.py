"""The analyzers `pair_correlation` and `diffraction`: what they say of a snapshot, and that they can be named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from moireloop_analyzer import Snapshot, measure_twist
from moireloop_analyzer.plugins.registry import load_analyzer
from moireloop_analyzer.structure.analyzers import diffraction_analysis, pair_correlation_analysis
from tests.helpers.bilayers import Bilayer, rotation
from tests.helpers.mx2 import CHALCOGENS, METALS, MOS2, mx2

RINGS = {f"{layer}_{ring}_{by}" for layer in ("lower", "upper") for ring in (10, 11, 20) for by in ("xray", "electron")}


def snapshot(bilayer: Bilayer, elements: Mapping[int, str] = MOS2, metals: Sequence[int] = METALS) -> Snapshot:
    """A bilayer as an analyzer gets it."""
    twist = measure_twist(
        bilayer.positions, bilayer.types, bilayer.cell, bilayer.pbc, metal_types=metals, chalcogen_types=CHALCOGENS
    )
    return Snapshot(
        np.asarray(bilayer.positions, dtype=np.float64), bilayer.types, np.asarray(bilayer.cell, dtype=np.float64),
        bilayer.pbc, tuple(metals), CHALCOGENS, elements, step=0, time_ps=0.0, temperature_k=None, twist=twist,
    )  # fmt: skip


def test_both_can_be_named() -> None:
    """They are registered under these names."""
    found = [load_analyzer(name) for name in ("pair_correlation", "diffraction")]
    assert found == [pair_correlation_analysis, diffraction_analysis]


def test_pair_correlation_of_a_crystal() -> None:
    """Bonds of 2.407 angstrom with six and three neighbours, order 1, curves of 120 points to 8 angstrom."""
    found = pair_correlation_analysis(snapshot(mx2(3, 2, repeats=3)))
    assert found.numbers["first_peak_angstrom"] == pytest.approx(2.407, abs=0.04)
    assert found.numbers["first_peak_height"] > 5.0
    assert found.numbers["seed_order"] == 1.0
    assert [found.numbers[name] for name in (
        "chalcogens_around_metal", "metals_around_chalcogen", "metals_around_metal", "six_fold_share",
    )] == [6.0, 3.0, 6.0, 1.0]  # fmt: skip
    assert {name: np.shape(values) for name, values in found.arrays.items()} == dict.fromkeys(
        ("radius_angstrom", "g", "g_metal_metal", "g_metal_chalcogen", "g_chalcogen_chalcogen"), (120,)
    )
    assert np.asarray(found.arrays["radius_angstrom"])[-1] < 8.0


def test_pair_correlation_of_beads() -> None:
    """Without chalcogens there is a first peak at the lattice constant, and no bonds to count, with the reason."""
    bilayer = mx2(3, 2, repeats=3)
    metals = np.isin(bilayer.types, METALS)
    found = pair_correlation_analysis(snapshot(Bilayer(bilayer.positions[metals], bilayer.types[metals], bilayer.cell)))
    assert found.numbers["first_peak_angstrom"] == pytest.approx(3.16, abs=0.04)
    assert found.numbers["metals_around_metal"] == 6.0
    assert "chalcogens_around_metal" not in found.numbers
    assert found.reasons["chalcogens_around_metal"]
    assert found.reasons["seed_order"]
    assert set(found.arrays) == {"radius_angstrom", "g", "g_metal_metal"}


def test_diffraction_of_a_crystal() -> None:
    """Both layers have the same rings, {10} the weakest; satellites of rigid layers are dark; spots stand in arrays."""
    found = diffraction_analysis(snapshot(mx2(3, 2, repeats=3)))
    assert set(found.numbers) >= RINGS
    for ring in (10, 11, 20):
        assert found.numbers[f"lower_{ring}_xray"] == pytest.approx(found.numbers[f"upper_{ring}_xray"], rel=1e-6)
    assert 0.05 < found.numbers["lower_10_electron"] < found.numbers["lower_11_electron"] < 0.2501
    assert found.numbers["satellite_xray"] < 1e-12
    assert found.numbers["unknown_element_share"] == 0.0
    assert np.shape(found.arrays["lower_spots"]) == np.shape(found.arrays["upper_spots"]) == (18, 4)
    satellites = np.asarray(found.arrays["satellites"])
    lengths = np.linalg.norm(satellites[:, :2], axis=1)
    assert lengths.min() == pytest.approx(found.numbers["moire_per_angstrom"])


def test_diffraction_does_not_depend_on_the_orientation_of_the_frame(rng: np.random.Generator) -> None:
    """Turned in space, moved through the boundary, atoms in another order: the same numbers."""
    still = mx2(3, 2, repeats=2).shaken(0.05, rng)
    tilt = np.array([[1.0, 0, 0], [0, np.cos(0.4), -np.sin(0.4)], [0, np.sin(0.4), np.cos(0.4)]])
    turn = np.eye(3)
    turn[:2, :2] = rotation(33.0)
    moved = still.moved(np.array([7.0, -4.0, 0.0])).shuffled(rng).deformed(tilt @ turn)
    one, other = (diffraction_analysis(snapshot(bilayer)).numbers for bilayer in (still, moved))
    for name in RINGS:
        assert other[name] == pytest.approx(one[name], rel=1e-5)


def test_diffraction_says_that_beads_are_points() -> None:
    """The share of the atoms whose element is not known, here the chalcogens."""
    found = diffraction_analysis(snapshot(mx2(3, 2, repeats=2), {1: "Mo", 3: "Mo"}))
    assert found.numbers["unknown_element_share"] == pytest.approx(2.0 / 3.0)


def test_diffraction_without_a_moire_pattern() -> None:
    """Without twist the satellites would lie in the spots: a reason stands in their place."""
    found = diffraction_analysis(snapshot(mx2(1, 0, repeats=8)))
    assert "satellite_electron" not in found.numbers
    assert "nearer" in found.reasons["satellite_xray"]
    assert np.shape(found.arrays["satellites"]) == (0, 4)


def test_without_lattices_there_is_no_diffraction(rng: np.random.Generator) -> None:
    """The reason is the same as the twist's; the pair correlation needs no lattice."""
    molten = snapshot(mx2(3, 2, repeats=3).shaken(1.2, rng))
    found = diffraction_analysis(molten)
    assert dict(found.reasons) == {"lower_spots": molten.twist.reason}
    assert pair_correlation_analysis(molten).numbers["seed_order"] < 0.5


def test_broken_frames_are_refused() -> None:
    """Positions that are no numbers have no pair correlation."""
    bilayer = mx2(3, 2)
    broken = Bilayer(np.full_like(bilayer.positions, np.nan), bilayer.types, bilayer.cell)
    assert dict(pair_correlation_analysis(snapshot(broken)).reasons) == {"g": "positions or cell are not finite"}
    assert diffraction_analysis(snapshot(broken)).reasons
