"""Settings of Redis, network and frames: what a campaign file may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from moireloop_broker.settings import FrameSettings, NetworkSettings, RedisSettings, Settings

EVERY = (RedisSettings, NetworkSettings, FrameSettings)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://127.0.0.1:6379/0",
        "redis://:secret@node-17:6380/2",
        "rediss://user:secret@redis.example.org:6379/0",
        "unix:///run/redis/redis.sock",
        "redis://[::1]:6379/0",
    ],
)
def test_redis_url_is_taken_as_it_is(url: str) -> None:
    """URLs of a server over TCP, TLS or a local socket."""
    assert RedisSettings(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost:6379",
        "redis://",
        "redis:///0",
        "redis://localhost/abc",
        "redis://localhost/0/1",
        "redis://localhost/-1",
        "unix:///run/redis.sock?db=abc",
        "redis://localhost?protocol=3",
        "redis://localhost:port/0",
        "redis://localhost:99999/0",
        "redis://localhost:0/0",
        "redis://[::1/0",
        "unix://",
        "unix:///",
        6379,
    ],
)
def test_redis_url_that_names_no_server_is_refused(url: Any) -> None:
    """What names no server is refused at once, not when the campaign starts."""
    with pytest.raises(ValidationError, match=r"expected redis://|valid string"):
        RedisSettings(url=url)


def test_without_redis_url_a_private_server_is_meant() -> None:
    """No URL is the default."""
    assert RedisSettings().url is None


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "login1", "node-17.cluster.example.org"])
def test_hosts_are_taken(host: str) -> None:
    """Names and IPv4 addresses."""
    assert NetworkSettings(host=host).host == host


@pytest.mark.parametrize("host", ["", "*", "tcp://127.0.0.1", "127.0.0.1:5555", "a b", "-x", "x.", "a\nb", "x" * 300])
def test_hosts_that_are_none_are_refused(host: str) -> None:
    """Wildcards, endpoints and odd characters are no hosts."""
    with pytest.raises(ValidationError):
        NetworkSettings(host=host)


def test_sockets_listen_on_loopback_by_default() -> None:
    """Nothing is open to the network unless somebody said so."""
    assert NetworkSettings().host == "127.0.0.1"


@pytest.mark.parametrize(
    "wrong", [{"every_steps": 0}, {"every_steps": -5}, {"every_steps": 1.5}, {"transport": "udp"}, {"every": 5}]
)
def test_wrong_frame_settings_are_refused(wrong: dict[str, Any]) -> None:
    """Intervals below one step, unknown transports and unknown keys."""
    with pytest.raises(ValidationError):
        FrameSettings(**wrong)


@pytest.mark.parametrize("model", EVERY)
def test_settings_are_frozen_strangers_refused_and_all_described(model: type[Settings]) -> None:
    """Each model refuses unknown keys, does not change, and tells a user what each key means."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({"colour": "blue"})
    settings = model()
    name = next(iter(model.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, name, None)
    assert all(field.description for field in model.model_fields.values())
