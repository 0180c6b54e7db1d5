"""A suspended terminal is brought back into service by whoever has nothing but the page, a mouse, and the languages it speaks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from firmware_agent.texts import LANGUAGES
from tests.browser.desk import MODES, Desk, Terminal

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
    _pass_the_tests(terminal)
    terminal.shows("restored.title")
    expect(terminal.near("mode")).to_have_text(MODES[language]["in_service"])
    expect(terminal.at("mode")).to_have_text(MODES[language]["in_service"])


def _pass_the_tests(terminal: Terminal) -> None:
    terminal.press("1")
    terminal.shows("exam.printer.seen")
    slip = terminal.at("slip")
    expect(slip).to_be_visible()
    assert slip.evaluate("(slip) => slip.width") == slip.evaluate("(slip) => slip.naturalWidth"), "each dot is a pixel"
    terminal.press("1")
    _passed(terminal, "print")
    terminal.press("1")
    terminal.shows("exam.scanner.hold")
    terminal.at("scan").click()
    _passed(terminal, "scan")
    terminal.press("1")
    terminal.shows("exam.card_reader.hold")
    terminal.at("card-insert").click()
    expect(terminal.at("card-remove")).to_be_enabled()
    terminal.shows("restored.title")
    terminal.at("card-remove").click()


def _passed(terminal: Terminal, test: str) -> None:
    """The list of tests is back, and this one has passed."""
    passed = terminal.say(f"test.{test}").pattern + r"\s*" + terminal.say("outcome.pass").pattern
    terminal.shows("test.title")
    expect(terminal.at("screen")).to_contain_text(re.compile(passed))


@pytest.mark.needs("micropython")
def test_an_agent_on_micropython_is_suspended_and_begins_its_way_back(desk: Desk) -> None:
    terminal = desk.add(runtime="micropython")
    terminal.switch_on()
    terminal.suspend()
    terminal.press("1")
    terminal.shows("recovery.reason.title")
