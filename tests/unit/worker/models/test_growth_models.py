"""Growth models: what they plan, without running it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from moireloop_broker.contract.frames import frame_from_parts
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import (
    LARGEST_SEED,
    Configuration,
    GrowthModel,
    ParametersRefused,
    Plan,
    Still,
    quoted,
    run_seed,
)
from moireloop_worker.models.mos2 import Mos2
from moireloop_worker.models.mos2_settings import ReboSettings
from moireloop_worker.models.noop import Noop
from moireloop_worker.models.settings import BeadSettings, NoopSettings
from moireloop_worker.run.frames import RunFrames, frame_of

PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.02, "shear_strain": 0.05}


def test_runs_follow_the_seeds_protocol() -> None:
    """A run anneals at the candidate's temperature and then quenches from there to 0 K."""
    plan = Bead(BeadSettings()).plan(PARAMETERS, 7, "start.data")
    assert [(stage.name, stage.steps) for stage in plan.stages] == [("anneal", 5000), ("quench", 15_000)]
    assert plan.steps == 20_000
    thermostats = [c.split()[4:6] for stage in plan.stages for c in stage.commands if " langevin " in c]
    assert thermostats == [["2000.0", "2000.0"], ["2000.0", "0.0"]]


def test_cell_is_strained_and_sheared() -> None:
    """x and y scale by 1 + lattice_strain; xy gains shear_strain times the strained height of the cell."""
    settings = BeadSettings(cells=(4, 6))
    (command,) = [c for c in Bead(settings).plan(PARAMETERS, 7, "p").structure if c.startswith("change_box")]
    words = command.split()
    side = 6 * settings.lattice_angstrom * 1.02
    assert float(words[4]) == float(words[7]) == 1.02
    assert float(words[10]) == pytest.approx(side / 2 + 0.05 * side * math.sqrt(3) / 2)


@pytest.mark.parametrize(
    ("model", "elements"),
    [(Mos2(ReboSettings()), ["Mo", "S", "Mo", "S"]), (Bead(BeadSettings()), [])],
    ids=["mos2", "bead"],
)
def test_frames_name_the_elements(model: GrowthModel, elements: list[str]) -> None:
    """A frame says which element each type is, where the types are elements."""
    snapshot = Configuration(
        step=1, time_ps=0.0, temperature_k=None, cell=np.eye(3), positions=np.zeros((1, 3), np.float32),
        types=np.ones(1, np.uint8),
    )  # fmt: skip
    assert frame_of("c1", 1, model, snapshot).header.elements == elements
    assert frame_from_parts(RunFrames("c1", 1, model).message(snapshot)).header.elements == elements


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature_k": 2000.0},
        {**PARAMETERS, "pressure_bar": 1.0},
        {**PARAMETERS, "temperature_k": 0.0},
        {**PARAMETERS, "temperature_k": math.nan},
        {**PARAMETERS, "lattice_strain": -0.9},
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, float]) -> None:
    """Missing, unknown and impossible parameters are refused before anything runs."""
    with pytest.raises(ParametersRefused, match="expected"):
        Bead(BeadSettings()).plan(parameters, 7, "start.data")


def test_preparation_is_named_by_its_content() -> None:
    """Settings of the preparation, its seed and the LAMMPS version change the key; settings of the run do not."""
    key = Bead(BeadSettings()).preparation(0, 1).key
    assert Bead(BeadSettings(quench_steps=10)).preparation(0, 1).key == key
    changed = {
        Bead(BeadSettings(melt_k=9000.0)).preparation(0, 1).key,
        Bead(BeadSettings(preparation_seed=5)).preparation(0, 1).key,
        Bead(BeadSettings()).preparation(0, 2).key,
    }
    assert len(changed | {key}) == 4


def test_candidates_share_prepared_structures() -> None:
    """There are exactly `prepared_seeds` structures, chosen by the candidate's seed."""
    model = Bead(BeadSettings(prepared_seeds=3))
    assert len({model.preparation(seed, 1).key for seed in range(20)}) == 3


@pytest.mark.parametrize("seed", [0, 1, LARGEST_SEED - 1, LARGEST_SEED, 2**31 - 1])
def test_lammps_seeds_are_in_range(seed: int) -> None:
    """Every seed in a plan is one that LAMMPS takes, for the smallest and the largest seeds."""
    model = Bead(BeadSettings(preparation_seed=seed))
    prepared = model.preparation(seed, 1).plan
    plan = model.plan(PARAMETERS, run_seed(seed, 1), "p")
    seeds = [int(s) for s in re.findall(r"(?:create \S+|langevin \S+ \S+ \S+) (\d+)", f"{prepared} {plan}")]
    assert len(seeds) == 8
    assert all(1 <= s <= LARGEST_SEED for s in seeds)


def test_attempts_differ_and_repeat() -> None:
    """The seed of an attempt is the same each time, and differs from attempt to attempt."""
    assert run_seed(5, 1) == run_seed(5, 1)
    assert len({run_seed(5, attempt) for attempt in range(1, 50)}) == 49


def test_paths_are_taken_literally() -> None:
    """A path with blanks and $ is one word; what LAMMPS cannot take is refused."""
    assert quoted("/a b/$x") == '"/a b/$x"'
    with pytest.raises(ValueError, match="quotes"):
        quoted('/a"b')


def test_noop_is_a_perfect_bilayer() -> None:
    """Each bead of the no-op's layers has six neighbours at the lattice constant."""
    still = Noop(NoopSettings(cells=(5, 4))).plan({"anything": 1.0}, 1, None)
    assert isinstance(still, Still)
    assert not isinstance(still, Plan)
    snapshot = still.snapshot
    assert snapshot.positions.shape == (40, 3)
    assert snapshot.positions.dtype == np.float32
    for layer in (1, 2):
        flat = snapshot.positions[snapshot.types == layer][:, :2].astype(float)
        cell = snapshot.cell[:2, :2]
        images = np.concatenate([flat + i * cell[0] + j * cell[1] for i in (-1, 0, 1) for j in (-1, 0, 1)])
        distances = np.sort(np.linalg.norm(flat[:, None] - images[None], axis=2), axis=1)
        np.testing.assert_allclose(distances[:, 1:7], 3.16, rtol=1e-5)
        assert (distances[:, 7] > 5.4).all()
