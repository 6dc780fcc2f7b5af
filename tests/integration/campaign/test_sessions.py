"""Sessions side by side: names on a server that is shared, and places for local sockets."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_campaign
from moireloop.session.opening import LONGEST_SOCKET_PLACE, NameTaken, close_session, open_session
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.streams.frames import FrameReceiver
from tests.system.running import short_campaign


def campaign(folder: Path, redis_url: str | None = None) -> Campaign:
    """A campaign `short` in a folder of its own, on a server that it joins or on one that it starts."""
    folder.mkdir()
    text = short_campaign(results=4, steps=(300, 300), strategy="random")
    joined = f'\n[redis]\nurl = "{redis_url}"\n' if redis_url else ""
    (folder / "short.toml").write_text(text + joined)
    loaded = load_campaign(folder / "short.toml")
    CampaignFolder(loaded.folder).create()
    return loaded


def test_of_two_campaigns_of_one_name_one_gets_the_server(tmp_path: Path, redis_server: RedisServer) -> None:
    """The second is refused, and the first opens its next session as before."""
    first, second = campaign(tmp_path / "a", redis_server.url), campaign(tmp_path / "b", redis_server.url)
    close_session(open_session(first, CampaignFolder(first.folder)))
    with pytest.raises(NameTaken, match="'short'"):
        open_session(second, CampaignFolder(second.folder))
    close_session(open_session(first, CampaignFolder(first.folder)))


def test_sockets_go_where_their_paths_are_short_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long TMPDIR, as batch systems set it, is passed over, since a Unix socket's path has at most 107 bytes."""
    long = tmp_path / ("scratch" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    alone = campaign(tmp_path / "a")
    connection = open_session(alone, CampaignFolder(alone.folder))
    assert len(str(Path(connection.socket_folder).parent)) <= LONGEST_SOCKET_PLACE
    FrameReceiver(f"ipc://{connection.socket_folder}/analyzer-1234.sock").close()
    close_session(connection)
    assert not Path(connection.socket_folder).exists()
