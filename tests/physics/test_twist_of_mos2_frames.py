"""Frames of real molecular dynamics of MoS2.

`mos2_frames.npz` holds `name`, `model`, `state`, `temperature_k`, `step`, `stacking`, `cell` (F, 3, 3) and `atoms` of
F frames, and the `positions` (N, 3) and `types` (N,) of all their atoms one frame after the other: Mo 1, S 2 in the
lower layer, Mo 3, S 4 in the upper one.

* `mos2-rebo`, hot: closed bilayers of the corpus (577 to 930 atoms, strained by at most 1.5 % so that both lattices
  close, up to 5 % of the atoms missing), 0.5 fs a step, Langevin at 300 to 1800 K, two frames each of eight runs,
  after 1.2 and 1.55 ps.
* `mos2-reaxff`, cold: what a campaign of eight runs with the small preset came to (216 atoms; 1500 to 3000 K, strain
  to 5 %, shear 5.5 to 5.75 %, 10 ps of anneal, 30 ps of quench), and the structure with a molten layer that it began
  with. Its layers have vacancies and dislocations, except in c00007.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from moireloop_analyzer.twist import TwistEstimate, measure_twist
from tests.helpers.bilayers import Bilayer
from tests.helpers.corpus import folded
from tests.physics import bragg

LOWER_MO, UPPER_MO = 1, 3


@dataclass(frozen=True)
class Stored:
    """One frame and where it comes from."""

    name: str
    model: str
    stacking: str
    bilayer: Bilayer

    def measured(self) -> TwistEstimate:
        """What the analyzer says of it."""
        frame = self.bilayer
        return measure_twist(
            frame.positions, frame.types, frame.cell, frame.pbc, metal_types=(1, 3), chalcogen_types=(2, 4)
        )

    def seen_in_its_cell_deg(self) -> float:
        """Signed twist of two layers that close over the boundary, by the Bragg peaks of the Mo atoms of each."""
        lower, upper = (
            bragg.direction_of_a_closed_layer_deg(
                *bragg.flattened(self.bilayer, self.bilayer.types == kind, np.zeros(2))
            )
            for kind in (LOWER_MO, UPPER_MO)
        )
        return folded(upper - lower)


def stored_frames() -> list[Stored]:
    """All frames of the file."""
    with np.load(Path(__file__).with_name("mos2_frames.npz")) as stored:
        ends = np.cumsum(stored["atoms"])[:-1]
        places = np.split(stored["positions"].astype(float), ends)
        kinds = np.split(stored["types"].astype(np.int64), ends)
        stored_rows = zip(
            stored["name"], stored["model"], stored["stacking"], places, kinds, stored["cell"], strict=True
        )
        return [
            Stored(str(name), str(model), str(stacking), Bilayer(positions, types, cell))
            for name, model, stacking, positions, types, cell in stored_rows
        ]


FRAMES = stored_frames()
HOT = [frame for frame in FRAMES if frame.model == "mos2-rebo"]
GROWN = {frame.name: frame for frame in FRAMES if frame.model == "mos2-reaxff"}


@pytest.mark.parametrize("frame", HOT, ids=[frame.name for frame in HOT])
def test_hot_layers_have_the_twist_of_their_cell(frame: Stored) -> None:
    """At up to 1800 K and with vacancies: what the Bragg peaks say, to 0.25 degrees, and within three sigma."""
    estimate, truth = frame.measured(), frame.seen_in_its_cell_deg()
    assert estimate.signed_deg is not None, estimate.reason
    assert estimate.sigma_deg is not None
    error = folded(estimate.signed_deg - truth)
    assert abs(error) <= 0.25
    assert abs(error) <= max(3.0 * estimate.sigma_deg, 1e-6)


def test_most_hot_layers_are_right_to_a_millionth_of_a_degree() -> None:
    """Where the fit sees that both layers close, the cell gives their twist, however hot they are."""
    estimates = [frame.measured().signed_deg for frame in HOT]
    errors = [
        np.inf if signed is None else abs(folded(signed - frame.seen_in_its_cell_deg()))
        for signed, frame in zip(estimates, HOT, strict=True)
    ]
    assert np.median(errors) < 1e-6
    assert np.mean(np.array(errors) < 0.1) > 0.7


@pytest.mark.parametrize("name", ["prepared", "c00002"])
def test_molten_and_mixed_layers_are_refused(name: str) -> None:
    """The layer that a campaign begins with has |psi6| 0.16; in c00002 the lower layer (0.03) melted as well."""
    estimate = GROWN[name].measured()
    assert estimate.twist_deg is None
    assert estimate.reason


@pytest.mark.parametrize("name", ["c00001", "c00003", "c00004", "c00005", "c00006", "c00008"])
def test_layers_with_dislocations_are_refused_or_known_badly(name: str) -> None:
    """Of 36 metal atoms a third have fewer or more than six neighbours: no twist, or one with 0.2 degrees at least."""
    estimate = GROWN[name].measured()
    assert estimate.reason is not None or (estimate.sigma_deg or 0.0) > 0.2
