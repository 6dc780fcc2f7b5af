"""`moireloop advise`: where the growth chamber, and the computer, should go next (main)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moireloop.client.requests import BadArgument, one_target
from moireloop.commands.started import client_or_folder
from moireloop.exit_codes import EXIT_FAILED
from moireloop.terminal.console import complain, say
from moireloop_broker.contract.search import Target
from moireloop_broker.folder import CampaignFolder

if TYPE_CHECKING:
    from moireloop_optimizer.discrepancy import ChamberAdvice


def advise(path: Path, *, target: str | None = None) -> int:
    """Advise where to grow next and where to simulate next to hit a target, from results and patterns.

    Returns 1 where there is no advice: the reason is printed.

    Raises:
        BadArgument: the target makes no sense.
        CampaignFileError, NeverStarted, NotRunning: there is no such campaign, or nothing responds.
    """
    from moireloop.experiment.chamber import advice_lines

    advice = _advice(path, None if target is None else _target(target))
    for line in advice_lines(advice):
        (say if advice.reason is None else complain)(line)
    return 0 if advice.reason is None else EXIT_FAILED


def _advice(path: Path, target: Target | None) -> ChamberAdvice:
    source = client_or_folder(path)
    if isinstance(source, CampaignFolder):
        from moireloop.stored import open_campaign

        return open_campaign(source.root).advise_chamber(target)
    with source as client:
        return client.advise_chamber(target)


def _target(text: str) -> Target:
    twist, colon, tolerance = text.partition(":")
    try:
        numbers = float(twist), float(tolerance) if colon else 0.5
    except ValueError:
        raise BadArgument(f"target: expected TWIST or TWIST:TOLERANCE in degrees, got {text[:80]!r}") from None
    return one_target(numbers)
