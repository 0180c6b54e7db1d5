"""A suspended terminal is brought back into service by whoever has nothing but the page, a mouse, and the languages it speaks."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from firmware_agent.texts import LANGUAGES
from tests.browser.desk import MODES, Desk

pytestmark = pytest.mark.needs("chromium")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_suspended_terminal_comes_back_by_clicking_only(desk: Desk, language: str) -> None:
    desk.at(f"language-{language}").click()
    terminal = desk.add(language=language)
    terminal.switch_on()
    terminal.suspend()
    expect(terminal.near("mode")).to_have_text(MODES[language]["suspended"])
    expect(terminal.near("reasons")).to_contain_text("C-2026-1107")

    terminal.prepare()
    terminal.apply()
    expect(terminal.near("applications").get_by_role("listitem")).to_have_count(1)
    terminal.near("review-approved").click()
    terminal.shows("answer.title")
    first = terminal.near("applications").get_by_role("listitem").last  # an approval may be followed by an application for new keys
    expect(first.get_by_test_id("decided")).to_be_visible()
    terminal.press("1")
    terminal.shows("recovery.lift.title")
    terminal.order("lift", reason="violation")

    terminal.shows("test.title")
    terminal.pass_the_tests()
    slip = terminal.at("slip")
    assert slip.evaluate("(slip) => slip.width") == slip.evaluate("(slip) => slip.naturalWidth"), "each dot is a pixel"
    terminal.shows("restored.title")
    expect(terminal.near("mode")).to_have_text(MODES[language]["in_service"])
    expect(terminal.at("mode")).to_have_text(MODES[language]["in_service"])


@pytest.mark.needs("micropython")
def test_an_agent_on_micropython_is_suspended_and_begins_its_way_back(desk: Desk) -> None:
    terminal = desk.add(runtime="micropython")
    terminal.switch_on()
    terminal.suspend()
    terminal.press("1")
    terminal.shows("recovery.reason.title")
