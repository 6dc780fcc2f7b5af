"""`moireloop compare`: a measured pattern compared with a campaign (main)."""

from __future__ import annotations

from pathlib import Path

from moireloop.commands.started import as_steered, started
from moireloop.exit_codes import EXIT_FAILED
from moireloop.experiment.arguments import numbers_of, screen_of
from moireloop.experiment.comparison import CLOSEST, Comparison, compare_peaks
from moireloop.experiment.lines import campaign_lines, pattern_lines
from moireloop.experiment.pattern_files import read_pattern
from moireloop.experiment.refused import PatternRefused
from moireloop.experiment.simulating import simulated_lines
from moireloop.session.records import records
from moireloop.terminal.console import complain, say
from moireloop_analyzer.patterns.indexing import MAX_STRAIN
from moireloop_broker.folder import CampaignFolder
from moireloop_worker.models import crystal_of
from moireloop_worker.models.script_files import started_model

PICTURES = (".png", ".svg")


def compare(
    path: Path,
    *,
    pattern: Path,
    lattices: str | None = None,
    max_strain: float = MAX_STRAIN,
    closest: int = CLOSEST,
    calibration: float | None = None,
    centre: str | None = None,
    centre_error: float | None = None,
    distortion: str | None = None,
    instrument: float = 0.0,
    scale_within: float | None = None,
    simulate: str | None = None,
    output: Path | None = None,
) -> int:
    """Measure the twist in a diffraction pattern; find the most similar results and what to change.

    Returns 0, also where the twist is unknown: then the reason is printed.

    Raises:
        PatternRefused: the pattern, or an option for it, cannot be used.
        CampaignFileError, NeverStarted: there is no such campaign.
    """
    if output is not None and output.suffix.lower() not in PICTURES:
        raise PatternRefused(f"-o {output}: expected a name that ends in .png or .svg")
    screen = screen_of(calibration, centre, centre_error, distortion)
    known = None if lattices is None else numbers_of(lattices, "--lattices", 2)
    campaign = started(path)
    peaks = read_pattern(
        pattern, screen=screen, centre_error=0.0 if screen else centre_error or 0.0, instrument_fwhm=instrument
    )
    history, all_series = records(CampaignFolder(campaign.folder))
    campaign, crystal = as_steered(campaign, history), crystal_of(campaign.growth)
    constants = (known[0], known[1]) if known else None
    if constants is None and crystal is not None:
        constants = crystal.lattice_angstrom, crystal.lattice_angstrom
    comparison = compare_peaks(
        peaks, history.results, campaign.targets, campaign.space,
        lattices=constants, max_strain=max_strain, closest=closest, scale_within=scale_within,
    )  # fmt: skip
    for line in (*pattern_lines(comparison), *campaign_lines(comparison)):
        say(line)
    if simulate is not None:
        folder = CampaignFolder(campaign.folder)
        model = started_model(campaign.growth, campaign.frames.every_steps, folder)
        for line in simulated_lines(
            comparison, history.results, all_series, folder, model, simulate, campaign.diffraction
        ):
            say(line)
    return 0 if output is None else _drawn(comparison, pattern.name, output)


def _drawn(comparison: Comparison, name: str, output: Path) -> int:
    from moireloop.figures.pattern import write_pattern_figure

    try:
        write_pattern_figure(comparison, name, output)
    except OSError as error:
        complain(f"cannot write the picture to {output}: {error.strerror or error}")
        return EXIT_FAILED
    say(str(output))
    return 0
