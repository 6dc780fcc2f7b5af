"""The pattern that a diffraction experiment would see of a run's final structure (adapter)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from moireloop.experiment.refused import PatternRefused
from moireloop.structure_files import NoStructure, read_data_file
from moireloop_analyzer.diffraction_settings import KINDS, DiffractionSettings, Kind
from moireloop_broker.contract.events import Result
from moireloop_broker.extras import extras_for
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import unknown_key
from moireloop_broker.state.series import Series
from moireloop_worker.models.growth_model import GrowthModel

if TYPE_CHECKING:
    from moireloop.experiment.comparison import Comparison
    from moireloop_analyzer.scattering.simulated import SimulatedPattern

GROWTH_TEMPERATURE: Final = "temperature_k"
"""The growth parameter that is the temperature of a run."""


def pattern_of_run(
    candidate_id: str,
    results: Sequence[Result],
    all_series: Iterable[Series],
    folder: CampaignFolder,
    model: GrowthModel,
    kind: str,
    settings: DiffractionSettings,
) -> SimulatedPattern:
    """The pattern of the structure that a run ended with.

    Heat is what the settings say, else the run's growth temperature, else the temperature of its last frame. What its
    last frame shows of heat already is not counted twice.

    Args:
        kind: `gixd`, or `rheed`.

    Raises:
        PatternRefused: there is no such run, it left no structure, or the structure cannot be seen.
        MissingExtra: the required extras are not installed.
    """
    result = _result_named(candidate_id, results)
    last = _last_temperature(result, all_series)
    sample = result.candidate.parameters.get(GROWTH_TEMPERATURE, last)
    data_file = folder.final_data(candidate_id, result.attempt)
    return pattern_of_file(data_file, model, kind, settings, sample_k=sample or 0.0, frame_k=last or 0.0)


def pattern_of_file(
    data_file: Path, model: GrowthModel, kind: str, settings: DiffractionSettings, *, sample_k: float, frame_k: float
) -> SimulatedPattern:
    """The pattern of a LAMMPS data file of this growth model; see `pattern_of_run`."""
    with extras_for("simulated patterns", ("analyzer", "figures")):
        from moireloop_analyzer.scattering.atoms import Atoms
        from moireloop_analyzer.scattering.rods import TooManyRods
        from moireloop_analyzer.scattering.simulated import simulated_pattern

        elements = {number: symbol for number, symbol in enumerate(model.elements, start=1) if symbol}
        if not data_file.is_file():
            raise PatternRefused(f"{data_file}: the final structure of this run no longer exists")
        try:
            seen = read_data_file(data_file)
            atoms = Atoms.of_frame(seen.positions, seen.types, seen.cell, model.periodic, elements)
            if not isinstance(atoms, Atoms):
                raise PatternRefused(f"{data_file}: {atoms.reason}")
            return simulated_pattern(atoms, kind_named(kind), settings, sample_k=sample_k, frame_k=frame_k)
        except (NoStructure, TooManyRods) as error:
            raise PatternRefused(str(error)) from error


def pattern_remarks(seen: SimulatedPattern, candidate_id: str) -> tuple[str, ...]:
    """What was assumed, a line each."""
    found = [
        f"{seen.kind.upper()} of {candidate_id}, sample at {seen.temperature_k:.0f} K, "
        f"q along the normal {seen.normal_per_angstrom:.3f} per angstrom"
    ]
    if seen.unknown_types:
        types = ", ".join(map(str, seen.unknown_types))
        found.append(f"of unknown element, so that they scatter as points and heat does not weaken them: types {types}")
    if seen.without_heat:
        found.append(
            f"not weakened by heat, for want of diffraction.debye_temperature_k: {', '.join(seen.without_heat)}"
        )
    return tuple(found)


def simulated_lines(
    comparison: Comparison,
    results: Sequence[Result],
    all_series: Sequence[Series],
    folder: CampaignFolder,
    model: GrowthModel,
    kind: str,
    settings: DiffractionSettings,
) -> list[str]:
    """How far the pattern is from the simulated ones of the closest results, with intensities, the nearest first.

    A result that left no structure has a line with the reason. Raises PatternRefused for an unknown kind.
    """
    from moireloop_analyzer.scattering.intensity_distance import intensity_distance

    kind_named(kind)
    rows: list[tuple[float, str]] = []
    for one in comparison.closest:
        name = one.result.candidate.candidate_id
        try:
            seen = pattern_of_run(name, results, all_series, folder, model, kind, settings)
            apart = intensity_distance(comparison.peaks, seen.peaks)
            rows.append((apart, f"  {name}: {apart:.4f}"))
        except (PatternRefused, ValueError) as error:
            rows.append((math.inf, f"  {name}: not simulated: {error}"))
    head = f"with intensities (energy distance from the simulated {kind.upper()} pattern, sqrt(inverse angstrom)):"
    return [head, *(line for _, line in sorted(rows))] if rows else []


def kind_named(text: str) -> Kind:
    """The kind of experiment of this name. Raises PatternRefused."""
    for kind in KINDS:
        if kind == text:
            return kind
    raise PatternRefused(f"expected the kind of experiment to be {' or '.join(KINDS)}, got {text!r}")


def changed_settings(settings: DiffractionSettings, changes: Mapping[str, Any]) -> DiffractionSettings:
    """The settings with some values changed, of a section of its own by `rheed.azimuth_deg` and the like.

    Raises:
        PatternRefused: there is no such setting, or it does not take the value.
    """
    tree = settings.model_dump(exclude_unset=True)
    for name, value in changes.items():
        section, _, key = name.rpartition(".")
        place = tree.setdefault(section, {}) if section else tree
        place[key] = value
    try:
        return DiffractionSettings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        named = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise PatternRefused(f"diffraction.{unknown_key(named, _names_beside(named), _all_names())}") from error
        raise PatternRefused(f"diffraction.{named}: {first['msg']}, got {first['input']!r}") from error


def _all_names() -> list[str]:
    """All settings, those of a section as `rheed.azimuth_deg`."""
    names = list(DiffractionSettings.model_fields)
    sections = {name: type(getattr(DiffractionSettings(), name)) for name in names}
    inner = [f"{name}.{key}" for name, kind in sections.items() for key in getattr(kind, "model_fields", ())]
    return names + inner


def _names_beside(named: str) -> list[str]:
    section = named.rpartition(".")[0]
    return [name for name in _all_names() if name.rpartition(".")[0] == section]


def _result_named(candidate_id: str, results: Sequence[Result]) -> Result:
    found = next((result for result in results if result.candidate.candidate_id == candidate_id), None)
    if found is None:
        raise PatternRefused(
            f"expected the id of a candidate that has a result, as in the column candidate_id of results.csv, "
            f"got {candidate_id!r}"
        )
    return found


def _last_temperature(result: Result, all_series: Iterable[Series]) -> float | None:
    """Temperature of the last frame of a result's attempt."""
    for series in all_series:
        if (series.candidate_id, series.attempt) == (result.candidate.candidate_id, result.attempt) and series.points:
            return series.points[-1].temperature_k
    return None
