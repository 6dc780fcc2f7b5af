"""Settings of workers and growth models."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from moireloop_worker.models import growth_model, growth_settings, required_parameters
from moireloop_worker.settings import BeadSettings, NoopSettings, PoolSettings


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
        {"count": 0},
        {"count": 5000},
        {"count": True},
        {"count": 1, "ranks": 0},
        {"count": 1, "launcher": "ssh"},
        {"count": 1, "lease_s": 0.0},
        {"count": 1, "max_attempts": 0},
    ],
)
def test_wrong_pool_is_refused(section: dict[str, Any]) -> None:
    """A wrong [workers] is refused."""
    with pytest.raises(ValidationError):
        PoolSettings.model_validate(section)


def test_every_setting_is_described() -> None:
    """Each setting has a description for docs and errors."""
    for model in (PoolSettings, BeadSettings, NoopSettings):
        assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize("settings", [BeadSettings(), NoopSettings()])
def test_models_name_their_parameters_and_limits(settings: BeadSettings | NoopSettings) -> None:
    """A campaign's search space can be checked before anything starts."""
    limits = required_parameters(settings)
    assert set(limits) == {"temperature_k", "lattice_strain", "shear_strain"}
    assert limits["temperature_k"][0] > 0
    assert growth_model(settings).name == settings.model
