"""Our generator inside libEnsemble, as its users run generators of the standard."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gest_api.vocs import VOCS
from libensemble import Ensemble
from libensemble.alloc_funcs.start_only_persistent import only_persistent_gens
from libensemble.specs import AllocSpecs, ExitCriteria, GenSpecs, LibeSpecs, SimSpecs

from moireloop_optimizer import TwistGenerator

SPACE = VOCS.model_validate(
    {
        "variables": {"temperature_k": [1500.0, 3000.0], "lattice_strain": [0.0, 0.05]},
        "observables": ["twist_deg", "sigma_deg"],
    }
)


def simulated(point: dict[str, Any]) -> dict[str, float]:
    """A twist with its standard error; none in a corner."""
    if point["temperature_k"] > 2900:
        return {"twist_deg": math.nan, "sigma_deg": math.nan}
    phase = point["temperature_k"] / 300.0 + 60.0 * point["lattice_strain"]
    return {"twist_deg": 15.0 + 15.0 * math.sin(phase), "sigma_deg": 0.1}


def test_libensemble_runs_our_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asynchronously with two workers: twelve different points are simulated, and each is known again by its id."""
    monkeypatch.chdir(tmp_path)
    ours = TwistGenerator(SPACE, [8.0], strategy="thompson", initial=4, seed=1)
    ensemble = Ensemble(
        libE_specs=LibeSpecs(
            comms="threads", nworkers=2, gen_on_manager=True, disable_log_files=True, disable_resource_manager=True
        ),
        gen_specs=GenSpecs(generator=ours, vocs=SPACE, initial_batch_size=4, batch_size=2),
        sim_specs=SimSpecs(simulator=simulated, vocs=SPACE),
        alloc_specs=AllocSpecs(alloc_f=only_persistent_gens, user={"async_return": True}),
        exit_criteria=ExitCriteria(sim_max=12),
    )
    history, _, flag = ensemble.run()
    ended = history[history["sim_ended"]]
    assert flag == 0
    assert sorted(ended["_id"]) == list(range(12))
    assert len(np.unique(ended["temperature_k"])) == 12
    assert ((ended["temperature_k"] >= 1500) & (ended["temperature_k"] <= 3000)).all()
    informed = ended["gen_informed"].sum()
    assert informed >= 8
    assert [point["_id"] for point in ours.suggest(1)] == [len(history)]
