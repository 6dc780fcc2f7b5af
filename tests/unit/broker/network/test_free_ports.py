"""Ports for services: each free, out of the range, and handed out once."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from moireloop_broker.network.free_ports import FreePorts, NoFreePort

HERE = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens, with two more behind it that are ports too."""
    with socket.create_server((HERE, 0)) as server:
        yield int(server.getsockname()[1])


def test_port_in_use_is_skipped(taken: int) -> None:
    """The next of the range comes in its place."""
    free = FreePorts(HERE, range(taken, taken + 20))
    assert free.next() in range(taken + 1, taken + 20)


def test_each_port_is_handed_out_once() -> None:
    """Also where nothing listens on them yet, and where any will do."""
    free = FreePorts(HERE)
    assert len({free.next() for _ in range(200)}) == 200


def test_wanted_port_is_kept_where_it_is_free_and_of_the_range(taken: int) -> None:
    """A session gets the ports of the one before it; not ports outside a new range, nor other sessions' ports."""
    wanted = FreePorts(HERE).next()
    assert FreePorts(HERE).next(wanted) == wanted
    assert FreePorts(HERE, range(wanted, wanted + 1)).next(wanted) == wanted
    assert FreePorts(HERE).next(taken) != taken
    assert FreePorts(HERE, taken=[wanted]).next(wanted) != wanted


def test_full_range_is_named(taken: int) -> None:
    """With the address on which it is full."""
    with pytest.raises(NoFreePort, match=rf"no port of {taken}-{taken} is free on {HERE}"):
        FreePorts(HERE, range(taken, taken + 1)).next()


def test_free_ports_of_a_range_are_counted(taken: int) -> None:
    """Up to as many as are needed."""
    assert FreePorts(HERE, range(taken, taken + 1)).count(3) == 0
    free = FreePorts(HERE).next()
    assert FreePorts(HERE, range(free, free + 1)).count(3) == 1
