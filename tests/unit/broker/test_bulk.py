"""The garbage collector rests while very many objects are made, and only then."""

from __future__ import annotations

import gc

import pytest

from moireloop_broker.bulk import many_objects


def test_collector_rests_and_goes_on() -> None:
    """Also after an error, and not where somebody else has turned it off."""
    assert gc.isenabled()
    seen = []

    @many_objects()
    def failing() -> None:
        seen.append(gc.isenabled())
        raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert seen == [False]
    assert gc.isenabled()
    gc.disable()
    try:
        with many_objects():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
