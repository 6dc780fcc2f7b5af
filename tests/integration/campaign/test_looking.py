"""Looking at a campaign that is not running: its folder is where it is, and nothing is started, ended or written."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import msgpack
import pytest

from moireloop.cli import main
from moireloop_broker.connection import read_connection
from moireloop_broker.identity import read_identity
from moireloop_broker.service.redis_server import start_redis
from moireloop_broker.service.server_programs import RedisUnavailable
from moireloop_broker.state.redis_client import open_client, responds
from tests.helpers.stopped_campaigns import campaign_file, contents, running_server, stopped

TWO = "state started, 2 results"


def status(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `moireloop status` says."""
    assert main(["status", str(file)]) == 0
    return capsys.readouterr().out


def test_moved_folder_keeps_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After `mv`, status and results show them all, and nothing appears at the old place."""
    stopped(campaign_file(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    file = tmp_path / "new" / "tiny.toml"
    before = contents(tmp_path / "new")
    assert TWO in status(file, capsys)
    assert contents(tmp_path / "new") == before
    assert main(["results", str(file)]) == 0
    assert len((tmp_path / "new" / "tiny.campaign" / "results.csv").read_text().splitlines()) == 3
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize("way", ["symlink", "relative", "folder"])
def test_folder_by_another_path(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to the folder above, a path relative to another directory, and the campaign's folder itself name it."""
    file = campaign_file(tmp_path / "here")
    stopped(file)
    if way == "symlink":
        (tmp_path / "link").symlink_to(tmp_path / "here")
        file = tmp_path / "link" / "tiny.toml"
    elif way == "relative":
        monkeypatch.chdir(tmp_path)
        file = Path("here") / "tiny.toml"
    else:
        file = tmp_path / "here" / "tiny.campaign"
    assert TWO in status(file, capsys)


def test_status_in_a_copy_leaves_the_running_campaign_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The copy names the server of the other one by port and password; it goes on untouched."""
    with running_server(campaign_file(tmp_path / "a")) as (folder, server):
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        assert "2 results" in status(tmp_path / "b" / "tiny.toml", capsys)
        assert responds(server.url)
        assert not server.ensure()
        assert main(["results", str(tmp_path / "b" / "tiny.toml")]) == 0
        assert not folder.results_csv.exists()


def test_broker_of_a_copy_ends_no_server_of_another_folder(tmp_path: Path) -> None:
    """With the same port and password, a server is ended only where its data lie in this very folder."""
    with running_server(campaign_file(tmp_path / "a")) as (_, server):
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        with pytest.raises(RedisUnavailable, match="in another folder"):
            start_redis(read_connection(tmp_path / "b" / "tiny.campaign"))
        assert responds(server.url)


@pytest.mark.parametrize("text", ['name = "tin', "", None])
def test_campaign_file_that_is_being_edited(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it is no TOML, empty or away, the folder's copy is used, and a line says so."""
    file = campaign_file(tmp_path / "a")
    stopped(file)
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    assert main(["status", str(file)]) == 0
    said = capsys.readouterr()
    assert TWO in said.out
    assert "using the copy" in said.err


def test_folder_elsewhere_is_found_in_a_file_that_is_being_edited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`folder` is read from the first lines even where the file is no TOML."""
    file = campaign_file(tmp_path / "a")
    file.write_text(f'folder = "../elsewhere"\n{file.read_text()}')
    stopped(file)
    file.write_text(file.read_text() + "\n[budget\n")
    assert TWO in status(file, capsys)


def test_renamed_campaign_file_says_where_its_folder_may_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the folder beside it that holds a campaign of its name."""
    file = campaign_file(tmp_path / "a")
    stopped(file)
    renamed = file.rename(file.with_name("other.toml"))
    assert main(["status", str(renamed)]) == 2
    assert "tiny.campaign holds a campaign of this name" in capsys.readouterr().err


def test_results_are_never_overwritten_with_less(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the state has fewer results than the tables, these stay, and a line says so."""
    file = campaign_file(tmp_path / "a")
    folder = stopped(file, results=3)
    assert main(["results", str(file)]) == 0
    log = (folder.redis / "appendonly.aof") if (folder.redis / "appendonly.aof").exists() else None
    shutil.rmtree(folder.redis)
    other = stopped(campaign_file(tmp_path / "b"), results=1)
    shutil.copytree(other.redis, folder.redis)
    assert log is None or log.exists()
    before = folder.results_parquet.read_bytes(), folder.results_csv.read_bytes()
    capsys.readouterr()
    assert main(["results", str(file)]) == 0
    assert "keeps its 3 rows" in capsys.readouterr().err
    assert (folder.results_parquet.read_bytes(), folder.results_csv.read_bytes()) == before


def test_results_that_cannot_be_written_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table comes anyway, with one line about the files; the code tells that results are in no file."""
    file = campaign_file(tmp_path / "a")
    folder = stopped(file)
    folder.results_parquet.mkdir()
    assert main(["results", str(file)]) == 1
    said = capsys.readouterr()
    assert "target 8.2" in said.out
    assert said.err.startswith("moireloop: cannot write the results to")
    assert "Traceback" not in said.err


def test_id_moves_with_the_folder_and_is_not_made_by_looking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of an earlier version, which has none, gets its id when it is resumed."""
    file = campaign_file(tmp_path / "a")
    folder = stopped(file)
    first = read_identity(folder.root)
    assert first is not None
    folder.identity_file.unlink()
    assert TWO in status(file, capsys)
    assert not folder.identity_file.exists()
    stopped(file, results=0)
    given = read_identity(folder.root)
    assert given is not None
    assert given.id != first.id
    stopped(file, results=0)
    again = read_identity(folder.root)
    assert again is not None
    assert (again.id, again.earlier_session) == (given.id, given.session)


def test_append_only_file_cut_to_nothing_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no campaign without results, and nothing starts over."""
    file = campaign_file(tmp_path / "a")
    folder = stopped(file)
    for path in folder.redis.rglob("*"):
        if path.is_file() and path.suffix in (".aof", ".rdb"):
            path.write_bytes(b"")
    for command in ("status", "results", "figures"):
        assert main([command, str(file)]) == 1
        assert "start again with `moireloop run --fresh`" in capsys.readouterr().err


def test_numbers_beyond_the_contract_are_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log of an earlier version may hold them: the other results are shown, and a line says what was passed over."""
    file = campaign_file(tmp_path)
    with running_server(file) as (folder, server), closing(open_client(server.url)) as client:
        log = read_connection(folder.root).keys.log
        whole = msgpack.unpackb(client.xrevrange(log, count=1)[0][1][b"e"])  # type: ignore[index]
        client.xadd(log, {"e": msgpack.packb(whole | {"attempt": 2**64 - 1})})
    assert "skipped: 1" in status(file, capsys)
    assert main(["results", str(file)]) == 0
    assert "skipped: 1" in capsys.readouterr().err
    assert len(folder.results_csv.read_text().splitlines()) == 3


def test_figures_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says which, why, and how to get them; nothing else is touched."""
    folder = stopped(campaign_file(tmp_path))
    folder.figures.rmdir()
    folder.figures.write_text("in the way")
    assert main(["figures", str(tmp_path / "tiny.toml")]) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"moireloop: cannot write the figures to {folder.figures}: Not a directory; fix that, then")
    assert line.count("\n") == 1
