"""The growth models, by the key `model` of their settings. A new model is one module here and one line below (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import GrowthModel, Limits
from moireloop_worker.models.mos2 import Mos2
from moireloop_worker.models.mos2_settings import ReaxffSettings, ReboSettings
from moireloop_worker.models.noop import Noop
from moireloop_worker.models.script import Script
from moireloop_worker.models.script_settings import ReadScript, ScriptSettings
from moireloop_worker.models.settings import BeadSettings, GrowthSettings, NoopSettings

_ADAPTER: Final[TypeAdapter[Any]] = TypeAdapter(GrowthSettings)


def growth_settings(section: Mapping[str, object]) -> GrowthSettings:
    """The settings in the section [growth] as workers are told it. Raises pydantic.ValidationError."""
    if section.get("model") == "script":
        return ReadScript.model_validate(dict(section))
    settings: GrowthSettings = _ADAPTER.validate_python(dict(section))
    return settings


def growth_model(settings: GrowthSettings) -> GrowthModel:
    """The growth model that these settings describe."""
    match settings:
        case BeadSettings():
            return Bead(settings)
        case NoopSettings():
            return Noop(settings)
        case ReboSettings() | ReaxffSettings():
            return Mos2(settings)
        case ReadScript():
            return Script(settings)
        case ScriptSettings():
            raise TypeError("expected a script that was read, got the name of its file")


def required_parameters(settings: GrowthSettings) -> dict[str, Limits]:
    """The growth parameters that a candidate must have, and the hard limits (lowest, highest) of each."""
    return dict(growth_model(settings).parameters)
