"""A Python process in which packages are absent, as after an installation without extras."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HOOK = """
import importlib.abc
import sys

ABSENT = frozenset({absent!r})

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None

sys.meta_path.insert(0, Absent())

import importlib.util
_find_spec = importlib.util.find_spec

def find_spec(name, package=None):
    return None if name.partition(".")[0] in ABSENT else _find_spec(name, package)

importlib.util.find_spec = find_spec
"""


def run_without(absent: Iterable[str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments where packages of these names cannot be found; `folder` takes a file for it."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(HOOK.format(absent=sorted(absent)))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)
