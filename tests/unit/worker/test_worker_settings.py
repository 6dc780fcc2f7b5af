"""Settings of workers and growth models."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from moireloop_worker.models import growth_model, growth_settings, required_parameters
from moireloop_worker.models.settings import BeadSettings, NoopSettings
from moireloop_worker.settings import LammpsSettings, PoolSettings


def test_growth_section_chooses_its_model() -> None:
    """The key `model` chooses the settings class; lists of a TOML file become tuples."""
    assert growth_settings({"model": "bead", "cells": [6, 8]}) == BeadSettings(cells=(6, 8))
    assert isinstance(growth_settings({"model": "noop"}), NoopSettings)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"model": "mos2"}, "bead"),
        ({}, "model"),
        ({"model": "bead", "cell": [6, 6]}, "cell"),
        ({"model": "bead", "cells": [6]}, "cells"),
        ({"model": "bead", "cells": [1, 6]}, "cells"),
        ({"model": "bead", "cells": ["6", 6]}, "cells"),
        ({"model": "bead", "melt_k": -1.0}, "melt_k"),
        ({"model": "bead", "melt_k": float("nan")}, "melt_k"),
        ({"model": "bead", "quench_steps": 2.5}, "quench_steps"),
        ({"model": "bead", "cutoff_angstrom": 3.0}, "cutoff_angstrom"),
    ],
)
def test_wrong_growth_section_is_refused_by_name(section: dict[str, Any], key: str) -> None:
    """A wrong [growth] is refused, and the error names the key or what is allowed."""
    with pytest.raises(ValidationError, match=key):
        growth_settings(section)


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"count": -1},
        {"count": 5000},
        {"count": True},
        {"count": 1, "ranks": 0},
        {"count": 1, "launcher": ""},
        {"count": 1, "lease_s": 0.0},
        {"count": 1, "max_attempts": 0},
    ],
)
def test_wrong_pool_is_refused(section: dict[str, Any]) -> None:
    """A wrong [workers] is refused."""
    with pytest.raises(ValidationError):
        PoolSettings.model_validate(section)


@pytest.mark.parametrize(
    ("arguments", "threads"),
    [
        ([], 1),
        (["-sf", "opt"], 1),
        (["-sf", "omp", "-pk", "omp", "2"], 2),
        (["-pk", "omp", "0"], 1),
        (["-k", "on", "g", "1", "t", "4", "-sf", "kk"], 4),
        (["-kokkos", "on", "threads", "8"], 8),
        (["-pk", "intel", "0", "omp", "3", "mode", "mixed", "-suffix", "hybrid", "intel", "omp"], 3),
        (["-pk", "gpu", "1", "split", "-1.0"], 1),
    ],
)
def test_threads_of_a_rank_are_read_from_the_arguments(arguments: list[str], threads: int) -> None:
    """The options of OPENMP, KOKKOS and INTEL say how many cores a rank uses; without them it is one."""
    assert LammpsSettings.model_validate({"arguments": arguments}).threads == threads


@pytest.mark.parametrize(
    "arguments",
    [
        ["-log", "mine.log"],
        ["-sf", "omp", "-screen", "all"],
        ["-in", "in.lammps"],
        ["-partition", "2x1"],
        ["-nocite"],
        ["--in", "x"],
        ["omp"],
        ["-sf", "o mp"],
        ["-sf", ""],
        "-sf omp",
    ],
)
def test_arguments_that_moireloop_sets_are_refused(arguments: object) -> None:
    """Log, screen, input and partitions are the worker's; only accelerator switches pass, as separate words."""
    with pytest.raises(ValidationError, match="arguments"):
        LammpsSettings.model_validate({"arguments": arguments})


def test_every_setting_is_described() -> None:
    """Each setting has a description for docs and errors."""
    for model in (PoolSettings, LammpsSettings, BeadSettings, NoopSettings):
        assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize("settings", [BeadSettings(), NoopSettings()])
def test_models_name_their_parameters_and_limits(settings: BeadSettings | NoopSettings) -> None:
    """A campaign's search space can be checked before anything starts."""
    limits = required_parameters(settings)
    assert set(limits) == {"temperature_k", "lattice_strain", "shear_strain"}
    assert limits["temperature_k"][0] > 0
    assert growth_model(settings).name == settings.model
