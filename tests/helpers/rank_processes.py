"""The ranks of workers, wherever a scheduler has put them on this machine."""

from __future__ import annotations

from pathlib import Path


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with, empty when it is gone."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def ranks_with(mark: str, *further: str) -> list[int]:
    """Processes that are ranks of workers and have these words in their command lines, such as a connection file."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            is_rank = "python" in words[0] and words[1:5] == ["-m", "mpi4py", "-m", "moireloop_worker"]
            if is_rank and {mark, *further} <= set(words):
                found.append(int(process.name))
    return sorted(found)
