"""`moireloop pattern`: what a diffraction experiment would see of a run's final structure (main)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moireloop.commands.started import started
from moireloop.exit_codes import EXIT_FAILED
from moireloop.experiment.pattern_tables import write_peaks
from moireloop.experiment.refused import PatternRefused
from moireloop.experiment.simulating import changed_settings, pattern_of_run, pattern_remarks
from moireloop.session.records import records
from moireloop.terminal.console import complain, say
from moireloop_analyzer.scattering.counting import counted
from moireloop_analyzer.scattering.simulated import SimulatedPattern
from moireloop_broker.folder import CampaignFolder
from moireloop_worker.models.script_files import started_model

PICTURES = (".png", ".svg")


def pattern(
    path: Path,
    *,
    candidate_id: str,
    kind: str,
    output: Path | None = None,
    picture: Path | None = None,
    changes: Sequence[str] = (),
    counts: float | None = None,
    background: float = 0.0,
    seed: int = 0,
) -> int:
    """Simulate the diffraction pattern of a run's final structure: X-rays in the plane, or RHEED.

    Raises:
        PatternRefused: there is no such run or structure, or an option is wrong.
        CampaignFileError, NeverStarted: there is no such campaign.
    """
    _check_names(output, picture)
    _check_counts(counts, background, seed)
    campaign = started(path)
    folder = CampaignFolder(campaign.folder)
    history, all_series = records(folder)
    model = started_model(campaign.growth, campaign.frames.every_steps, folder)
    settings = changed_settings(campaign.diffraction, named_values(changes))
    seen = pattern_of_run(candidate_id, history.results, all_series, folder, model, kind, settings)
    peaks = seen.peaks
    if counts is not None:
        peaks = counted(peaks, counts, background, np.random.default_rng(seed))
    remarks = pattern_remarks(seen, candidate_id)
    for line in (*remarks, f"{len(peaks)} peaks"):
        say(line)
    writing = output
    try:
        if output is not None:
            write_peaks(peaks, output, remarks)
            say(str(output))
        if picture is not None:
            writing = picture
            _draw(seen, candidate_id, picture)
    except OSError as error:
        complain(f"{writing} is not written: {error.strerror or error}")
        return EXIT_FAILED
    return 0


def named_values(changes: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as settings; a value is a number, or a text where it is none. Raises PatternRefused."""
    found: dict[str, Any] = {}
    for text in changes:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise PatternRefused(f"--set: expected NAME=VALUE, such as rheed.azimuth_deg=30, got {text!r}")
        try:
            found[name] = float(value)
        except ValueError:
            raise PatternRefused(f"--set {name}: expected a number, got {value!r}") from None
    return found


def _draw(seen: SimulatedPattern, candidate_id: str, picture: Path) -> None:
    from moireloop.figures.simulated import write_simulated_figure

    write_simulated_figure(seen, candidate_id, picture)
    say(str(picture))


def _check_names(output: Path | None, picture: Path | None) -> None:
    if output is not None and output.suffix.lower() != ".csv":
        raise PatternRefused(f"-o {output}: expected a name that ends in .csv")
    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise PatternRefused(f"--picture {picture}: expected a name that ends in .png or .svg")


def _check_counts(counts: float | None, background: float, seed: int) -> None:
    if seed < 0:
        raise PatternRefused(f"--seed: expected a whole number of 0 or more, got {seed}")
    if counts is not None and not 1 <= counts <= 1e12:
        raise PatternRefused(f"--counts: expected 1 to 1e12 counts in the brightest peak, got {counts:g}")
    if not 0 <= background <= 1e12:
        raise PatternRefused(f"--background: expected 0 to 1e12 counts under each peak, got {background:g}")
