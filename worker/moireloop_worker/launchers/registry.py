"""The launchers that are installed: found by entry point, loaded by name (adapter)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final

from moireloop_broker.processes.exits import CannotServe
from moireloop_worker.launchers.launcher import Launch, Launcher, OpenLauncher

GROUP: Final = "moireloop.launchers"

AUTO: Final = "auto"

SIGNS: Final = {"FLUX_URI": "flux", "SLURM_JOB_ID": "slurm"}
"""Variable that a scheduler sets in its allocations -> launcher. Flux comes first: it may run within a Slurm job."""


class LauncherUnusable(CannotServe):
    """A launcher that a campaign file names is not installed or cannot be imported; the message says why."""


def known_launchers() -> list[str]:
    """Names of the launchers that are installed."""
    return sorted(entry_points(group=GROUP).names)


def chosen_launcher(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The launcher that a name means: "auto" is "flux" within a Flux instance, "slurm" in a Slurm job, else "local"."""
    if name != AUTO:
        return name
    return next((launcher for variable, launcher in SIGNS.items() if environment.get(variable)), "local")


def in_allocation(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was launched in an allocation of a scheduler."""
    return any(environment.get(variable) for variable in SIGNS)


def hands_back(on_term: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether SIGTERM means 'give back now', by the setting and by where this process runs."""
    return on_term == "hand_back" or (on_term == "auto" and in_allocation(environment))


def load_launcher(name: str) -> OpenLauncher:
    """What opens the launcher of this name. Raises LauncherUnusable."""
    name = chosen_launcher(name)
    entries = {entry.value: entry for entry in entry_points(group=GROUP) if entry.name == name}
    if len(entries) > 1:
        raise LauncherUnusable(f"expected one launcher {name!r}, got {' and '.join(sorted(entries))}")
    if not entries:
        raise LauncherUnusable(f"expected one that is installed ({', '.join(known_launchers())}), got {name!r}")
    (entry,) = entries.values()
    try:
        loaded: OpenLauncher = entry.load()
    except Exception as error:  # a user's module: anything may be wrong with it
        raise LauncherUnusable(f"launcher {name!r} ({entry.value}) cannot be loaded: {error}") from error
    if not callable(loaded):
        raise LauncherUnusable(f"expected launcher {name!r} ({entry.value}) to be a function, got {loaded!r}")
    return loaded


def open_launcher(name: str, launch: Launch) -> Launcher:
    """The launcher of this name. Raises LauncherUnusable, CannotLaunch."""
    return load_launcher(name)(launch)
