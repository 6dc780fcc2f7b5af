"""`moireloop pause|retarget|propose|cancel ...`: what controllers may ask, asked from the command line (main)."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from moireloop.client.requests import BadArgument
from moireloop.commands.started import client_or_folder
from moireloop.session.live import connected
from moireloop.session.lock import is_running
from moireloop.terminal.console import say
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.folder import CampaignFolder

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient


NEWEST: Final = "newest"
"""In the place of a pattern's id: the newest one that has a twist."""


def pause(path: Path, *, reason: str) -> int:
    """Lease no more candidates until `moireloop resume`; running ones continue."""
    with client_of(path) as client:
        client.pause(reason)
    say(f"paused: no more candidates are leased, running ones continue; `moireloop resume {path}` ends the pause")
    return 0


def resumed_after_pause(folder: CampaignFolder) -> bool:
    """Let a campaign that is running and paused continue; False where it is not."""
    from moireloop.client.client import NotRunning

    if not is_running(folder):
        return False
    with contextlib.suppress(NotRunning, NoConnectionFile), connected(folder) as client:
        if client.status().state == "paused":
            client.resume()
            say("resumed: candidates are leased again")
            return True
    return False


def end_of_pause(path: Path) -> int:
    """Lease candidates again in the campaign of a connection file. Raises NotRunning, RequestRefused."""
    with client_of(path) as client:
        client.resume()
    say("resumed: candidates are leased again")
    return 0


def retarget(path: Path, *, target: Sequence[str], pattern: str | None = None) -> int:
    """Search for other twists, or for the twist of a measured pattern; they replace all targets so far."""
    if bool(target) == bool(pattern):
        raise BadArgument("expected twists, such as 8.2:0.3, or --pattern ID, got " + ("both" if target else "neither"))
    targets = [_target(text) for text in target]
    with client_of(path) as client:
        if pattern:
            name, _, within = pattern.partition(":")
            tolerance = _number("tolerance of the target", within) if within else None
            entry = client.retarget_to_pattern(None if name == NEWEST else name, tolerance)
            targets = [(entry.twist_deg, entry.tolerance_deg)]
        else:
            client.retarget(targets)
    wanted = ", ".join(f"{twist_deg:g} +- {tolerance_deg:g}" for twist_deg, tolerance_deg in targets)
    say(f"targets in degrees from now on: {wanted}")
    return 0


def change_space(path: Path, *, bounds: Sequence[str]) -> int:
    """Change the bounds of the search."""
    space = {name: _ends(name, text) for name, text in (_pair(text, "low:high") for text in bounds)}
    with client_of(path) as client:
        client.change_space(space)
    ranges = ", ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in space.items())
    say(f"search space from now on: {ranges}")
    return 0


def change_budget(path: Path, *, results: int | None, wall_time_s: float | None) -> int:
    """Change the budget: results or wall time."""
    with client_of(path) as client:
        client.change_budget(results, wall_time_s=wall_time_s)
        now = client.describe()
    limit = "" if now.budget_wall_time_s is None else f", wall time of {now.budget_wall_time_s:g} s"
    say(f"budget from now on: {now.budget_results} results{limit}")
    return 0


def propose(path: Path, *, candidate_id: str, parameters: Sequence[str], seed: int) -> int:
    """Queue a candidate that you choose."""
    values = named_numbers(parameters)
    with client_of(path) as client:
        client.propose(candidate_id, values, seed=seed)
    say(f"queued {candidate_id}")
    return 0


def replicate(path: Path, *, candidate_id: str, runs: int) -> int:
    """Queue more runs of a candidate's parameters, with other seeds."""
    with client_of(path) as client:
        new_ids = client.replicate(candidate_id, runs)
    say(f"queued {', '.join(new_ids)}")
    return 0


def prioritise(path: Path, *, candidate_id: str, place: int) -> int:
    """Move a queued candidate to a place in the queue."""
    with client_of(path) as client:
        client.prioritise(candidate_id, place)
    say(f"{candidate_id} has place {place} in the queue, or the last place")
    return 0


def withdraw(path: Path, *, candidate_id: str, reason: str) -> int:
    """Take a candidate out of the queue; a running one is left alone."""
    with client_of(path) as client:
        client.withdraw(candidate_id, reason)
    say(f"withdrawn {candidate_id}")
    return 0


def cancel(path: Path, *, candidate_id: str, reason: str) -> int:
    """End a candidate early, queued or running."""
    with client_of(path) as client:
        client.cancel(candidate_id, reason)
    say(f"cancelled {candidate_id}, or its worker ends it")
    return 0


def note(path: Path, *, text: str, about: str | None) -> int:
    """Write a remark into the log."""
    with client_of(path) as client:
        client.note(text, about)
    say("noted")
    return 0


def describe(path: Path) -> int:
    """Print a running campaign's targets, search space and budget as JSON."""
    with client_of(path) as client:
        say(json.dumps(client.describe().model_dump(exclude={"tag"}), indent=2))
    return 0


def client_of(path: Path) -> CampaignClient:
    """A client by a connection file, or of the campaign of a campaign file or folder. Raises NotRunning."""
    from moireloop.client.client import NotRunning

    source = client_or_folder(path)
    if isinstance(source, CampaignFolder):
        raise NotRunning(f"the campaign in {source.root} is not running, so it takes no requests")
    return source


def named_numbers(texts: Sequence[str]) -> dict[str, float]:
    """Numbers by name, out of texts such as temperature_k=2000. Raises BadArgument."""
    return {name: _number(name, text) for name, text in (_pair(text, "value") for text in texts)}


def _target(text: str) -> tuple[float, float]:
    """`8.2` or `8.2:0.3`, a twist and its tolerance in degrees."""
    twist, colon, tolerance = text.partition(":")
    return _number("target", twist), _number("tolerance of the target", tolerance) if colon else 0.5


def _pair(text: str, what: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadArgument(f"expected NAME={what}, got {text!r}")
    return name, value


def _ends(name: str, text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    if not colon:
        raise BadArgument(f"{name}: expected low:high, got {text!r}")
    return _number(name, low), _number(name, high)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadArgument(f"{name}: expected a number, got {text!r}")
    return value
