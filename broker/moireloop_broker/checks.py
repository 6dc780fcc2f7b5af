"""What can be wrong with [[targets]], [redis] and [network] of a campaign file beyond their shape (adapter)."""

from __future__ import annotations

from collections.abc import Sequence

from moireloop_broker.connection import free_port
from moireloop_broker.contract.search import Target
from moireloop_broker.problems import Problem, shown
from moireloop_broker.settings import NetworkSettings, RedisSettings


def target_problems(targets: Sequence[Target]) -> list[Problem]:
    """Twists that are wanted twice."""
    seen: dict[float, int] = {}
    found = []
    for number, target in enumerate(targets):
        first = seen.setdefault(target.twist_deg, number)
        if first != number:
            text = f"expected another twist than targets[{first}], got {target.twist_deg:g} twice"
            found.append(Problem(f"targets[{number}].twist_deg", text))
    return found


def reach_problems(network: NetworkSettings, redis: RedisSettings) -> list[Problem]:
    """Whether the sockets can listen where they are to, and the Redis server that is to be joined answers."""
    from moireloop_broker.state.redis_client import why_silent

    problems = []
    try:
        free_port(network.host)
    except OSError as error:
        text = f"expected a name or address of this machine, got {shown(network.host)}: {error.strerror or error}"
        problems.append(Problem("network.host", text))
    if redis.url is not None and (reason := why_silent(redis.url)) is not None:
        problems.append(Problem("redis.url", f"expected a Redis server that answers, got none: {reason}"))
    return problems
