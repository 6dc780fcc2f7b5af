"""A package of somebody else's with analyzers or strategies, installed in a folder as an installer would leave it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    folder: Path, name: str, module: str, entries: Mapping[str, str], *, group: str = "moireloop.analyzers"
) -> Path:
    """Put a module and the metadata of its distribution into a folder; returns the folder, to be put on the path.

    Args:
        name: of the distribution and of its one module.
        module: its text.
        entries: name of each analyzer or strategy -> where it is, such as "mine:count_atoms".
        group: of the entry points.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(module)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "".join(f"{entry} = {place}\n" for entry, place in entries.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    return folder
