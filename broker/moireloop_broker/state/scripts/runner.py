"""Runs Lua scripts on Redis by their hash, several in one round trip; loads what a server has lost (adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, NamedTuple, TypeAlias, cast

import msgpack
import redis

from moireloop_broker.state.redis_client import exchange

SCRIPTS: Final = "moireloop_broker.state"
"""The package whose folder `lua` has the scripts."""

Argument: TypeAlias = str | bytes | int | float


class UnknownReply(RuntimeError):
    """A script returned a word that this version does not know: the server runs one of another version."""


class Call(NamedTuple):
    """A script to be run: its name, KEYS and ARGV."""

    name: str
    keys: Sequence[str]
    args: Sequence[Argument]


@cache
def _source(name: str) -> str:
    return files(SCRIPTS).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


@cache
def _sha1(name: str) -> str:
    return sha1(_source(name).encode(), usedforsecurity=False).hexdigest()


class Runner:
    """Runs the scripts in `lua/` on one Redis connection."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def run_several(self, calls: Sequence[Call]) -> list[object]:
        """Run scripts one after another in one round trip; those that the server has lost are run again by themselves.

        Raises:
            redis.RedisError: one of them failed; those after it were run.
        """
        commands = [("EVALSHA", _sha1(name), len(keys), *keys, *args) for name, keys, args in calls]
        replies = exchange(self._client, commands)
        for number, (reply, call) in enumerate(zip(replies, calls, strict=True)):
            if isinstance(reply, redis.exceptions.NoScriptError):
                replies[number] = self._given_again(call)
            elif isinstance(reply, Exception):
                raise reply
        return replies

    def is_one(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> bool:
        """Run `lua/<name>.lua`; whether it returned 1."""
        return self.run(name, keys, args) == 1

    def run(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> object:
        """Run `lua/<name>.lua`; a server that has lost the script is given it again."""
        return self.run_several([Call(name, keys, args)])[0]

    def _given_again(self, call: Call) -> object:
        script = self._client.register_script(_source(call.name))
        found: object = script(keys=call.keys, args=call.args)
        return found


def packed(rows: Sequence[Sequence[Argument]]) -> bytes:
    """Rows as a script unpacks them: texts and bytes are the same there."""
    packed: bytes = msgpack.packb(rows, use_bin_type=False)
    return packed


def unpacked(reply: object) -> list[Any]:
    """What a script packed, texts as bytes."""
    rows: list[Any] = msgpack.unpackb(cast("bytes", reply), raw=True)
    return rows or []


def expected_word(word: object, words: Sequence[str]) -> str:
    """The word that a script returned.

    Raises:
        UnknownReply: it is none of `words`.
    """
    text = word.decode() if isinstance(word, bytes) else repr(word)
    if text not in words:
        raise UnknownReply(f"expected one of {', '.join(words)} from a script, got {text}")
    return text
