"""Whether anybody listens where a URL leads."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from moireloop_broker.network.listening import is_listened_at

pytestmark = pytest.mark.processes


def test_listener_is_found_until_it_closes(tmp_path: Path) -> None:
    """By TCP, with and without TLS in the URL, and by a Unix socket with a space in its name."""
    path = tmp_path / "a b"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        place = f"127.0.0.1:{tcp.getsockname()[1]}"
        urls = [f"redis://:secret@{place}/0", f"rediss://user:secret@{place}/0", f"unix://{tmp_path}/a%20b?db=0"]
        assert [is_listened_at(url, 5.0) for url in urls] == [True] * 3
    assert [is_listened_at(url, 5.0) for url in urls] == [False] * 3


@pytest.mark.parametrize("url", ["redis://no such host/0", "redis://127.0.0.1:99999/0", "unix:///no/such/socket", ""])
def test_nothing_listens_at_an_impossible_address(url: str) -> None:
    """A name that is none, a port that is none, no file."""
    assert not is_listened_at(url, 0.2)
