"""`moireloop submit-pattern`: a measured pattern for the log of a running campaign (main)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moireloop.client.requests import BadArgument
from moireloop.commands.started import started
from moireloop.commands.steering.requests import client_of, named_numbers
from moireloop.exit_codes import EXIT_FAILED
from moireloop.experiment.arguments import numbers_of, screen_of
from moireloop.experiment.options import PatternOptions
from moireloop.results.labels import with_error
from moireloop.terminal.console import complain, say
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_worker.models import crystal_of


def submit_pattern(
    path: Path,
    *,
    pattern: Path,
    name: str | None = None,
    parameters: Sequence[str] = (),
    measured_s: float | None = None,
    lattices: str | None = None,
    max_strain: float | None = None,
    calibration: float | None = None,
    centre: str | None = None,
    centre_error: float | None = None,
    distortion: str | None = None,
    instrument: float = 0.0,
    scale_within: float | None = None,
) -> int:
    """Add a measured diffraction pattern and its twist to the log of a running campaign.

    Returns 1 where the twist is unknown: the pattern is in the log with the reason.

    Raises:
        PatternRefused, BadArgument: the pattern, or an option for it, cannot be used.
        NotRunning, RequestRefused: the campaign does not run, or does not take it.
    """
    screen = screen_of(calibration, centre, centre_error, distortion)
    options = PatternOptions(centre_error=0.0 if screen else centre_error or 0.0, instrument_fwhm=instrument)
    if screen is not None:
        options["screen"] = screen
    if scale_within is not None:
        options["scale_within"] = scale_within
    if max_strain is not None:
        options["max_strain"] = max_strain
    if (constants := _constants(path, lattices)) is not None:
        options["lattices"] = constants
    if measured_s is not None and not measured_s >= 0:
        raise BadArgument(f"--measured-s: expected seconds since the epoch, got {measured_s!r}")
    with client_of(path) as client:
        event = client.submit_pattern(
            pattern, pattern_id=name, parameters=named_numbers(parameters), measured_s=measured_s, **options
        )
    return _print_result(event)


def _constants(path: Path, lattices: str | None) -> tuple[float, float] | None:
    """Lattice constants as given, else the growth model's, from a campaign file or folder."""
    if lattices is not None:
        lower, upper = numbers_of(lattices, "--lattices", 2)
        return lower, upper
    crystal = None if path.suffix == ".json" else crystal_of(started(path).growth)
    return None if crystal is None else (crystal.lattice_angstrom, crystal.lattice_angstrom)


def _print_result(event: PatternMeasured) -> int:
    shown = event.analysis
    if shown.twist_deg is None:
        complain(f"{event.pattern_id} is in the log without a twist: {shown.reason}")
        return EXIT_FAILED
    say(f"{event.pattern_id} is in the log: twist {with_error(shown.twist_deg, shown.sigma_deg, ' degrees')}")
    for near in shown.closest:
        distance, sigma = near.distance_per_angstrom, near.sigma_per_angstrom
        say(f"  like {near.candidate_id}: distance {distance:.4f} +- {sigma:.4f} inverse angstrom")
    return 0
