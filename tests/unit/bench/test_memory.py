"""Growth of memory and its picture, from samples that are made up."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from matplotlib.text import Text

from bench.memory import Sample, drawn, growth
from bench.scale import STREAMS, after_an_hour


def samples() -> list[Sample]:
    """A broker that keeps its memory, an optimizer that takes 2 MiB for each 10 000 results, and the end of both."""
    running = [
        Sample(n, n / 1000, {"broker": 50.0, "worker": 40.0, "optimizer": 100.0 + n / 5000}, 100.0, n, 10.0)
        for n in range(0, 100_001, 1000)
    ]
    return [*running, Sample(100_000, 101.0, {"conductor": 900.0}, 1.0, 0, 0.0)]


def test_growth_is_that_of_the_second_half() -> None:
    """In MiB for each 10 000 results, while workers were there. A short peak at the end is no growth."""
    rewriting = samples()
    rewriting[-2].rss_mib["optimizer"] = 900.0
    values = {row.name: row.value for row in growth(rewriting, 0)}
    assert values["memory of broker for each further 10 000 results"] == 0.0
    assert values["memory of optimizer for each further 10 000 results"] == pytest.approx(2.0)
    assert values["memory that Redis uses at the end"] == 100.0
    assert not any("conductor" in name for name in values)


@pytest.mark.parametrize("ends_mib", [(50.0, 50.0, 51.0, 49.0, 195.0, 196.0, 900.0), (0.0,) * 7, tuple(range(7))])
def test_names_of_lines_that_meet_do_not_overlap(ends_mib: tuple[float, ...]) -> None:
    """Nor do they leave the picture or the order in which the lines end."""
    kinds = ["broker", "pool", "gateway", "worker", "optimizer", "analyzer", "conductor"]
    met = [Sample(n, n, dict(zip(kinds, ends_mib, strict=True)), 100.0, n, 10.0) for n in range(0, 100_001, 10_000)]
    figure = drawn(met)
    figure.draw_without_rendering()
    names = sorted(figure.axes[0].texts, key=lambda text: Text.get_window_extent(text).y0)
    boxes = [Text.get_window_extent(name) for name in names]
    assert all(low.y1 <= high.y0 for low, high in itertools.pairwise(boxes))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert boxes[0].y0 >= figure.axes[0].bbox.y0 - 1.0
    ended = dict(zip(kinds, ends_mib, strict=True))
    heights = [ended[name.get_text()] for name in names]
    assert heights == sorted(heights)


def test_picture_of_a_run_is_drawn(tmp_path: Path) -> None:
    """Kinds that were there but for a moment have no line."""
    figure = drawn(samples())
    figure.savefig(tmp_path / "memory.png")
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")
    assert {text.get_text() for text in figure.axes[0].texts} == {"broker", "worker", "optimizer"}


def test_streams_do_not_grow_beyond_what_they_keep() -> None:
    """In 10 times as long: a stream that is full by then has its most entries, all else grows on."""
    before = {"log": (0, 0), "observations": (100, 10), "others": 1000}
    after = {"log": (500_000, 100_000), "observations": (200, 20), "others": 3000}
    assert after_an_hour(before, after, 10.0) == 5 * STREAMS["log"] + 10 * 120 + 3000 + 10 * 2000
