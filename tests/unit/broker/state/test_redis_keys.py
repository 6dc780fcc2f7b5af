"""Every Redis key is declared, and every declared key has its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from moireloop_broker.state.keys import KEYS, Keys

FAMILIES: dict[str, Callable[[Keys, str], str]] = {
    "candidate:{id}": Keys.candidate,
    "final:{id}": Keys.final_frame,
    "series:{id}:{attempt}": partial(Keys.series, attempt=1),
    "instructions:{worker}": Keys.instructions,
}


def test_each_key_is_declared_once() -> None:
    """The attributes of Keys are the declared keys without families, each named as it is declared."""
    names = {name: key for name, key in vars(Keys("demo")).items() if name != "prefix"}
    declared = [spec.name for spec in KEYS]
    assert len(set(declared)) == len(declared)
    expected = {name.replace(":", "_"): f"moireloop:demo:{name}" for name in set(declared) - set(FAMILIES)}
    assert names == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_declared(family: str) -> None:
    """A family's keys are its declared name with candidate, attempt or worker put in."""
    assert family in {spec.name for spec in KEYS}
    name = family.replace("{id}", "c.1").replace("{attempt}", "1").replace("{worker}", "c.1")
    assert FAMILIES[family](Keys("demo"), "c.1") == f"moireloop:demo:{name}"


def test_each_key_says_who_writes_it_and_how_long_it_lives() -> None:
    """No key without a writer and a lifetime."""
    assert all(spec.writer and spec.lifetime for spec in KEYS)


def test_campaigns_share_no_key() -> None:
    """Campaigns on one server have separate keys, also where one's name begins with the other's."""
    mine, other = Keys("demo"), Keys("demo.2")
    keys = {*vars(mine).values(), mine.candidate("c"), mine.final_frame("c")}
    assert keys.isdisjoint({*vars(other).values(), other.candidate("c"), other.final_frame("c")})
    assert not other.log.startswith(mine.prefix)
