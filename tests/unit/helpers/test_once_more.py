"""Tests that failed in a lane of `make check` are run once more, alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.once_more import main

pytestmark = pytest.mark.processes

TESTS = """
from pathlib import Path
import pytest

FIRST = Path(__file__).with_name("first")

def test_unsteady():
    seen = FIRST.exists()
    FIRST.touch()
    assert seen

def test_wrong():
    assert not FIRST.with_name("is wrong").exists()

@pytest.mark.parametrize("number", range(4))
def test_many(number):
    assert not FIRST.with_name("are many").exists()
"""


@pytest.fixture
def lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "test_lane.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return tmp_path


def outcome(folder: Path, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and output of the second run, after the first in its own process."""
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-o", "cache_dir=lane", "test_lane.py"]
    code = subprocess.run(pytest_run, cwd=folder, capture_output=True, check=False).returncode
    (folder / "lane.code").write_text(f"{code}\n", encoding="ascii")
    (folder / "other.code").write_text("0\n", encoding="ascii")
    capfd.readouterr()
    again = main(folder, ["lane", "other"])
    return again, capfd.readouterr().out


def test_one_that_passes_alone_is_named(lane: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The check is not red, and its last line says which test it was; a lane in which all passed says nothing."""
    code, said = outcome(lane, capfd)
    assert code == 0
    assert said.splitlines()[-1].startswith("UNSTEADY: test_lane.py::test_unsteady failed in its lane and passed alone")
    assert outcome(lane, capfd) == (0, "")


@pytest.mark.parametrize(
    ("fault", "words"), [("is wrong", "1 failed"), ("are many", "not tried, since 5 tests failed; at most 3")]
)
def test_faults_stay_red(lane: Path, capfd: pytest.CaptureFixture[str], fault: str, words: str) -> None:
    """One that fails again, and more than a few."""
    (lane / fault).touch()
    code, said = outcome(lane, capfd)
    assert code == 1
    assert words in said
    assert "UNSTEADY" not in said


@pytest.mark.parametrize("code", ["", "2", "3", "5", "137"])
def test_a_lane_that_did_not_run_stays_red(lane: Path, code: str) -> None:
    """An error at collection, a lane that was killed, one without any test, and one that left no exit code."""
    (lane / "lane.code").write_text(code, encoding="ascii")
    assert main(lane, ["lane"]) == 1
    assert main(lane, ["other"]) == 1
