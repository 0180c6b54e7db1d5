"""Every fault and every habit is a button that switches it on, and off again."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk

pytestmark = pytest.mark.needs("chromium")

PRESSED = "aria-pressed"
CLICK = "(all, names) => { for (const button of all) if (names.includes(button.dataset.testid)) button.click(); }"


def test_every_fault_and_habit_goes_on_and_off_again(desk: Desk) -> None:
    """A button is pressed when the server says so, and not before. Of the second board: what the first has not."""
    tried: set[str] = set()
    for board in ("esp32s3_counter", "esp32_mpos"):
        desk.add(board)
        desk.at("tab-faults").click()
        buttons = desk.page.locator("#panel button.fault")
        names = set(buttons.evaluate_all("(all) => all.map((button) => button.dataset.testid)")) - tried
        assert names
        pressed = buttons.and_(desk.page.locator(f"[{PRESSED}=true]"))
        buttons.evaluate_all(CLICK, list(names))
        expect(pressed).to_have_count(len(names))
        expect(desk.at("tab-faults").locator(".badge")).to_have_text(str(len(names)))
        pressed.evaluate_all(CLICK, list(names))
        expect(pressed).to_have_count(0)
        expect(desk.at("faults-mend-all")).to_be_disabled()
        expect(desk.page.locator("#panel .problem:not(.empty)")).to_have_count(0)
        tried |= names
    assert any(name.endswith(("automatic_status", "flow_control")) for name in tried), "habits are among them"


def test_faults_are_found_by_a_word_shown_alone_and_mended_together(desk: Desk) -> None:
    terminal = desk.add()
    desk.at("tab-faults").click()
    desk.at("fault-search").fill("printer paper_out")
    desk.at("fault-printer-paper_out").click()
    expect(desk.at("fault-printer-paper_out")).to_have_attribute(PRESSED, "true")
    expect(desk.at("fault-keypad-dead_1")).to_have_count(0)
    desk.at("fault-search").fill("")
    desk.at("fault-keypad-dead_1").click()
    expect(terminal.at("wrong")).to_contain_text("2")
    desk.at("faults-on-only").click()
    expect(desk.page.locator("#panel button.fault")).to_have_count(2)
    desk.at("faults-mend-all").click()
    expect(desk.page.locator("#panel button.fault")).to_have_count(0)
    expect(terminal.at("wrong")).to_have_count(0)


def test_a_dead_key_does_nothing_until_it_is_mended(desk: Desk) -> None:
    terminal = desk.add()
    terminal.switch_on()
    desk.at("tab-faults").click()
    desk.at("fault-keypad-dead_help").click()
    expect(desk.at("fault-keypad-dead_help")).to_have_attribute(PRESSED, "true")
    terminal.press("help")
    desk.at("fault-keypad-dead_help").click()
    expect(desk.at("fault-keypad-dead_help")).to_have_attribute(PRESSED, "false")
    terminal.shows("idle.ready")
    terminal.press("help")
    terminal.shows("menu.title")
