"""A small bilayer of MoS2 that is measured before a service is ready, so that no frame waits for a compiler (pure)."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from moireloop_analyzer.lattice.position_fit import fit_positions
from moireloop_analyzer.measurement import estimate_of, measurement_of
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_analyzer.sites.occupancy import filled_sites
from moireloop_broker.contract.frames import Frame, FrameHeader

CELLS: Final = 8

LATTICE_ANGSTROM: Final = 3.16

SULFUR_HEIGHT_ANGSTROM: Final = 1.57

SPACING_ANGSTROM: Final = 6.15

NOISE_ANGSTROM: Final = 0.05


def warm_up(settings: AnalyzerSettings) -> float:
    """Measure the small bilayer in each way that frames are measured; returns the seconds it took.

    These ways are: whole, without its sulfur, periodic along c (layers that wrap), and one layer alone (layers that no
    gap separates). The fit to positions, which is repeated where a seam is found, and the count of the sites of layers
    with gaps are called too. The first time on a machine every kernel is compiled and kept on disk; later it is only
    loaded.
    """
    begun_s = time.monotonic()
    whole = small_frame()
    wrapped = _with_header(whole, periodic=[True, True, True])
    lower = _with_header(whole, lattice_types=[1])
    for frame in (whole, _metal_of(whole), wrapped, lower):
        measurement_of(estimate_of(frame, settings))
    fit_positions(np.zeros((1, 2)), np.zeros((1, 2)), np.eye(2), 1.0)
    filled_sites(np.zeros((1, 2)), np.eye(2), np.eye(2), (False, False))
    return time.monotonic() - begun_s


def small_frame() -> Frame:
    """Two layers of MoS2, 8 x 8 cells, the atoms a little off their places; buffers as a worker sends them."""
    a, b = LATTICE_ANGSTROM * np.array([1.0, 0.0]), LATTICE_ANGSTROM * np.array([0.5, np.sqrt(0.75)])
    i, j = (index.reshape(-1, 1) for index in np.mgrid[:CELLS, :CELLS])
    metal, sulfur = i * a + j * b, (i + 1 / 3) * a + (j + 1 / 3) * b
    heights = (0.0, -SULFUR_HEIGHT_ANGSTROM, SULFUR_HEIGHT_ANGSTROM)
    planes = [
        np.column_stack([xy, np.full(len(xy), base + height)])
        for base in (5.0, 5.0 + SPACING_ANGSTROM)
        for xy, height in zip((metal, sulfur, sulfur), heights, strict=True)
    ]
    positions = np.concatenate(planes)
    positions += np.random.default_rng(0).normal(scale=NOISE_ANGSTROM, size=positions.shape)
    types = np.repeat(np.array([1, 2, 2, 3, 4, 4], dtype=np.uint8), CELLS * CELLS)
    header = FrameHeader(
        candidate_id="warm-up",
        attempt=1,
        step=0,
        time_ps=0.0,
        cell=[[*(CELLS * a).tolist(), 0.0], [*(CELLS * b).tolist(), 0.0], [0.0, 0.0, 20.0]],
        periodic=[True, True, False],
        shape=list(positions.shape),
        lattice_types=[1, 3],
        elements=["Mo", "S", "Mo", "S"],
    )
    return Frame(header, positions.astype(np.float32), types)


def _metal_of(frame: Frame) -> Frame:
    kept = np.isin(frame.types, frame.header.lattice_types)
    positions = np.ascontiguousarray(frame.positions[kept])
    header = frame.header.model_copy(update={"shape": list(positions.shape)})
    return Frame(header, positions, frame.types[kept])


def _with_header(frame: Frame, **fields: object) -> Frame:
    return Frame(frame.header.model_copy(update=fields), frame.positions, frame.types)
