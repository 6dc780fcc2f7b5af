"""What can be wrong with [[targets]], [redis] and [network] of a campaign file beyond their shape (adapter)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from moireloop_broker.contract.search import Target
from moireloop_broker.network.addresses import bind_address, host_of, stays_here
from moireloop_broker.network.free_ports import FreePorts
from moireloop_broker.network.ports import is_loopback
from moireloop_broker.problems import Problem, shown
from moireloop_broker.settings import NetworkSettings, RedisSettings


def target_problems(targets: Sequence[Target]) -> list[Problem]:
    """Twists that are wanted twice."""
    seen: dict[float, int] = {}
    problems = []
    for number, target in enumerate(targets):
        first = seen.setdefault(target.twist_deg, number)
        if first != number:
            text = f"expected a twist different from targets[{first}], got {target.twist_deg:g} twice"
            problems.append(Problem(f"targets[{number}].twist_deg", text))
    return problems


def secrecy_problems(network: NetworkSettings, redis: RedisSettings) -> list[Problem]:
    """Whether Redis is reached by TLS from other hosts, or the file says that it need not be."""
    if redis.plaintext:
        return []
    if redis.url is not None:
        return _joined_problems(redis.url)
    return [] if stays_here(network.host) else _private_problems(network)


def _joined_problems(url: str) -> list[Problem]:
    parts = urlsplit(url)
    if parts.scheme != "redis" or _is_this_machine(parts.hostname or ""):
        return []
    text = (
        f"expected a server of this machine or one with TLS, got {parts.hostname} without TLS, so that others "
        f"on the network could read the password and the final frames; use rediss://, or set redis.plaintext = true "
        f"if that network is private"
    )
    return [Problem("redis.url", text)]


def _private_problems(network: NetworkSettings) -> list[Problem]:
    from moireloop_broker.service.server_programs import RedisUnavailable, find_server

    try:
        find_server(tls=True)
    except RedisUnavailable as error:
        text = (
            f"network.host = {shown(network.host)} opens the campaign's Redis server to other hosts, which needs TLS, "
            f"and {error}; put a server with TLS on the PATH (redis-server of Debian, valkey of conda), name one with "
            f"redis.url, or set redis.plaintext = true if that network is private"
        )
        return [Problem("redis.plaintext", text)]
    return []


def _is_this_machine(host: str) -> bool:
    """Whether a server's name leads to loopback."""
    if is_loopback(host):
        return True
    try:
        return is_loopback(socket.gethostbyname(host))
    except OSError:
        return False


def reach_problems(network: NetworkSettings, redis: RedisSettings, listening: int) -> list[Problem]:
    """Whether the services can listen where they are to, and the Redis server to join responds.

    Args:
        listening: how many ports they need.
    """
    from moireloop_broker.state.redis_client import why_silent

    problems = _listening_problems(network, listening)
    if redis.url is not None and (reason := why_silent(redis.url)) is not None:
        problems.append(Problem("redis.url", f"expected a Redis server that responds, got none: {reason}"))
    return problems


def _listening_problems(network: NetworkSettings, listening: int) -> list[Problem]:
    try:
        address = bind_address(host_of(network.host))
    except OSError as error:
        text = f"expected a name or address of this machine, got {shown(network.host)}: {error.strerror or error}"
        return [Problem("network.host", text)]
    if network.port_range is None:
        return []
    free = FreePorts(address, network.port_range).count(listening)
    if free >= listening:
        return []
    text = f"expected {listening} free ports on {address}, found {free} in {network.ports}; use a wider range"
    return [Problem("network.ports", text)]
