"""What a command line says of a pattern (pure)."""

from __future__ import annotations

from moireloop.experiment.refused import PatternRefused
from moireloop_analyzer.patterns.image import NoScreen, Screen


def screen_of(
    calibration: float | None, centre: str | None, centre_error: float | None, distortion: str | None
) -> Screen | None:
    """Where an image lies in q; None where nothing was said of one. Raises PatternRefused."""
    if calibration is None and centre is None and distortion is None:
        return None
    if calibration is None or centre is None:
        raise PatternRefused("an image needs both --calibration (inverse angstrom per pixel) and --centre X,Y")
    x, y = numbers_of(centre, "--centre", 2)
    bent = numbers_of(distortion, "--distortion", 3) if distortion else (0.0, 0.0, 0.0)
    try:
        return Screen(
            per_pixel=calibration,
            centre=(x, y),
            centre_error=0.5 if centre_error is None else centre_error,
            ellipticity=bent[0],
            angle_deg=bent[1],
            radial=bent[2],
        )
    except NoScreen as error:
        raise PatternRefused(str(error)) from error


def numbers_of(text: str, option: str, count: int) -> tuple[float, ...]:
    """So many numbers with commas between them. Raises PatternRefused."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise PatternRefused(f"{option}: expected {count} numbers with a comma between them, got {text!r}")
    return numbers
