"""The analyzers that are installed: found by entry point, loaded by name (adapter)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from moireloop_analyzer.analysis import Analyzer

GROUP: Final = "moireloop.analyzers"


class AnalyzerUnusable(LookupError):
    """An analyzer named in a campaign file is not installed, cannot be loaded, or is no function; the text says so."""


def load_analyzer(name: str) -> Analyzer:
    """The analyzer of this name. Its package is imported; no other analyzer's is.

    Raises:
        AnalyzerUnusable: no package or more than one registers the name, its package cannot be imported, or what
            it names cannot be called.
    """
    entry = _registered(name)
    try:
        loaded = entry.load()
    except Exception as error:  # a user's module: anything may be wrong with it
        raise AnalyzerUnusable(f"{_place(entry)} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(loaded):
        raise AnalyzerUnusable(f"expected a function at {_place(entry)}, got {type(loaded).__name__}")
    analyzer: Analyzer = loaded
    return analyzer


def _registered(name: str) -> EntryPoint:
    installed = entry_points(group=GROUP)
    places = sorted({entry.value for entry in installed if entry.name == name})
    if len(places) > 1:
        raise AnalyzerUnusable(f"expected one analyzer {name!r}, got {' and '.join(places)}")
    if not places:
        instead = _instead(name, installed.names)
        raise AnalyzerUnusable(f"expected an analyzer that is installed, got {name!r}; {instead}")
    return next(entry for entry in installed if entry.name == name)


def _instead(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"there are {', '.join(names)}" if names else f"no package registers any in the group {GROUP}"


def _place(found: EntryPoint) -> str:
    return f"{found.value} (analyzer {found.name!r})"
