"""Output that nobody reads any more ends nothing."""

from __future__ import annotations

import os
import sys

import pytest

from moireloop.terminal.outlet import output_that_may_close


def test_reader_that_leaves_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `| head -1` what is written goes nowhere, however much it is, and nothing is raised."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with output_that_may_close():
            print("first", flush=True)  # noqa: T201
            assert os.read(reading, 100) == b"first\n"
            os.close(reading)
            for _ in range(100):
                print("x" * 10_000, flush=True)  # noqa: T201
        assert sys.stdout is stream
        stream.write("more")
        stream.flush()
