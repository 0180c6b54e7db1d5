"""A page shows what the server has: any number of pages at once, one that is opened later, and one whose server was away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import desk_of
from tests.browser.desk import Desk, Simulator

pytestmark = pytest.mark.needs("chromium")

PANELS = ("acquirer", "messages", "faults", "network", "record")


@pytest.fixture
def own_simulator(tmp_path: Path) -> Iterator[Simulator]:
    """One that may be stopped."""
    simulator = Simulator(tmp_path / "errors")
    simulator.start()
    simulator.remove("T0000001")
    yield simulator
    simulator.stop()


@pytest.fixture
def desk_of_own(request: pytest.FixtureRequest, browser: Browser, own_simulator: Simulator) -> Iterator[Desk]:
    yield from desk_of(request, browser, own_simulator, "en")


READ = re.compile("Materials")  # of a slip, once the server has read it


def _all_of(page: Page) -> str:
    """Everything that a page says, panel by panel, to those who see it and to those who do not."""
    page.get_by_test_id("tab-acquirer").click()
    page.locator("#panel details").evaluate_all("(all) => { for (const part of all) part.open = true; }")
    seen = [page.locator("#stage").aria_snapshot()]
    for panel in PANELS:
        page.get_by_test_id(f"tab-{panel}").click()
        expect(page.locator(f"#work-tab-{panel}")).to_have_attribute("aria-selected", "true")
        if panel == "messages":
            expect(page.get_by_test_id("messages")).to_be_visible()
        seen.append(page.locator("#panel").aria_snapshot())
    return "\n".join(seen).replace(" [selected]", "")  # what is chosen to be sent is a page's own


def test_two_pages_show_and_do_the_same(desk: Desk, browser: Browser) -> None:
    """In two windows: what a browser does not show it draws late."""
    here = desk.add()
    other = Desk(browser, desk.simulator)
    there = here.on(other.page)
    there.switch_on()
    here.shows("idle.ready")
    here.suspend()
    there.shows("suspended.choice.1")
    there.press("1")
    here.shows("recovery.reason.title")
    here.near("tab-faults").click()
    there.near("tab-faults").click()
    here.near("fault-scanner-no_light").click()
    expect(there.near("fault-scanner-no_light")).to_have_attribute("aria-pressed", "true")
    there.shows("recovery.reason.title")
    assert _all_of(desk.page) == _all_of(other.page)
    there.at("close").click()
    expect(here.at("terminal")).to_have_count(0)
    other.close()
    assert other.complaints == []


def test_a_tab_that_is_closed_and_opened_again_shows_everything_again(desk: Desk) -> None:
    terminal = desk.add()
    terminal.switch_on()
    terminal.suspend()
    terminal.prepare()
    terminal.press("0")  # the list of materials, on paper
    expect(terminal.at("slip")).to_have_attribute("alt", READ)
    terminal.shows("recovery.materials.title")
    before = _all_of(desk.page)
    assert "verified" in before and "C-2026-1107" in before
    desk.page.close()
    desk.page = desk.open()
    again = terminal.on(desk.page)
    again.shows("recovery.materials.title")
    expect(again.at("slip")).to_have_attribute("alt", READ)
    assert _all_of(desk.page) == before


def test_a_page_whose_server_was_away_says_so_and_then_recovers_by_itself(desk_of_own: Desk, own_simulator: Simulator) -> None:
    desk = desk_of_own
    terminal = desk.add()
    terminal.switch_on()
    own_simulator.stop()
    expect(desk.at("banner")).to_be_visible()
    expect(desk.at("connection")).to_have_class("lamp-line off")
    terminal.at("power").click()
    expect(desk.at(f"problem-power-{terminal.id}")).not_to_be_empty()
    own_simulator.start()
    expect(desk.at("banner")).to_have_count(0)
    # The new server has a terminal of its own, which is off, and nothing of what was.
    first = terminal.on(desk.page)
    first.id = "T0000001"
    expect(desk.page.locator("[data-terminal]")).to_have_count(1)
    expect(first.at("power")).to_have_attribute("aria-checked", "false")
    first.switch_on()
    desk.forgive(r"ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE")


def test_what_a_faultless_page_never_does_is_noticed(desk: Desk) -> None:
    """Else the tests of this folder could not fail by it."""
    desk.page.evaluate("() => document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }))")
    desk.page.evaluate("() => { const picture = new Image(); picture.src = 'http://127.0.0.2/picture.png'; }")
    desk.page.evaluate("() => setTimeout(() => { throw new Error('nobody catches it'); })")
    with desk.context.expect_event("requestfailed"):
        desk.context.new_page().evaluate("() => { location.href = 'http://127.0.0.2/'; }")
    expect(desk.page.locator("body")).to_be_visible()
    assert not desk.page.evaluate("() => window.ran")
    for kind in ("Content Security Policy", "127.0.0.2/picture.png", "nobody catches it", "asked for http://127.0.0.2/$"):
        assert any(re.search(kind, line) for line in desk.complaints), desk.complaints
        desk.forgive(kind)
    desk.forgive("127.0.0.2")
