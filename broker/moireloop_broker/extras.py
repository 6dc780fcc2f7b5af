"""The extras that moireloop is installed with, and the line that names one that is missing (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

MODULES: Final = {
    "broker": ("numpy", "redis", "cryptography", "pyarrow"),
    "worker": ("numpy", "scipy", "redis", "cryptography", "pyarrow", "mpi4py"),
    "analyzer": ("numpy", "scipy", "redis", "cryptography", "pyarrow", "numba", "periodictable"),
    "optimizer": ("numpy", "scipy", "redis", "cryptography", "pyarrow", "torch", "botorch", "gest_api"),
    "figures": ("numpy", "scipy", "redis", "cryptography", "pyarrow", "matplotlib", "ase"),
    "experiment": ("numpy", "scipy", "redis", "cryptography", "pyarrow", "fabio"),
    "gateway": ("numpy", "redis", "cryptography", "pyarrow", "starlette", "uvicorn", "prometheus_client", "plotly"),
    "bluesky": ("numpy", "redis", "cryptography", "pyarrow", "bluesky", "event_model"),
    "tiled": ("numpy", "redis", "cryptography", "pyarrow", "bluesky", "event_model", "tiled", "bluesky_tiled_plugins"),
}
"""Modules of others that the code of each extra imports. LAMMPS is not among them: a site may have its own."""


SESSION: Final = ("worker", "analyzer", "optimizer", "figures")
"""The extras that one session of a campaign needs."""


class MissingExtra(ImportError):
    """moireloop was installed without an extra that is needed; the text has one line that says how to install it."""


def missing_extras(needed: Sequence[str]) -> list[str]:
    """Those of the needed extras that are not installed whole, in their order."""
    return [extra for extra in needed if any(not _is_there(module) for module in MODULES[extra])]


def missing_line(what: str, extras: Sequence[str]) -> str:
    """The line that names extras that are missing for something: `moireloop run`, `moireloop.measure_twist`."""
    named = " and ".join(filter(None, [", ".join(f"'{extra}'" for extra in extras[:-1]), f"'{extras[-1]}'"]))
    return f"{what} needs the extra{'s' * (len(extras) > 1)} {named}: pip install 'moireloop[{','.join(extras)}]'"


def refuse_without(what: str, needed: Sequence[str]) -> None:
    """Nothing when the needed extras are installed. Raises MissingExtra."""
    if missing := missing_extras(needed):
        raise MissingExtra(missing_line(what, missing))


@contextmanager
def extras_for(what: str, needed: Sequence[str]) -> Iterator[None]:
    """Around what imports modules of the needed extras at its first use.

    Raises:
        MissingExtra: one of those modules is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        missing = [extra for extra in missing_extras(needed) if module in MODULES[extra]]
        if not missing:
            raise
        raise MissingExtra(missing_line(what, missing)) from error


def _is_there(module: str) -> bool:
    return find_spec(module) is not None
