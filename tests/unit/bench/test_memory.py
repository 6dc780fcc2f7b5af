"""Growth of memory and its picture, from samples that are made up."""

from __future__ import annotations

from pathlib import Path

from bench.memory import Sample, draw, growth
from bench.scale import STREAMS, after_an_hour


def samples() -> list[Sample]:
    """A broker that keeps its memory, an optimizer that takes 2 MiB for each 10 000 results, and the end of both."""
    running = [
        Sample(n, n / 1000, {"broker": 50.0, "worker": 40.0, "optimizer": 100.0 + n / 5000}, 100.0, n, 10.0)
        for n in range(0, 100_001, 1000)
    ]
    return [*running, Sample(100_000, 101.0, {"conductor": 900.0}, 1.0, 0, 0.0)]


def test_growth_is_that_of_the_second_half() -> None:
    """In MiB for each 10 000 results, while workers were there."""
    values = {row.name: row.value for row in growth(samples(), 0)}
    assert values["memory of broker for each further 10 000 results"] == 0.0
    assert values["memory of optimizer for each further 10 000 results"] == 2.0
    assert values["memory that Redis uses at the end"] == 100.0
    assert not any("conductor" in name for name in values)


def test_picture_is_drawn(tmp_path: Path) -> None:
    """As PNG."""
    draw(samples(), tmp_path / "memory.png")
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")


def test_streams_do_not_grow_beyond_what_they_keep() -> None:
    """In 10 times as long: a stream that is full by then has its most entries, all else grows on."""
    before = {"log": (0, 0), "observations": (100, 10), "others": 1000}
    after = {"log": (500_000, 100_000), "observations": (200, 20), "others": 3000}
    assert after_an_hour(before, after, 10.0) == 5 * STREAMS["log"] + 10 * 120 + 3000 + 10 * 2000
