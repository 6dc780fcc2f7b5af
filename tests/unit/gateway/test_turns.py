"""What takes long waits for its own kind alone."""

from __future__ import annotations

import asyncio
import threading

import pytest

from moireloop_gateway.access import Tokens
from moireloop_gateway.sources.catalogue import Catalogue
from moireloop_gateway.web.gateway import Gateway, Work

OTHERS: tuple[Work, ...] = ("structure", "recipes", "pattern")

PATIENCE_S = 60


def test_slow_fit_holds_nothing_else_up() -> None:
    """While a model is fitted, structures, recipes and patterns are done, and a second fit waits."""
    begun, may_end = threading.Event(), threading.Event()
    order: list[str] = []

    def slow_fit() -> None:
        begun.set()
        assert may_end.wait(PATIENCE_S)
        order.append("first fit")

    async def all_of_it() -> None:
        gateway = Gateway(Catalogue([]), Tokens.new(), "0")
        first = asyncio.create_task(gateway.in_turn("model", slow_fit))
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        second = asyncio.create_task(gateway.in_turn("model", lambda: order.append("second fit")))
        for kind in OTHERS:
            await gateway.in_turn(kind, lambda kind=kind: order.append(kind))  # type: ignore[misc]
        may_end.set()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(all_of_it(), PATIENCE_S))
    assert order == [*OTHERS, "first fit", "second fit"]


@pytest.mark.parametrize("kind", ["model", *OTHERS])
def test_failure_ends_a_turn(kind: Work) -> None:
    """The next one of its kind has its turn."""

    def fails() -> None:
        raise RuntimeError("no memory")

    async def both() -> int:
        gateway = Gateway(Catalogue([]), Tokens.new(), "0")
        with pytest.raises(RuntimeError):
            await gateway.in_turn(kind, fails)
        return await gateway.in_turn(kind, lambda: 1)

    assert asyncio.run(asyncio.wait_for(both(), PATIENCE_S)) == 1
