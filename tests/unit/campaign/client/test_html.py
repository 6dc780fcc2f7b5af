"""A campaign as a notebook shows it."""

from __future__ import annotations

import re

from moireloop.client.html import campaign_html
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.search import Target
from tests.helpers.campaign_events import candidate, result

STATUS = Status(
    campaign="demo", state="started", counts={"measured": 3, "queued": 1}, counters={}, workers=[], services={},
    pools=[], last_id="1-0",
)  # fmt: skip


def test_regret_curve_never_rises() -> None:
    """State and spent budget in words; for each target the least distance so far, as a curve that only falls."""
    results = [result(candidate(name), twist_deg=twist) for name, twist in (("a", 3.0), ("b", 9.0), ("c", 5.0))]
    html = campaign_html(STATUS, 40, (Target(twist_deg=8.0),), results)
    assert "<b>demo</b> started: 3 of 40 results" in html
    assert "best error 1&deg;" in html
    ((points,),) = [re.findall(r'points="([^"]+)"', html)]
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert len(heights) == 3
    assert heights[0] < heights[1] == heights[2]


def test_without_a_twist_there_are_words() -> None:
    """No curve, and nothing fails."""
    html = campaign_html(STATUS, 40, (Target(twist_deg=8.0),), [])
    assert "no twist yet" in html
    assert "<svg" not in html
