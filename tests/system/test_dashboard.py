"""The dashboard in a real Chromium, in front of a real campaign."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.helpers.gateways import RunningGateway, gateway, start_gateway
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
"""Draws so many results so many times, made of those that are there, each until it is on the screen."""

LISTEN = """() => {
  const { store } = moireloop, before = store.total;
  window.nextResult = new Promise((told) => {
    const look = () => {
      if (store.total <= before) return;
      store.listeners.delete(look);
      told(Date.now() / 1000 - store.columns.logged_s.at(-1));
    };
    store.listeners.add(look);
  });
}"""

HEARD = "() => window.nextResult"
"""Waits for the next result after LISTEN and says how many seconds after it was logged the page has it."""


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
        running.propose(*(f"c{number:05d}" for number in range(8)))
        running.wait_for_results(8, patience_s=100)
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
            browser.close()
            served.process = found.gateway.process
    finally:
        running.close()


def test_results_come_while_one_looks(opened: Opened) -> None:
    """Within a second of the log; the best of three, since the machine may be busy. The token is not in the address."""
    opened.show("overview")
    delays = [opened.delay_s(f"looked-{number}") for number in range(3)]
    assert min(delays) < 1.0
    assert "token" not in opened.page.url


def test_a_proposal_made_in_the_page_comes_to_its_result(opened: Opened) -> None:
    """Filled in, confirmed, accepted, queued, run, and in the table of results."""
    page = opened.show("steering")
    form = page.locator("form", has=page.get_by_role("button", name="propose", exact=True))
    form.locator("[name=candidate_id]").fill("from-the-page")
    form.locator("[name=temperature_k]").fill("2000")
    form.get_by_role("button", name="propose").click()
    page.get_by_role("button", name="Yes, propose").click()
    expect(page.get_by_role("status").filter(has_text="propose: accepted")).to_be_visible(timeout=PATIENCE_MS)
    opened.show("results").get_by_role("searchbox").fill("from-the-page")
    expect(page.get_by_role("link", name="from-the-page")).to_be_visible(timeout=PATIENCE_MS)


def test_ten_thousand_results_are_drawn_at_once(opened: Opened) -> None:
    """The panels that draw every result take below 300 ms of the page's processor time, whatever else runs."""
    clock = opened.page.context.new_cdp_session(opened.page)
    clock.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy_s() -> float:
        told = clock.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in told if one["name"] == "TaskDuration"))

    for panel in ("overview", "space", "results"):
        page = opened.show(panel)
        page.wait_for_selector("[role=tabpanel] > *", state="attached")
        begun_s = busy_s()
        page.evaluate(TILED, [10_000, ROUNDS])
        assert 0.0 < (busy_s() - begun_s) / ROUNDS < 0.3, panel


def test_every_panel_shows_itself(opened: Opened) -> None:
    """By the arrow keys, at two widths, without an error and without a scroll bar for the whole page."""
    page = opened.show("overview")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 850})
        page.locator("#tab-overview").focus()
        for _ in range(page.get_by_role("tab").count()):
            page.keyboard.press("ArrowRight")
            page.wait_for_selector("[role=tabpanel] > *", state="attached")
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.set_viewport_size({"width": 1280, "height": 900})
    assert opened.errors == []


def test_model_and_admitted_twists_are_shown(opened: Opened) -> None:
    """The model's probability of a hit lies behind the points once a target is chosen; the cell's twists are named."""
    page = opened.show("space")
    expect(page.get_by_text("twists that the cell admits")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_label("model's probability of a hit for").select_option(index=1)
    expect(page.get_by_text("the largest over the other parameters")).to_be_visible(timeout=PATIENCE_MS)
    assert opened.errors == []


def test_no_request_leaves_the_machine(opened: Opened) -> None:
    """Nor with the 3D view, whose script is that of the installed package."""
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
    """Every button of the panel is off."""
    with opened.browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{opened.origin}/?token={opened.gateway.observer}")
        page.goto(f"{opened.origin}/#/short/steering")
        expect(page.get_by_role("button", name="propose", exact=True)).to_be_disabled(timeout=PATIENCE_MS)


def test_the_gateway_goes_and_comes_back(opened: Opened) -> None:
    """The page says so, and goes on by itself where it was."""
    page = opened.show("overview")
    port = opened.gateway.port
    opened.gateway.kill()
    expect(page.locator("#state")).to_have_text("reconnecting", timeout=PATIENCE_MS)
    opened.gateway.process = start_gateway(opened.tokens, opened.campaign.file, port=port).process
    expect(page.locator("#state")).to_have_text("started", timeout=PATIENCE_MS)
    assert opened.delay_s("afterwards") is not None
