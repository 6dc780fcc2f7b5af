"""The command line says what is wrong in a line for each error, with the right exit code, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from moireloop.campaign_file.load import keep_copy, read_campaign
from moireloop.cli import main
from moireloop.command_line.commands import COMMANDS
from moireloop_broker.connection import write_connection
from moireloop_broker.folder import CampaignFolder
from tests.helpers.connections import connection_of
from tests.helpers.wrong_campaign_files import GOOD, WRONG_FILES, WrongFile
from tests.helpers.wrong_scripts import WRONG_SCRIPTS

MOST_CORES = 4
ALONE = GOOD.replace('url = "redis://127.0.0.1:6379/0"', "")
LOOKING = ("status", "watch", "stop", "results", "figures")
HOLD = """
import sys
from pathlib import Path
from moireloop.session.lock import locked
from moireloop_broker.folder import CampaignFolder
with locked(CampaignFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def few_cores() -> Iterator[int]:
    """This process may use four cores at most, as on a small machine; returns how many."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:MOST_CORES])
    yield min(MOST_CORES, len(before))
    os.sched_setaffinity(0, before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A campaign file in order, with a private Redis, never started."""
    path = tmp_path / "search.toml"
    path.write_text(ALONE)
    return path


def started(file: Path) -> CampaignFolder:
    """The folder that an earlier campaign of this file left, without its services."""
    folder = CampaignFolder(file.parent / "search.campaign")
    folder.create()
    keep_copy(read_campaign(file), folder)
    return folder


def all_lines(captured: Captured) -> list[str]:
    """The lines on stderr, without their beginning; stdout must be empty."""
    said = captured.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"(moireloop: [^\n]+\n)+", said.err), said.err
    return [line.removeprefix("moireloop: ") for line in said.err.splitlines()]


def only_line(captured: Captured) -> str:
    """The one line on stderr, without its beginning; stdout must be empty."""
    (line,) = all_lines(captured)
    return line


@pytest.mark.parametrize("wrong", [*WRONG_FILES, *WRONG_SCRIPTS], ids=lambda wrong: wrong.name)
def test_wrong_file_starts_nothing(wrong: WrongFile, tmp_path: Path, few_cores: int, capsys: Captured) -> None:
    """A wrong file: a clear line for each error, five at most, exit code 2, no process, no folder."""
    path = tmp_path / "search.toml"
    wrong.put(path)
    before = sorted(tmp_path.rglob("*"))
    children = psutil.Process().children(recursive=True)
    assert main([wrong.purpose, str(path)]) == 2
    line, *further = all_lines(capsys)
    expected = wrong.expected.replace(f"at most {MOST_CORES}", f"at most {few_cores}")
    assert expected.format(file=path, folder=tmp_path / "search.campaign", parent=tmp_path) in line
    assert all(text.startswith(f"{path}: ") for text in (line, *further))
    assert len(further) < 5
    assert sorted(tmp_path.rglob("*")) == before
    assert psutil.Process().children(recursive=True) == children


@pytest.mark.parametrize("command", [*LOOKING, "resume"])
def test_never_started_campaign(command: str, file: Path, capsys: Captured) -> None:
    """Whoever asks about a campaign that was never started gets the advice to run it; no folder is made."""
    assert main([command, str(file)]) == 2
    assert f"use `moireloop run {file}`" in only_line(capsys)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_run_of_a_started_campaign_names_both_ways_on(file: Path, capsys: Captured) -> None:
    """Running it again is refused; the line tells of `resume` and of `run --fresh`."""
    started(file)
    assert main(["run", str(file)]) == 2
    line = only_line(capsys)
    assert f"`moireloop resume {file}`" in line
    assert f"`moireloop run --fresh {file}`" in line


@pytest.mark.parametrize("arguments", [["run"], ["run", "--fresh"], ["resume"]], ids=" ".join)
def test_campaign_that_another_process_runs(arguments: list[str], file: Path, capsys: Captured) -> None:
    """It is left alone; the line names the process."""
    folder = started(file)
    folder.results_csv.write_text("dear results")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert main([*arguments, str(file)]) == 2
        assert f"is being run by process {other.pid} on " in only_line(capsys)
        other.communicate()
    assert folder.results_csv.read_text() == "dear results"


@pytest.mark.parametrize("command", ["watch", "stop"])
def test_stopped_campaign_is_not_watched_or_stopped(command: str, file: Path, capsys: Captured) -> None:
    """That is no error: it is said, and that is all."""
    started(file)
    assert main([command, str(file)]) == 0
    assert capsys.readouterr().out == "the campaign is not running\n"


@pytest.mark.parametrize("command", ["status", "results", "figures"])
@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "No such file"),
        (b"half a fi", 0o600, "is not a connection file"),
        (b"\xff\xfe{}", 0o600, "is not a connection file"),
        (b"{}", 0o644, "got 0644: others may have read its keys"),
    ],
    ids=["missing", "no JSON", "no text", "open to others"],
)
def test_unusable_connection_file(
    content: bytes | None, mode: int, says: str, command: str, file: Path, capsys: Captured
) -> None:
    """The line names the connection file and what is wrong with it."""
    folder = started(file)
    if content is not None:
        folder.connection_file.write_bytes(content)
        folder.connection_file.chmod(mode)
    assert main([command, str(file)]) == 2
    line = only_line(capsys)
    assert str(folder.connection_file) in line
    assert says in line


def test_redis_that_does_not_respond_is_a_failure(file: Path, capsys: Captured) -> None:
    """A campaign on its own server, which is away: exit code 1, and the line says where it was looked for."""
    connection = connection_of(
        "search", file.parent / "search.campaign", "redis://:secret@127.0.0.1:1/0", control="tcp://127.0.0.1:3"
    )
    write_connection(connection, started(file).connection_file)
    assert main(["status", str(file)]) == 1
    line = only_line(capsys)
    assert "127.0.0.1:1" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("127.0.0.1:6379/0", "127.0.0.1:1/0", "redis.url: expected a Redis server that responds"),
        (
            'host = "127.0.0.1"',
            'host = "no-such-host.invalid"',
            "network.host: expected a name or address of this machine",
        ),
        ('host = "127.0.0.1"', 'host = "192.0.2.1"', "network.host: expected a name or address of this machine"),
    ],
    ids=["redis away", "unknown host", "host of another machine"],
)
def test_new_campaign_must_reach_what_it_names(good: str, bad: str, said: str, file: Path, capsys: Captured) -> None:
    """A Redis server that is away or a host that is not ours is bad input: said with its key, and no folder is made."""
    file.write_text(GOOD.replace(good, bad).replace("count = 2", "count = 1"))
    assert main(["run", str(file)]) == 2
    assert said in all_lines(capsys)[0]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_without_a_command_there_is_help(capsys: Captured) -> None:
    """`moireloop` alone shows every command, and is no success."""
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [command for command in COMMANDS if not re.search(rf"\n    {command}\s", said.err)] == []


@pytest.mark.parametrize("arguments", [["rnu", "x.toml"], ["run"], ["status", "--fresh", "x.toml"]], ids=" ".join)
def test_wrong_arguments(arguments: list[str], capsys: Captured) -> None:
    """Exit code 2, and the last line says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert re.match(r"moireloop[ a-z]*: error: ", capsys.readouterr().err.splitlines()[-1])


def test_version(capsys: Captured) -> None:
    """`--version` says the version of the distribution."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"moireloop \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_valid_file_is_called_valid(file: Path, capsys: Captured) -> None:
    """`validate` says so on stdout, warns of a target that its cell does not admit, and makes no folder."""
    file.write_text(ALONE.replace("count = 2", "count = 1"))
    assert main(["validate", str(file)]) == 0
    valid, warning = capsys.readouterr().out.splitlines()
    assert valid == f"{file}: campaign 'search' is valid"
    assert warning.startswith("warning: target 21.8 +- 0.5 degrees: out of reach of the 12 x 12 cell")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/tmp", "a folder"), ("/dev/null", "a device, socket or pipe")],  # noqa: S108
)
def test_invalid_file_is_named_once(path: str, kind: str, capsys: Captured) -> None:
    """One line, which is true: a path was given, of something else."""
    assert main(["validate", path]) == 2
    assert capsys.readouterr().err == f"moireloop: {path}: expected a campaign file, got {kind}\n"
