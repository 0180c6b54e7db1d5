"""No violation of WCAG 2.1, levels A and AA, that axe-core finds: in light and dark, in both languages, and in a window at 200 %."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from firmware_agent.texts import LANGUAGES
from tests.browser.conftest import desk_of
from tests.browser.desk import VIEWPORT, Desk, Simulator

pytestmark = pytest.mark.needs("chromium")

PANELS = ("acquirer", "messages", "faults", "network", "record")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}


@pytest.fixture(params=["light", "dark"])
def coloured(request: pytest.FixtureRequest, browser: Browser, simulator: Simulator, language: str) -> Iterator[Desk]:
    """On a system that has chosen light or dark."""
    yield from desk_of(request, browser, simulator, language, color_scheme=request.param, reduced_motion="reduce")


def _violations(desk: Desk, where: str) -> list[str]:
    """Each with what it is found in."""
    found = Axe().run(desk.page, options=RULES).response["violations"]
    return [
        f"{where}: {one['id']} ({one['help']}) in {node['html'][:200]}: {node['failureSummary']}" for one in found for node in one["nodes"]
    ]


def _violations_in_the_panels(desk: Desk, where: str) -> list[str]:
    found = []
    for panel in PANELS:
        desk.at(f"tab-{panel}").click()
        expect(desk.at(f"tab-{panel}")).to_have_attribute("aria-selected", "true")
        found += _violations(desk, f"{where}, {panel}")
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_with_a_suspended_terminal(coloured: Desk, language: str) -> None:
    coloured.at(f"language-{language}").click()
    found = _violations(coloured, "no terminal")
    terminal = coloured.add(language=language)
    terminal.switch_on()
    terminal.suspend()
    terminal.near("tab-faults").click()
    terminal.near("fault-printer-paper_out").click()
    expect(terminal.at("wrong")).to_be_visible()
    terminal.at("power-factory_new").click()
    terminal.near("tab-messages").click()
    terminal.near("messages").get_by_role("button").first.click()
    expect(terminal.near("inspector")).to_be_visible()
    found += _violations_in_the_panels(coloured, "suspended")
    coloured.page.set_viewport_size({side: px // 2 for side, px in VIEWPORT.items()})
    found += _violations_in_the_panels(coloured, "at 200 %")
    assert found == [], "\n".join(found)
