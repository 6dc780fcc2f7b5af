"""Whatever terminal there is, and whatever words of others come to it: no traceback, and nothing ends for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.stopped_campaigns import campaign_file, stopped

ENCODINGS = [
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1:strict"},
]


def moireloop(*arguments: str | Path, redirect: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in its own process, its streams as a shell makes them."""
    script = f'exec "$0" -m moireloop "$@" {redirect}'
    return subprocess.run(
        ["/bin/sh", "-c", script, sys.executable, *map(str, arguments)],
        capture_output=True, text=True, errors="surrogateescape", env={**os.environ, **environment}, timeout=100,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped campaign in a folder whose name looks like markup; its failures have brackets, too."""
    made = campaign_file(tmp_path_factory.mktemp("terminal") / "[bold]a [/nothing] :smile:")
    stopped(made, reason="ERROR [/red] in [fix x] é °")
    return made


def test_brackets_are_brackets(file: Path) -> None:
    """In paths, in LAMMPS's words, in what is written to stdout and to stderr."""
    shown = moireloop("status", file)
    assert shown.returncode == 0
    assert "ERROR [/red] in [fix x]" in shown.stdout
    listed = moireloop("results", file)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert f"results  {file.with_suffix('.campaign')}/results.csv" in listed.stdout
    valid = moireloop("validate", file)
    assert f"{file}: campaign 'tiny' is valid" in valid.stdout


@pytest.mark.parametrize("environment", ENCODINGS, ids=["C", "ascii", "latin-1"])
@pytest.mark.parametrize("command", ["status", "results"])
def test_terminal_of_another_encoding_gets_escapes(command: str, environment: dict[str, str], file: Path) -> None:
    """What it cannot show is written as an escape, and the command does its work."""
    shown = moireloop(command, file, **environment)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "8.2" in shown.stdout or "ERROR [/red]" in shown.stdout


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(redirect: str, file: Path) -> None:
    """Files and sockets of the command do not get the descriptors of the streams."""
    shown = moireloop("status", file, redirect=redirect)
    assert shown.returncode == 0
    assert "Traceback" not in shown.stdout + shown.stderr
    wrong = moireloop("status", file.with_name("none.toml"), redirect=redirect)
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stdout + wrong.stderr


def test_name_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    """One line, with the bytes as escapes."""
    name = os.fsencode(tmp_path) + b"/\xff.toml"
    with open(name, "wb") as made:
        made.write(campaign_file(tmp_path / "a").read_bytes())
    for command in ("validate", "status", "run"):
        refused = moireloop(command, os.fsdecode(name))
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert "\\xff.toml" in line


@pytest.mark.parametrize("command", ["results", "status"])
def test_full_output_is_named(command: str, file: Path) -> None:
    """What is full is standard output, not the campaign's folder: its tables are written anyway."""
    shown = moireloop(command, file, redirect="> /dev/full")
    assert shown.returncode == 1
    assert shown.stderr == "moireloop: standard output is full: No space left on device\n"


def test_tables_that_cannot_be_written_are_a_failure(file: Path) -> None:
    """Also where an earlier table has as many rows; what can be written is."""
    assert moireloop("results", file).returncode == 0
    table = file.with_suffix(".campaign") / "results.csv"
    table.unlink()
    (table / "in the way").mkdir(parents=True)
    shown = moireloop("results", file)
    assert shown.returncode == 1
    assert shown.stderr.startswith(f"moireloop: cannot write the results to {table.parent}: ")
    assert "results.parquet" not in shown.stdout
    assert "trajectories.csv" in shown.stdout
    (table / "in the way").rmdir()
    table.rmdir()
    assert moireloop("results", file).returncode == 0
