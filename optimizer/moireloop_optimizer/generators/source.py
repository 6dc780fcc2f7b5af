"""Generators of others: classes found in a file, in a module, or by the name that a package registers (adapter)."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterable
from functools import reduce
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from moireloop_optimizer.strategy_names import NO_STRATEGY, OWN_NAMES, GeneratorPlace, generator_place

GROUP: Final = "moireloop.strategies"


class GeneratorUnusable(LookupError):
    """A generator that a campaign file names is missing, cannot be loaded or is not a class; the message says which."""


def generator_class(strategy: str) -> Callable[..., Any]:
    """The class that a strategy such as `file.py:Class` names. Its file or package is imported.

    Raises:
        ValueError: the text has no form that a strategy may have.
        GeneratorUnusable: there is no such file, module, class or registered name, or it cannot be imported.
    """
    place = generator_place(strategy)
    try:
        member = _registered(place.name) if place.file is None and place.module is None else _member(place)
    except GeneratorUnusable:
        raise
    except (Exception, SystemExit) as error:  # a user's module: anything may be wrong with it
        raise GeneratorUnusable(f"{strategy} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(member):
        raise GeneratorUnusable(f"expected a class at {strategy}, got {type(member).__name__}")
    generator: Callable[..., Any] = member
    return generator


def registered_names() -> list[str]:
    """The names under which installed packages register strategies. Nothing is imported."""
    return sorted(entry_points(group=GROUP).names)


def why_unknown(strategy: str) -> str | None:
    """Why a strategy without a colon is none, with the name that may be meant; None for one that there is."""
    names = [*OWN_NAMES, NO_STRATEGY, *registered_names()]
    if ":" in strategy or strategy in names:
        return None
    meant = _nearest(strategy, names)
    return f"expected one of {', '.join(names)}, package.module:Class or file.py:Class, got {strategy!r}{meant}"


def _registered(name: str) -> Any:
    entries = {entry.value: entry for entry in entry_points(group=GROUP) if entry.name == name}
    if len(entries) > 1:
        raise GeneratorUnusable(f"expected one strategy {name!r}, got {' and '.join(sorted(entries))}")
    if not entries:
        raise GeneratorUnusable(why_unknown(name) or f"expected a strategy that is registered, got {name!r}")
    return next(iter(entries.values())).load()


def _member(place: GeneratorPlace) -> Any:
    module = _of_file(place.file) if place.file is not None else _of_package(place.module or "")
    try:
        return reduce(getattr, place.name.split("."), module)
    except AttributeError as error:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        where = place.file or place.module
        raise GeneratorUnusable(
            f"expected a class {place.name} in {where}, got none{_nearest(place.name, classes)}"
        ) from error


def _of_package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        text = f"expected a module that is installed, got {name}: no module named {error.name}"
        raise GeneratorUnusable(text) from error


def _of_file(path: Path) -> ModuleType:
    """The module in a file, run again from its text: nothing compiled is left beside it, or taken from there."""
    if not path.is_file():
        is_there = "not a file" if path.exists() else "missing"
        raise GeneratorUnusable(f"expected a Python file, got {path}, which is {is_there}")
    module = ModuleType(f"moireloop_strategy_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102
    return module


def _nearest(name: str, known: Iterable[str]) -> str:
    by_lower = {one.lower(): one for one in known}
    nearest = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[nearest[0]]!r}?" if nearest else ""
