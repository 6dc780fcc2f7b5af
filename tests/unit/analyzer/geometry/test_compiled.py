"""Kernels that were kept on disk are used again only while no module of the package has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

COMPILED = Path(__file__).parents[4] / "analyzer" / "moireloop_analyzer" / "geometry" / "compiled.py"
CALLEE = """
from package.geometry.compiled import compiled

@compiled
def answer(number: float) -> float:
    return number + {}
"""
CALLER = """
from package.callee import answer
from package.geometry.compiled import compiled

@compiled
def twice(number: float) -> float:
    return 2.0 * answer(number)
"""
RUN = "from package.caller import twice; print(twice(1.0), sum(twice.stats.cache_hits.values()))"


def told_in(folder: Path) -> str:
    """What a new process says of the caller, and how many of its kernels came from the disk."""
    command = [sys.executable, "-B", "-c", RUN]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=100).stdout.strip()


@pytest.mark.timeout(240)
def test_a_kernel_is_recompiled_when_its_callee_in_another_module_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken from the disk as long as nothing changes."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "geometry").mkdir()
    (package / "geometry" / "__init__.py").touch()
    (package / "geometry" / "compiled.py").write_text(COMPILED.read_text())
    (package / "caller.py").write_text(CALLER)
    (package / "callee.py").write_text(CALLEE.format("2.0"))
    assert [told_in(tmp_path), told_in(tmp_path)] == ["6.0 0", "6.0 1"]
    (package / "callee.py").write_text(CALLEE.format("3.0"))
    assert [told_in(tmp_path), told_in(tmp_path)] == ["8.0 0", "8.0 1"]
