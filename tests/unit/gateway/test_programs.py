"""What a program of the gateway's says instead of an answer: one line with the reason."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from moireloop_gateway.programs import NoAnswer, answer_of

PATIENCE_S = 60.0

pytestmark = pytest.mark.processes

PROGRAMS = {
    "fails": ("import sys\nsys.exit('no such file')", "it failed: no such file"),
    "talks": ("print('hello')", "it failed: no output"),
    "crashes": ("import os\nos.abort()", "it failed: "),
}


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that can be run by name."""
    for name, (text, _) in PROGRAMS.items():
        (tmp_path / f"{name}_of_the_test.py").write_text(text)
    (tmp_path / "echoes_of_the_test.py").write_text("import sys\nsys.stdout.write(sys.stdin.read())")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert sys.executable


def test_reply_is_what_the_program_prints() -> None:
    """As JSON."""
    assert answer_of("echoes_of_the_test", "echo", {"a": [1, None]}, PATIENCE_S) == b'{"a": [1, null]}'


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_without_output_is_reported_in_one_line(name: str) -> None:
    """It fails, dies, or says what is no JSON."""
    with pytest.raises(NoAnswer) as raised:
        answer_of(f"{name}_of_the_test", name, None, PATIENCE_S)
    assert str(raised.value).startswith(PROGRAMS[name][1])
    assert "\n" not in str(raised.value)


def test_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The folder of temporary files, whether they cannot be made or the program could not write."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(NoAnswer, match=f"{tmp_path} is full, and temporary files need room there"):
        answer_of("talks_of_the_test", "talk", None, PATIENCE_S)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(NoAnswer, match="it cannot be started"):
        answer_of("echoes_of_the_test", "echo", None, PATIENCE_S)
