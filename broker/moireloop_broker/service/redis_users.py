"""The users of a campaign's private Redis server: the services' roles, their keys and their commands (pure).

Broker and conductor use the default user, which may do everything. Each role has its own user, which reaches only the
campaign's keys, with the commands that work on data. A script from such a user has the user's rights on the user's
keys, and no more. It can keep the server busy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from moireloop_broker.state.keys import KEYS, Keys

READ_ONLY: Final = ("settings", "identity", "relay", "patterns", "archived")
"""Keys that no role changes. The settings name code that services load."""

COMMANDS: Final = (
    "ping", "echo", "select", "hello", "time", "multi", "exec", "discard", "watch", "unwatch",
    "eval", "evalsha", "script|load", "script|exists",
    "exists", "del", "unlink", "type", "expire", "pexpire", "ttl", "pttl", "persist",
    "get", "set", "setex", "psetex", "setnx", "mget", "incr", "incrby", "strlen",
    "hget", "hmget", "hset", "hsetnx", "hdel", "hgetall", "hvals", "hkeys", "hincrby", "hexists", "hlen",
    "lpush", "rpush", "lpop", "rpop", "blpop", "brpop", "lrange", "ltrim", "llen",
    "sadd", "srem", "smembers", "sismember", "scard",
    "zadd", "zrem", "zrange", "zrangebyscore", "zrevrange", "zremrangebyrank", "zremrangebyscore", "zscore", "zcard",
    "zcount", "zincrby",
    "xadd", "xread", "xreadgroup", "xrange", "xrevrange", "xlen", "xack", "xdel", "xtrim", "xpending", "xclaim",
    "xautoclaim", "xinfo|stream", "xinfo|groups", "xinfo|consumers", "xgroup|create",
)  # fmt: skip
"""What works on data. What looks at other keys (KEYS, SCAN), at other clients or at the server is not among it."""


def acl_lines(passwords: Mapping[str, str], campaign: str, *, reads_apart: bool) -> list[str]:
    """Lines of a server's configuration, one for each user.

    Args:
        passwords: of each role.
        campaign: whose keys they reach.
        reads_apart: whether the server supports read-only keys (Redis 7 and later, every Valkey).
    """
    keys = " ".join(_patterns(campaign, reads_apart=reads_apart))
    commands = " ".join(f"+{command}" for command in COMMANDS)
    return [
        f"user {role} on #{hashlib.sha256(password.encode()).hexdigest()} {keys} resetchannels -@all {commands}"
        for role, password in passwords.items()
    ]


def _patterns(campaign: str, *, reads_apart: bool) -> list[str]:
    prefix = Keys(campaign).prefix
    if not reads_apart:
        return [f"~{prefix}*"]
    named = {re.sub(r"\{\w+\}", "*", spec.name): spec.name in READ_ONLY for spec in KEYS}
    return [f"{'%R' if is_read else ''}~{prefix}{name}" for name, is_read in named.items()]
