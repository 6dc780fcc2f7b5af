"""What the analyzer makes of a frame does not depend on what the analysis has no need of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from moireloop_analyzer.measurement import measure_frame
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.contract.events import Measurement
from moireloop_broker.contract.frames import Frame, FrameHeader

FRAMES = Path(__file__).parents[2] / "physics" / "bead_frames.npz"
SULFUR = 3
SETTINGS = AnalyzerSettings()


def frame(positions: npt.NDArray[np.floating], types: npt.NDArray[np.integer], cell: npt.NDArray[np.floating]) -> Frame:
    header = FrameHeader(
        candidate_id="c1",
        attempt=1,
        step=1,
        time_ps=0.0,
        cell=cell.tolist(),
        periodic=[True, True, False],
        shape=list(positions.shape),
        lattice_types=[1, 2],
    )
    return Frame(header, positions.astype(np.float32), types.astype(np.uint8))


def cold_bilayer(rng: np.random.Generator) -> tuple[Frame, Frame]:
    """A recrystallized bilayer of real MD: with two sulfur atoms about each metal atom, and without."""
    with np.load(FRAMES) as stored:
        place = stored["state"].tolist().index("cold")
        positions, types, cell = stored["positions"][place], stored["types"][place], stored["cell"][place]
    shaken = [positions + [1.0, 0.9, dz] + 0.1 * rng.normal(size=positions.shape) for dz in (-1.57, 1.57)]
    with_sulfur = np.concatenate([positions, *shaken])
    kinds = np.concatenate([types, np.full(2 * len(types), SULFUR)])
    order = rng.permutation(len(kinds))
    kept = kinds[order] != SULFUR
    return frame(with_sulfur[order], kinds[order], cell), frame(with_sulfur[order][kept], kinds[order][kept], cell)


def test_frame_of_lattice_atoms_alone_has_the_same_twist() -> None:
    """Chalcogens, which frames may leave out, change nothing in the measurement but that they tell the stacking."""
    everything, lattice = cold_bilayer(np.random.default_rng(5))
    assert len(everything.positions) == 3 * len(lattice.positions) == 864
    whole, bare = measure_frame(everything, SETTINGS), measure_frame(lattice, SETTINGS)
    assert whole.model_copy(update={"stacking": None}) == bare
    assert (whole.stacking, bare.stacking) == ("R", None)
    assert bare.twist_deg is not None


def strayed(share: float) -> Frame:
    """A recrystallized bilayer of which this share of the upper layer's atoms has left the lattice."""
    _, bilayer = cold_bilayer(np.random.default_rng(5))
    rng = np.random.default_rng(7)
    positions = bilayer.positions.copy()
    away = rng.permutation(np.flatnonzero(bilayer.types == 2))[: round(share * np.count_nonzero(bilayer.types == 2))]
    positions[away, :2] += rng.uniform(0.8, 1.4, size=(len(away), 2)).astype(np.float32)
    return Frame(bilayer.header, positions, bilayer.types)


def test_twist_of_too_little_confidence_is_refused() -> None:
    """The reason names the confidence, the limit and the twist; confidence, orders, lattices and grains stay."""
    sure = measure_frame(strayed(0.2), SETTINGS)
    assert sure.twist_deg is not None
    assert sure.confidence is not None
    assert 0.6 < sure.confidence < 0.95
    assert sure.grains_lower == 1
    refused = measure_frame(strayed(0.2), AnalyzerSettings(min_confidence=0.95))
    seen = f"measured twist {sure.twist_deg:.2f} degrees"
    assert refused.reason == f"confidence {sure.confidence:.2f} is below 0.95; {seen}"
    gone = {"twist_deg", "signed_deg", "sigma_deg", "moire_angstrom", "stacking", "reason"}
    assert refused.model_dump(exclude=gone) == sure.model_dump(exclude=gone)
    assert {name for name in gone if getattr(refused, name) is not None} == {"reason"}


def test_layer_without_order_has_no_confidence() -> None:
    """What was not measured is not given."""
    _, bilayer = cold_bilayer(np.random.default_rng(5))
    molten = bilayer.positions.copy()
    molten[:, :2] = np.random.default_rng(8).uniform(0, 30, size=(len(molten), 2))
    found = measure_frame(Frame(bilayer.header, molten, bilayer.types), SETTINGS)
    assert found.reason is not None
    assert found.confidence is None


def test_order_of_the_atoms_does_not_matter() -> None:
    """A frame put together from parts has its atoms in any order: the same twist, order and error."""
    _, first = cold_bilayer(np.random.default_rng(5))
    order = np.random.default_rng(6).permutation(len(first.positions))
    other = Frame(first.header, first.positions[order], first.types[order])
    expected, measured = (numbers_of(measure_frame(one, SETTINGS)) for one in (first, other))
    assert measured == pytest.approx(expected, rel=1e-6, abs=1e-9)


def numbers_of(measurement: Measurement) -> dict[str, float]:
    """All numbers of a measurement by name; components of vectors with their place."""
    fields = measurement.model_dump(exclude_none=True)
    return {f"{name}.{place}": one for name, value in fields.items() for place, one in enumerate(np.atleast_1d(value))}


def test_vectors_in_the_plane_are_those_of_the_cell_and_make_the_twist() -> None:
    """Sixty degrees between the vectors of a layer, the second to the left of the first."""
    with np.load(FRAMES) as stored:
        frames = [frame(*one) for one in zip(stored["positions"], stored["types"], stored["cell"], strict=True)]
    turned_ones = [one for one in (measure_frame(each, SETTINGS) for each in frames) if (one.twist_deg or 0.0) > 1.0]
    assert turned_ones
    for measurement in turned_ones:
        lower, upper = (
            _turned_deg(vectors) for vectors in (measurement.lower_vectors_angstrom, measurement.upper_vectors_angstrom)
        )
        assert measurement.twist_deg == pytest.approx(abs((upper - lower + 30.0) % 60.0 - 30.0), abs=1e-6)


def _turned_deg(vectors: list[float] | None) -> float:
    """Rotation part of the polar decomposition, by singular values."""
    assert vectors is not None
    first, second = np.reshape(vectors, (2, 2))
    between = np.degrees(np.arctan2(first[0] * second[1] - first[1] * second[0], first @ second))
    assert between == pytest.approx(60.0, abs=10.0)
    hexagonal = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    left, _, right = np.linalg.svd(np.linalg.inv(hexagonal) @ [first, second])
    rotation = left @ right
    return float(np.degrees(np.arctan2(rotation[0, 1], rotation[0, 0])))
