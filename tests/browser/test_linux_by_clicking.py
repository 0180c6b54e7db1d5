"""A Linux terminal on the page: its whole way back by clicking, what breaks and is mended, power that goes, and its end."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import MODES, Desk
from tests.desktop.test_linux_on_the_desktop import BOARD, PROGRAMS

pytestmark = [pytest.mark.needs(program) for program in ("chromium", *PROGRAMS)]


def test_a_linux_terminal_comes_back_breaks_is_mended_loses_power_and_goes(desk: Desk) -> None:
    terminal = desk.add(board=BOARD)
    terminal.switch_on()
    terminal.suspend()
    terminal.prepare()
    terminal.apply()
    terminal.near("review-approved").click()
    terminal.shows("answer.title")
    terminal.press("1")
    terminal.shows("recovery.lift.title")
    terminal.order("lift", reason="violation")
    terminal.shows("test.title")
    terminal.pass_the_tests()
    expect(terminal.at("mode")).to_have_text(MODES["en"]["in_service"])

    terminal.near("tab-faults").click()
    fault = terminal.near("fault-display-unplugged")
    fault.click()
    expect(terminal.at("wrong")).to_be_visible()
    expect(terminal.at("screen")).to_be_empty()
    fault.click()
    expect(terminal.at("wrong")).to_have_count(0)
    terminal.press("1")
    terminal.shows("idle.ready")

    terminal.at("power").click()
    expect(terminal.at("power")).to_have_attribute("aria-checked", "false")
    terminal.switch_on()
    desk.at(f"close-{terminal.id}").click()
    expect(desk.at(f"terminal-{terminal.id}")).to_have_count(0)
    expect(desk.page.locator(".shelf")).to_be_visible()
    desk.forgive(r"status of 404")  # of a picture that was on its way when the terminal went
