"""One session at a time: Redis knows of it where the lock files are gone, and copies of a folder are distinguished."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest
import redis

from moireloop import connect
from moireloop.campaign_file.load import load_campaign
from moireloop.session import lock, opening
from moireloop.session.lock import CampaignIsRunning, conductor_name, is_running
from moireloop.session.opening import (
    NameTaken,
    StillEnding,
    forget_session,
    note_session,
    open_session,
    refuse_if_redis_knows,
)
from moireloop.session.records import StateLost, stored_records
from moireloop_broker.connection import NoConnectionFile, read_connection
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import read_identity
from moireloop_broker.service.redis_server import RedisServer, holder_of_data
from moireloop_broker.state.keys import Keys
from moireloop_worker.models.script_files import keep_script
from tests.helpers.growth_scripts import GOOD
from tests.helpers.stopped_campaigns import campaign_file, opened, running_server, stopped


def test_second_session_is_refused_without_lock_files(tmp_path: Path) -> None:
    """While a conductor is connected to the folder's server, nothing goes on in it; afterwards it does."""
    with running_server(campaign_file(tmp_path / "a")) as (folder, server):
        for lock in (folder.lock_file, folder.services_lock, folder.redis / "server.lock"):
            lock.unlink(missing_ok=True)
        client = redis.Redis.from_url(server.url, protocol=2, client_name=conductor_name("tiny", "abc"))
        with contextlib.closing(client):
            client.ping()
            with pytest.raises(CampaignIsRunning, match="its conductor is connected"):
                refuse_if_redis_knows(folder)
            assert is_running(folder)
            shutil.copytree(tmp_path / "a", tmp_path / "b")
            assert not is_running(CampaignFolder(tmp_path / "b" / folder.root.name))
        assert not is_running(folder)
    refuse_if_redis_knows(folder)
    assert not is_running(folder)


def test_server_that_hangs_is_waited_for_with_words_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that an earlier session left and that is stopped (SIGSTOP) is named with its process."""
    monkeypatch.setattr(opening, "ENDING_S", 1.5)
    monkeypatch.setattr(opening, "SILENT_S", 0.0)
    monkeypatch.setattr(lock, "ANSWER_S", 0.5)
    with running_server(campaign_file(tmp_path / "a")) as (folder, _):
        holder = holder_of_data(folder.redis)
        assert holder is not None
        os.kill(int(holder), signal.SIGSTOP)
        said: list[str] = []
        try:
            with pytest.raises(StillEnding, match=f"process {holder}.*kill -9"):
                refuse_if_redis_knows(folder, said.append)
        finally:
            os.kill(int(holder), signal.SIGCONT)
        assert len(said) == 1
        assert said[0].startswith("waiting for the end of")


def joined(folder: Path, server: RedisServer, name: str) -> Path:
    """A campaign file that joins a server, its campaign of a name that no other test has."""
    file = campaign_file(folder, f'[redis]\nurl = "{server.url}"\n')
    file.write_text(file.read_text().replace('"tiny"', f'"{name}"'))
    return file


def begun(file: Path, server: RedisServer) -> CampaignFolder:
    """A session of a campaign on a joined server, as the conductor opens it, its log begun."""
    campaign, folder, _ = opened(file)
    with contextlib.closing(redis.Redis.from_url(server.url, protocol=2)) as client:
        identity = read_identity(folder.root)
        assert identity is not None
        keys = Keys(campaign.name)
        note_session(client, keys, identity, folder)
        client.xadd(keys.log, {"e": b""})
    return folder


def reopen(file: Path) -> None:
    """Open the next session of a campaign."""
    campaign = load_campaign(file, "look")
    open_session(campaign, CampaignFolder(campaign.folder))


def test_client_of_a_copied_folder_does_not_reach_the_original(tmp_path: Path) -> None:
    """The copied connection file leads to the original's session: the line names both folders. A move is none."""
    with running_server(campaign_file(tmp_path / "a")) as (folder, _):
        connect(folder.root).close()
        copy = tmp_path / "b" / folder.root.name
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        for path in (copy, copy / "connection.json"):
            with pytest.raises(NoConnectionFile, match=f"{copy} is a copy of {folder.root}.*connect to that folder"):
                connect(path)
        shutil.copy(folder.connection_file, tmp_path / "alone.json")
        connect(tmp_path / "alone.json").close()
    shutil.move(folder.root, tmp_path / "moved")
    connect(tmp_path / "moved").close()


def test_copy_is_refused_while_the_folder_that_ran_is_there(tmp_path: Path, redis_server: RedisServer) -> None:
    """A copy does not go on with the state of the other on a joined server, nor removes it; a moved folder goes on."""
    file = joined(tmp_path / "a", redis_server, "copied1")
    begun(file, redis_server)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(NameTaken, match="is a copy of"):
        reopen(tmp_path / "b" / "tiny.toml")
    forget_session(CampaignFolder(tmp_path / "b" / "tiny.campaign"))
    with contextlib.closing(redis.Redis.from_url(redis_server.url, protocol=2)) as client:
        assert client.exists(Keys("copied1").log)
    (tmp_path / "a").rename(tmp_path / "c")
    reopen(tmp_path / "c" / "tiny.toml")


def test_copy_from_before_later_sessions_is_refused(tmp_path: Path, redis_server: RedisServer) -> None:
    """Wherever the folder that went on lies now, marks of sessions tell the copies apart."""
    file = joined(tmp_path / "a", redis_server, "copied2")
    begun(file, redis_server)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    begun(file, redis_server)
    begun(file, redis_server)
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(NameTaken, match="is a copy from before"):
        reopen(tmp_path / "b" / "tiny.toml")


def test_joined_server_that_was_emptied_is_an_error(tmp_path: Path, redis_server: RedisServer) -> None:
    """A campaign that ran does not start over on a server without its log."""
    file = joined(tmp_path / "a", redis_server, "emptied")
    folder = begun(file, redis_server)
    with contextlib.closing(redis.Redis.from_url(redis_server.url, protocol=2)) as client:
        for key in client.scan_iter("moireloop:emptied:*"):
            client.delete(key)
    with pytest.raises(StateLost, match="no longer has the log of the campaign"):
        reopen(file)
    with pytest.raises(StateLost, match="no longer has the log of the campaign"):
        stored_records(folder)


def test_sockets_of_the_running_session_outlast_a_session_in_a_copy(tmp_path: Path) -> None:
    """The copy's connection file names the other's socket folder; it stays while that session lives."""
    with running_server(campaign_file(tmp_path / "a")) as (folder, _):
        connection = read_connection(folder.root)
        held = opening.hold_sockets(connection)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        reopen(tmp_path / "b" / "tiny.toml")
        assert Path(connection.socket_folder).is_dir()
        os.close(held)
    assert not Path(connection.socket_folder).exists()
    opening.close_session(read_connection(tmp_path / "b" / "tiny.campaign"))


def test_moved_script_campaign_goes_on_while_its_text_is_unchanged(tmp_path: Path) -> None:
    """Not where the script lies is compared, but what it says; also with a copy that an earlier version kept."""
    file = campaign_file(tmp_path / "a")
    growth = 'model = "script"\nfile = "own.in"\nlattice_types = [1]\n[growth.values]\nmass = 32.5\nquench_steps = 40'
    text = file.read_text().replace('model = "noop"', growth)
    file.write_text(text.replace("lattice_strain = [0.0, 0.05]\nshear_strain = [0.06, 0.30]\n", ""))
    (tmp_path / "a" / "own.in").write_text(GOOD)
    campaign = load_campaign(file, "validate", cores=4)
    CampaignFolder(campaign.folder).create()
    keep_script(campaign.growth, campaign.frames.every_steps, CampaignFolder(campaign.folder))
    stopped(file, results=0)
    copy = CampaignFolder(campaign.folder).campaign_copy
    assert copy.read_text().splitlines()[-1] == '# copied from "../tiny.toml"'
    (tmp_path / "a").rename(tmp_path / "b")
    moved = load_campaign(tmp_path / "b" / "tiny.toml", "resume", cores=4)
    old = tmp_path / "b" / "tiny.campaign" / "campaign.toml"
    old.write_text(old.read_text().replace('"../tiny.toml"', f'"{tmp_path}/a/tiny.toml"'))
    assert load_campaign(tmp_path / "b" / "tiny.toml", "resume", cores=4) == moved
