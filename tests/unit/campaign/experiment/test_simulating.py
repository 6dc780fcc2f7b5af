"""Patterns of a run's final structure: which heat, which noise, what is refused, and tables that `compare` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moireloop.commands.looking.pattern import named_values, pattern
from moireloop.experiment.comparison import Comparison, Similar
from moireloop.experiment.pattern_files import read_pattern
from moireloop.experiment.pattern_tables import write_peaks
from moireloop.experiment.refused import PatternRefused
from moireloop.experiment.simulating import (
    changed_settings,
    kind_named,
    pattern_of_file,
    pattern_of_run,
    pattern_remarks,
    simulated_lines,
)
from moireloop.figures.simulated import simulated_figure, write_simulated_figure
from moireloop_analyzer.diffraction_settings import DiffractionSettings
from moireloop_analyzer.patterns.indexed import IndexedPattern
from moireloop_analyzer.patterns.indexing import index_pattern
from moireloop_analyzer.scattering.counting import counted
from moireloop_analyzer.scattering.simulated import SimulatedPattern
from moireloop_broker.contract.events import Result
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series, SeriesPoint
from moireloop_worker.models import growth_model, growth_settings
from moireloop_worker.models.growth_model import GrowthModel
from tests.helpers.bilayers import Bilayer, commensurate_twist_deg
from tests.helpers.grown import grown
from tests.helpers.mx2 import mx2

SETTINGS = DiffractionSettings()


@pytest.fixture
def model() -> GrowthModel:
    return growth_model(growth_settings({"model": "mos2-rebo"}))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def data_file(path: Path, bilayer: Bilayer) -> Path:
    """A bilayer as a LAMMPS data file; its cell has to lie along the axes of LAMMPS, which a is turned to."""
    turn = np.linalg.qr(bilayer.cell.T)[0]
    turn *= np.sign(np.diag(bilayer.cell @ turn))
    cell, positions = bilayer.cell @ turn, bilayer.positions @ turn
    rows = [
        f"{n} {kind} {x:.8f} {y:.8f} {z:.8f}"
        for n, (kind, (x, y, z)) in enumerate(zip(bilayer.types, positions, strict=True), 1)
    ]
    head = [
        "a bilayer", "", f"{len(rows)} atoms", "4 atom types", "", f"0.0 {cell[0, 0]:.10f} xlo xhi",
        f"0.0 {cell[1, 1]:.10f} ylo yhi", f"0.0 {cell[2, 2]:.10f} zlo zhi", f"{cell[1, 0]:.10f} 0.0 0.0 xy xz yz", "",
        "Atoms # atomic", "",
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *rows, ""]))
    return path


@pytest.mark.parametrize("kind", ["gixd", "rheed"])
def test_compare_finds_the_twist_of_a_table(
    tmp_path: Path, kind: str, model: GrowthModel, rng: np.random.Generator
) -> None:
    """Structure, data file, pattern with counts, CSV, indexed: the twist of the structure within its error."""
    file = data_file(tmp_path / "final.data", mx2(4, 3, repeats=2).shaken(0.05, rng))
    seen = pattern_of_file(file, model, kind, SETTINGS, sample_k=1200.0, frame_k=0.0)
    assert (seen.unknown_types, seen.without_heat) == ((), ())
    noisy = counted(seen.peaks, 2e4, 20.0, rng)
    write_peaks(noisy, tmp_path / "peaks.csv", pattern_remarks(seen, "c1"))
    read = read_pattern(tmp_path / "peaks.csv")
    assert read.q == pytest.approx(noisy.q)
    assert read.sigma_azimuthal == pytest.approx(noisy.sigma_azimuthal, rel=1e-6)
    assert read.width_azimuthal == pytest.approx(noisy.width_azimuthal, rel=1e-6)
    found = index_pattern(read, (3.16, 3.16))
    assert found.twist_deg is not None, found.reason
    assert found.sigma_deg is not None
    assert abs(found.twist_deg - commensurate_twist_deg(4, 3)) < 4.0 * found.sigma_deg < 0.2


def test_heat_belongs_to_the_run(tmp_path: Path, model: GrowthModel) -> None:
    """The growth temperature, less what the last frame shows; else the one that the settings name, or the frame's."""
    folder = CampaignFolder(tmp_path)
    result = grown(1, 8.2, {"temperature_k": 1800.0})
    data_file(folder.final_data("c0001", result.attempt), mx2(2, 1, repeats=2))
    point = SeriesPoint(10, 1.0, 400.0, 8.2, 0.1, 0.9, 0.9, None, 10, True)
    series = [Series("c0001", result.attempt, (point,))]

    def seen(
        settings: DiffractionSettings = SETTINGS, of: Result = result, series: Sequence[Series] = series
    ) -> SimulatedPattern:
        return pattern_of_run("c0001", [of], series, folder, model, "gixd", settings)

    hot, still = seen(), seen(series=[])
    assert hot.temperature_k == 1800.0
    assert still.peaks.intensity[0] < 0.99 * hot.peaks.intensity[0]
    assert seen(DiffractionSettings(temperature_k=300.0)).temperature_k == 300.0
    assert seen(of=grown(1, 8.2, {"shear_strain": 0.1})).temperature_k == 400.0


def test_what_cannot_be_seen_is_reported(tmp_path: Path, model: GrowthModel) -> None:
    """An unknown run, a structure that is gone or damaged, a kind that does not exist: one line each."""
    folder, result = CampaignFolder(tmp_path), grown(1, 8.2, {"temperature_k": 1800.0})
    with pytest.raises(PatternRefused, match="c0009"):
        pattern_of_run("c0009", [result], [], folder, model, "gixd", SETTINGS)
    with pytest.raises(PatternRefused, match="final structure of this run no longer exists"):
        pattern_of_run("c0001", [result], [], folder, model, "gixd", SETTINGS)
    place = folder.final_data("c0001", result.attempt)
    data_file(place, mx2(2, 1))
    with pytest.raises(PatternRefused, match="gixd or rheed"):
        pattern_of_run("c0001", [result], [], folder, model, "leed", SETTINGS)
    place.write_text("no data\n")
    with pytest.raises(PatternRefused, match="cannot be read"):
        pattern_of_run("c0001", [result], [], folder, model, "gixd", SETTINGS)
    assert kind_named("rheed") == "rheed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rheed.azimut_deg": 30.0}, "azimut_deg"),
        ({"temperature_k": -1.0}, "temperature_k"),
        ({"nothing.energy_kev": 1.0}, "nothing"),
        ({"gixd.energy_kev": float("nan")}, "energy_kev"),
        ({"reach_per_angstrom.x": 1.0}, "reach_per_angstrom"),
    ],
)
def test_settings_that_do_not_exist_are_refused(change: dict[str, float], message: str) -> None:
    """By name, and what was wrong."""
    with pytest.raises(PatternRefused, match=message):
        changed_settings(SETTINGS, change)


def test_settings_are_changed_one_by_one() -> None:
    """Of the section and of its tables; the others stay."""
    start = DiffractionSettings.model_validate({"rheed": {"energy_kev": 20.0}, "mosaic_fwhm_deg": 1.0})
    found = changed_settings(start, {"rheed.azimuth_deg": 30.0, "temperature_k": 300.0, "debye_temperature_k.W": 400.0})
    assert (found.rheed.energy_kev, found.rheed.azimuth_deg, found.mosaic_fwhm_deg) == (20.0, 30.0, 1.0)
    assert found.debye_temperature_k == {"W": 400.0}
    assert named_values(["a=1", "b.c=2e3"]) == {"a": 1.0, "b.c": 2000.0}
    for wrong in ("a", "=1", "a=x"):
        with pytest.raises(PatternRefused, match="--set"):
            named_values([wrong])


def test_options_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    """Names of files by what they end in, counts within bounds."""
    nowhere = tmp_path / "none.toml"
    wrong: list[dict[str, Any]] = [
        {"output": Path("a.txt")}, {"picture": Path("a.gif")}, {"counts": 0.0}, {"background": -1.0},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(PatternRefused, match=next(iter(options)).replace("output", "-o")):
            pattern(nowhere, candidate_id="c1", kind="gixd", **options)


@pytest.mark.parametrize("kind", ["gixd", "rheed"])
def test_the_picture_shows_what_was_seen(tmp_path: Path, kind: str, model: GrowthModel) -> None:
    """A map with marks at its peaks; of RHEED the screen beside it."""
    file = data_file(tmp_path / "final.data", mx2(2, 1, repeats=2))
    seen = pattern_of_file(file, model, kind, SETTINGS, sample_k=300.0, frame_k=0.0)
    figure = simulated_figure(seen, "c1")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == (2 if kind == "rheed" else 1)
    marks = next(line for line in figure.axes[0].lines if line.get_gid() == "peaks")
    assert len(np.asarray(marks.get_xdata())) == min(len(seen.peaks), 60)
    write_simulated_figure(seen, "c1", tmp_path / "seen.svg")
    assert (tmp_path / "seen.svg").stat().st_size > 1000


def test_the_pattern_of_a_run_is_nearest_to_itself(tmp_path: Path, model: GrowthModel) -> None:
    """With intensities: its own structure first, then the other twist, then the run that left no structure."""
    folder = CampaignFolder(tmp_path)
    pairs = {1: (4, 3), 2: (3, 2)}
    results = [grown(n, commensurate_twist_deg(*pair), {"temperature_k": 1500.0}) for n, pair in pairs.items()]
    results.append(grown(3, 20.0, {"temperature_k": 1600.0}))
    for one, pair in zip(results, pairs.values(), strict=False):
        data_file(folder.final_data(one.candidate.candidate_id, one.attempt), mx2(*pair, repeats=2))
    peaks = pattern_of_run("c0002", results, [], folder, model, "gixd", SETTINGS).peaks
    similar = tuple(Similar(one, 0.1, 0.0) for one in results)
    comparison = Comparison(peaks, IndexedPattern(), similar, ())
    lines = simulated_lines(comparison, results, [], folder, model, "gixd", SETTINGS)
    assert [line.split()[0] for line in lines[1:]] == ["c0002:", "c0001:", "c0003:"]
    assert lines[1].endswith(" 0.0000")
    assert "final structure of this run no longer exists" in lines[3]
    with pytest.raises(PatternRefused, match="gixd or rheed"):
        simulated_lines(comparison, results, [], folder, model, "leed", SETTINGS)
