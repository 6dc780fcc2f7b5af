"""Sessions side by side: names on a server that is shared, and places for local sockets."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_campaign
from moireloop.session.opening import LONGEST_SOCKET_PLACE, NameTaken, close_session, open_session
from moireloop_broker.connection import read_connection
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.network.ports import host_and_port
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.settings import NetworkSettings
from moireloop_broker.streams.frames import FrameReceiver
from tests.system.running import short_campaign


def campaign(folder: Path, redis_url: str | None = None) -> Campaign:
    """A campaign `short` in its own folder, on a server that it joins or on one that it starts."""
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


def test_broker_of_another_host_is_named_where_it_starts_by_itself(tmp_path: Path) -> None:
    """Like a container's: by its name, with TLS and with ports of the range. What starts here listens here."""
    there = NetworkSettings(host="broker.invalid", ports="41000-41009")
    alone = campaign(tmp_path / "a").model_copy(update={"network": there})
    folder = CampaignFolder(alone.folder)
    connection = open_session(alone, folder, elsewhere=True)
    close_session(connection)
    assert connection.host == "broker.invalid"
    places = [connection.redis_url.partition("?")[0], connection.events, connection.control]
    assert [host_and_port(place)[0] for place in places] == ["broker.invalid"] * 3
    ports = {host_and_port(place)[1] for place in places}
    assert len(ports) == 3
    assert ports <= set(range(41000, 41010))
    assert connection.redis_url.startswith("rediss://")
    assert read_connection(folder.connection_of("worker")).redis_url.startswith("rediss://worker:")
    with pytest.raises(OSError, match=r"the name 'broker\.invalid' is unknown here"):
        open_session(alone, folder)
