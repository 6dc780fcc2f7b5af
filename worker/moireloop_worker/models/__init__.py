"""The growth models, by the key `model` of their settings (pure).

A new model is one module here and one line below, or an entry point of another package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from moireloop_worker.models.bead import Bead
from moireloop_worker.models.crystal import Crystal
from moireloop_worker.models.growth_model import GrowthModel, Limits
from moireloop_worker.models.mos2 import Mos2
from moireloop_worker.models.mos2_settings import Mos2Settings, ReaxffSettings, ReboSettings
from moireloop_worker.models.noop import Noop
from moireloop_worker.models.script import Script
from moireloop_worker.models.script_settings import ReadScript, ScriptSettings
from moireloop_worker.models.settings import OWN, BeadSettings, ForeignSettings, GrowthSettings, NoopSettings

GROUP: Final = "moireloop.growth_models"

OpenGrowthModel = Callable[[Mapping[str, Any]], GrowthModel]
"""What an entry point of GROUP names: it gets the keys of [growth] but `model`, and raises ValueError on wrong ones."""

_ADAPTER: Final[TypeAdapter[Any]] = TypeAdapter(GrowthSettings)


def growth_settings(section: Mapping[str, object]) -> GrowthSettings:
    """The settings in the section [growth] as workers receive it. Raises pydantic.ValidationError."""
    if section.get("model") == "script":
        return ReadScript.model_validate(dict(section))
    settings: GrowthSettings = _ADAPTER.validate_python(dict(section))
    if isinstance(settings, ForeignSettings) and settings.model not in known_models():
        wrong = PydanticCustomError("unknown_model", "expected one of {known}", {"known": ", ".join(known_models())})
        details = InitErrorDetails(type=wrong, loc=("model",), input=settings.model)
        raise ValidationError.from_exception_data("growth", [details])
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
        case ForeignSettings():
            return foreign_model(settings.model, settings.options)
        case ScriptSettings():
            raise TypeError("expected a script that was read, got the name of its file")


def crystal_of(settings: GrowthSettings) -> Crystal | None:
    """The crystal that runs of these settings start from; None where the model does not say, as for a script.

    A growth model of another package says it by an attribute `crystal`.
    """
    if isinstance(settings, BeadSettings | Mos2Settings):
        return Crystal(settings.cells, settings.lattice_angstrom)
    if not isinstance(settings, ForeignSettings):
        return None
    crystal = getattr(growth_model(settings), "crystal", None)
    return crystal if isinstance(crystal, Crystal) else None


def required_parameters(settings: GrowthSettings) -> dict[str, Limits]:
    """The growth parameters that a candidate must have, and the hard limits (lowest, highest) of each."""
    return dict(growth_model(settings).parameters)


class GrowthModelUnusable(ValueError):
    """A growth model that another package brings cannot be loaded or takes no such settings; the message says why."""


def known_models() -> list[str]:
    """Names of all growth models: ours, and those that other packages bring."""
    return sorted({*OWN, *entry_points(group=GROUP).names})


def foreign_model(name: str, options: Mapping[str, Any]) -> GrowthModel:
    """The growth model of this name, which another package brings. Raises GrowthModelUnusable."""
    entries = {entry.value: entry for entry in entry_points(group=GROUP) if entry.name == name}
    if len(entries) != 1:
        places = " and ".join(sorted(entries)) or "none"
        raise GrowthModelUnusable(f"model: expected one package that provides growth model {name!r}, got {places}")
    (entry,) = entries.values()
    try:
        make: OpenGrowthModel = entry.load()
    except Exception as error:  # a user's module: anything may be wrong with it
        raise GrowthModelUnusable(f"model: {name!r} ({entry.value}) cannot be loaded: {error}") from error
    try:
        return make(options)
    except ValueError:
        raise
    except Exception as error:
        text = f"model: {name!r} ({entry.value}) failed: {type(error).__name__}: {error}"
        raise GrowthModelUnusable(text) from error
