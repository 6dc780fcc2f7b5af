"""The dashboard in a real Chromium, in front of a real campaign."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from moireloop import connect
from moireloop_broker.contract.events import Requested
from moireloop_gateway.web.steering import STEERING
from tests.helpers.gateways import RunningGateway, gateway, start_gateway
from tests.helpers.patterns import made
from tests.system.running import RunningCampaign

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="the Debian package chromium is not installed"),
]

PATIENCE_MS = 100_000

ROUNDS = 5

TILED = """async ([wanted, rounds]) => {
  const { store, shown } = moireloop, before = { columns: store.columns, total: store.total };
  const rows = Array.from({ length: wanted }, (_, row) => row % before.total);
  const tiled = ([name, column]) => [name, rows.map((row) => column[row])];
  store.columns = Object.fromEntries(Object.entries(before.columns).map(tiled));
  store.total = wanted;
  for (let round = 0; round < rounds; round += 1) {
    shown.update();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  Object.assign(store, before);
}"""
"""Draws a number of results several times, copied from the present ones, and waits each time for the screen."""

LISTEN = """() => {
  const { store } = moireloop, before = store.total;
  window.nextResult = new Promise((resolve) => {
    const look = () => {
      if (store.total <= before) return;
      store.listeners.delete(look);
      resolve(Date.now() / 1000 - store.columns.logged_s.at(-1));
    };
    store.listeners.add(look);
  });
}"""

HEARD = "() => window.nextResult"
"""Waits for the next result after LISTEN and says how many seconds after it was logged the page has it."""


AXE = files("axe_playwright_python") / "axe.min.js"

VIOLATIONS = """async (rules) => (await axe.run({ resultTypes: ["violations"], ...(rules && { runOnly: rules }) }))
  .violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`)"""
"""What axe-core has against the page: names, roles, order of headings, contrast and more; or by some rules alone."""

STOPS = "#shown :is(button, input, select, a[href], [tabindex='0']):not(:disabled)"
"""What the Tab key reaches in a panel."""

FOCUSED = """() => {
  const { activeElement: one } = document, { outlineStyle, outlineWidth } = getComputedStyle(one);
  return {
    text: one.textContent.trim(), label: one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? "",
    at: [...document.querySelectorAll(STOPS)].indexOf(one), marked: outlineStyle !== "none" && outlineWidth !== "0px",
  };
}""".replace("STOPS", f'"{STOPS}"')

REQUESTS: tuple[tuple[str, dict[str, str], dict[str, Any]], ...] = (
    ("pause", {"reason": "lunch"}, {"reason": "lunch"}),
    ("propose", {"candidate_id": "by-hand", "temperature_k": "2000"}, {"candidate_id": "by-hand", "seed": 0}),
    ("propose", {"candidate_id": "spare"}, {"candidate_id": "spare"}),
    ("propose", {"candidate_id": "third"}, {"candidate_id": "third"}),
    ("prioritise", {"candidate_id": "spare", "place": "1"}, {"candidate_id": "spare", "place": 1}),
    ("replicate", {"candidate_id": "by-hand"}, {"candidate_id": "by-hand"}),
    ("withdraw", {"candidate_id": "spare", "reason": "no time"}, {"candidate_id": "spare", "reason": "no time"}),
    ("cancel", {"candidate_id": "third", "reason": "no use"}, {"candidate_id": "third", "reason": "no use"}),
    ("retarget", {"targets": '[{"twist_deg": 5, "tolerance_deg": 0.2}]'},
     {"targets": [{"twist_deg": 5.0, "tolerance_deg": 0.2}]}),
    ("change_space", {"space": '{"temperature_k": [1400, 4600]}'}, {"space": {"temperature_k": [1400.0, 4600.0]}}),
    ("change_budget", {"results": "90000"}, {"results": 90000, "wall_time_s": None}),
    ("scale", {"workers": "1"}, {"workers": 1, "pool": "main"}),
    ("note", {"text": "the chamber was opened"}, {"text": "the chamber was opened"}),
    ("resume", {}, {}),
)  # fmt: skip
"""The requests of the page, what is filled in, and what the log has of each. `stop` ends the tests of this file."""


@dataclass
class Opened:
    """A campaign, its gateway, and the page in front of it; with all that the page asked for and complained about."""

    campaign: RunningCampaign
    gateway: RunningGateway
    tokens: Path
    browser: Browser
    page: Page
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"

    def show(self, panel: str) -> Page:
        """Go to a panel."""
        self.page.goto(f"{self.origin}/#/short/{panel}")
        expect(self.page.locator(f"#tab-{panel}")).to_have_attribute("aria-selected", "true", timeout=PATIENCE_MS)
        return self.page

    def steer(self, name: str, fields: dict[str, str], *, button: str | None = None) -> dict[str, Any]:
        """Fill in a form, press its button, and confirm; returns the body that the page asked about."""
        form = self.page.get_by_role("form", name=name, exact=True)
        for field_name, value in fields.items():
            form.locator(f"[name={field_name}]").fill(value)
        form.get_by_role("button", name=name, exact=True).click()
        dialog = self.page.get_by_role("dialog", name=f"Confirm {name}", exact=True)
        expect(dialog).to_contain_text(STEERING[name].danger or STEERING[name].summary)
        body: dict[str, Any] = json.loads(dialog.locator("pre").inner_text())
        dialog.get_by_role("button", name=button or f"Yes, {name}", exact=True).click()
        expect(dialog).to_have_count(0)
        return body

    def asked_for(self) -> list[Requested]:
        """The requests in the log that came from the page."""
        with connect(self.campaign.folder, timeout_s=60) as client:
            asked = [entry.message for entry in client.events([Requested])]
        return [one for one in asked if isinstance(one, Requested) and one.requester in ("ada", "dashboard")]

    def delay_s(self, name: str) -> float:
        """Seconds from the log to the page of the result of a candidate that is proposed now."""
        self.page.evaluate(LISTEN)
        self.campaign.propose(name)
        return float(self.page.evaluate(HEARD))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """One campaign with a few results, one gateway and one browser for all tests of this file."""
    folder = tmp_path_factory.mktemp("dashboard")
    running = RunningCampaign(folder, results=100_000, steps=(1000, 1000), strategy="none")
    try:
        running.start()
        running.propose(*(f"c{number:05d}" for number in range(5)))
        running.wait_for_results(5, patience_s=100)
        tokens = folder / "tokens.json"
        with gateway(tokens, running.file) as served, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(PATIENCE_MS)
            found = Opened(running, served, tokens, browser, page)
            page.on("request", lambda request: found.asked.append(request.url))
            page.on("pageerror", lambda error: found.errors.append(str(error)))
            page.goto(f"{found.origin}/?token={served.controller}")
            expect(page.locator("#state")).to_have_text("started", timeout=PATIENCE_MS)
            yield found
            stopped_from_the_page(found)
            browser.close()
            served.process = found.gateway.process
    finally:
        running.close()


def stopped_from_the_page(opened: Opened) -> None:
    """The last request of the page, after all tests of this file: it drains the campaign, and says who asked."""
    page = opened.show("steering")
    opened.steer("stop", {"reason": "enough"})
    expect(page.locator("#state")).to_have_text(re.compile("^(draining|stopped)"), timeout=PATIENCE_MS)
    opened.show("overview")
    expect(page.get_by_role("row").filter(has_text="by dashboard").first).to_contain_text("stop", timeout=PATIENCE_MS)


def test_results_come_while_one_looks(opened: Opened) -> None:
    """Within a second of the log; the best of three, since the machine may be busy. The token is not in the address."""
    opened.show("overview")
    delays = [opened.delay_s(f"looked-{number}") for number in range(3)]
    assert min(delays) < 1.0
    assert "token" not in opened.page.url


def test_each_request_made_in_the_page_is_an_event(opened: Opened) -> None:
    """Filled in, confirmed, accepted, and in the log with who asked; what makes no sense is refused in words."""
    page = opened.show("steering")
    said = page.locator(".said")
    page.get_by_label("your name").fill("ada")
    for name, fields, _ in REQUESTS:
        assert opened.steer(name, fields)["requester"] == "ada"
        expect(said).to_have_text(f"{name}: accepted", timeout=PATIENCE_MS)
        if name == "pause":
            expect(page.locator("#state")).to_have_text("paused", timeout=PATIENCE_MS)
    page.get_by_label("your name").fill("")
    opened.steer("resume", {})
    expect(said).to_contain_text("resume: the campaign is not paused", timeout=PATIENCE_MS)
    opened.steer("retarget_to_pattern", {})
    expect(said).to_contain_text("retarget_to_pattern: expected", timeout=PATIENCE_MS)
    opened.steer("cancel", {"candidate_id": "by-hand", "reason": "none"}, button="Back")
    expect(said).to_be_empty()
    logged = [event.request.model_dump(mode="json") for event in opened.asked_for()]
    assert [one["tag"].partition("_request/")[0] for one in logged] == [name for name, _, _ in REQUESTS]
    assert [{**one, **wanted} for one, (_, _, wanted) in zip(logged, REQUESTS, strict=True)] == logged
    assert {event.requester for event in opened.asked_for()} == {"ada"}
    opened.show("results").get_by_role("searchbox").fill("by-hand")
    expect(page.get_by_role("link", name="by-hand", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = csv.DictReader(download.value.path().read_text().splitlines())
    assert "by-hand" in {row["candidate_id"] for row in rows}
    assert_experiment_stands_beside_simulation(opened)


def assert_experiment_stands_beside_simulation(opened: Opened) -> None:
    """A pattern that is submitted meanwhile: its twist among the results', its peaks, and the closest recipe."""
    with connect(opened.campaign.folder, name="ada", timeout_s=60) as client:
        peaks = made(np.random.default_rng(1), twist_deg=8.3, weak=0.5).peaks
        seen = client.submit_pattern(peaks, pattern_id="shot", lattices=(3.16, 3.16)).analysis
    page = opened.show("experiment")
    row = page.get_by_role("row").filter(has_text="shot")
    expect(row).to_contain_text(f"{seen.twist_deg:.2f}°", timeout=PATIENCE_MS)
    for near in seen.closest[:1]:
        expect(row).to_contain_text(near.candidate_id)
        expect(page.get_by_text(f"first rings of {near.candidate_id}")).to_be_visible(timeout=PATIENCE_MS)


def test_ten_thousand_results_are_drawn_at_once(opened: Opened) -> None:
    """The panels that draw every result take below 300 ms of the page's processor time, whatever else runs."""
    clock = opened.page.context.new_cdp_session(opened.page)
    clock.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy_s() -> float:
        metrics = clock.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    for panel in ("overview", "space", "results"):
        page = opened.show(panel)
        page.wait_for_selector("[role=tabpanel] > *", state="attached")
        begun_s = busy_s()
        page.evaluate(TILED, [10_000, ROUNDS])
        assert 0.0 < (busy_s() - begun_s) / ROUNDS < 0.3, panel


def test_every_panel_shows_itself(opened: Opened) -> None:
    """By the arrow keys, at two widths, light and dark; axe finds no fault, and the whole page has no scroll bar."""
    page = opened.show("overview")
    page.evaluate(AXE.read_text())
    faults: list[str] = []
    for width, rules in ((1280, None), (390, ["color-contrast"])):
        page.set_viewport_size({"width": width, "height": 850})
        page.locator("#tab-overview").focus()
        for _ in range(page.get_by_role("tab").count()):
            page.keyboard.press("ArrowRight")
            page.wait_for_selector("[role=tabpanel] > *", state="attached")
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            faults += (f"{page.url} {fault}" for fault in page.evaluate(VIOLATIONS, rules))
        page.locator("#theme").click()
    page.set_viewport_size({"width": 1280, "height": 900})
    assert faults == []
    assert opened.errors == []


def test_the_keyboard_alone_is_enough(opened: Opened) -> None:
    """Each control is reached, in the page's order, with a name and a mark; results that come leave it its place."""
    page = opened.show("overview")
    page.reload()
    happened = page.get_by_role("region", name="What happened")
    happened.wait_for(timeout=PATIENCE_MS)
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED)["text"])
    assert reached == ["Skip to the panel", "moireloop", page.inner_text("#theme"), "Overview"]
    happened.focus(timeout=PATIENCE_MS)
    with connect(opened.campaign.folder) as client:
        client.note("remark to come")
    expect(happened).to_contain_text("remark to come", timeout=PATIENCE_MS)
    expect(happened).to_be_focused()

    opened.show("workers").get_by_role("img", name="Workers over time").focus(timeout=PATIENCE_MS)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".chart [aria-live]")).to_have_text(re.compile("c0000"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/c0000*")

    opened.show("overview").locator("#tab-overview").focus()
    page.keyboard.press("End")
    expect(page.locator("#tab-steering")).to_be_focused(timeout=PATIENCE_MS)
    page.get_by_role("form", name="stop").wait_for(timeout=PATIENCE_MS)
    for at in range(page.locator(STOPS).count()):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert (focused["at"], focused["marked"]) == (at, True), focused
        assert focused["text"] or focused["label"], focused
    for name, first in (("stop", "Back"), ("pause", "Yes, pause")):
        button = page.get_by_role("form", name=name, exact=True).get_by_role("button")
        button.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name=first, exact=True)).to_be_focused()
        page.keyboard.press("Escape")
        expect(button).to_be_focused()
    assert opened.errors == []


def test_model_and_admitted_twists_are_shown(opened: Opened) -> None:
    """The model's probability of a hit lies behind the points once a target is chosen; the cell's twists are named."""
    page = opened.show("space")
    expect(page.get_by_text("twists that the cell admits")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_label("model's probability of a hit for").select_option(index=1)
    expect(page.get_by_text("the largest over the other parameters")).to_be_visible(timeout=PATIENCE_MS)
    assert opened.errors == []


def test_no_request_leaves_the_machine(opened: Opened) -> None:
    """Nor with the 3D view, whose script comes from the installed package."""
    page = opened.show("bilayer")
    page.wait_for_selector(".js-plotly-plot canvas", state="attached", timeout=PATIENCE_MS)
    page.wait_for_selector("canvas[aria-label*='from above']")
    foreign = [url for url in opened.asked if not url.startswith((opened.origin, "data:", "blob:"))]
    assert foreign == []
    assert opened.errors == []


def test_a_wrong_token_shows_nothing(opened: Opened) -> None:
    """The page says what to do, and has nothing else."""
    with opened.browser.new_context() as context:
        page = context.new_page()
        answer = page.goto(f"{opened.origin}/?token=wrong")
        assert answer is not None
        assert answer.status == 401
        assert "open its new link" in page.inner_text("body")


def test_an_observer_sees_forms_and_cannot_send_them(opened: Opened) -> None:
    """Every button of the panel is off. The link leads to the only campaign, the page's name to the list of them."""
    with opened.browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{opened.origin}/?token={opened.gateway.observer}")
        page.wait_for_url("**/#/short/overview", timeout=PATIENCE_MS)
        page.get_by_role("link", name="moireloop", exact=True).click()
        expect(page.get_by_role("link", name="short", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        page.evaluate(AXE.read_text())
        assert page.evaluate(VIOLATIONS) == []
        page.goto(f"{opened.origin}/#/short/steering")
        expect(page.get_by_role("button", name="propose", exact=True)).to_be_disabled(timeout=PATIENCE_MS)


def test_the_gateway_goes_and_comes_back(opened: Opened) -> None:
    """The page says so, and goes on by itself where it was."""
    page = opened.show("overview")
    port = opened.gateway.port
    opened.gateway.kill()
    expect(page.locator("#state")).to_have_text("reconnecting", timeout=PATIENCE_MS)
    opened.gateway.process = start_gateway(opened.tokens, opened.campaign.file, port=port).process
    expect(page.locator("#state")).to_have_text(re.compile("^(started|resumed)$"), timeout=PATIENCE_MS)
    assert opened.delay_s("afterwards") is not None
