"""Whoever has no mouse gets everywhere with the keyboard, and the keys of the terminal are on it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk

pytestmark = pytest.mark.needs("chromium")

MOST_STOPS = 40


def _tab_to(desk: Desk, name: str) -> None:
    for _ in range(MOST_STOPS):
        desk.page.keyboard.press("Tab")
        if desk.page.evaluate("() => document.activeElement.dataset.testid") == name:
            return
    raise AssertionError(f"the Tab key does not come to {name}")


def test_the_keypad_is_used_with_the_keyboard_alone(desk: Desk) -> None:
    terminal = desk.add()
    _tab_to(desk, f"power-{terminal.id}")
    desk.page.keyboard.press("Space")
    terminal.shows("idle.ready")
    desk.page.keyboard.press("Shift+Tab")
    expect(desk.at(f"body-{terminal.id}")).to_be_focused()
    desk.page.keyboard.press("F1")
    terminal.shows("menu.title")
    desk.page.keyboard.press("Escape")
    terminal.shows("idle.ready")


def test_an_order_is_sent_and_followed_with_the_keyboard_alone(desk: Desk) -> None:
    terminal = desk.add()
    body = f"body-{terminal.id}"
    _tab_to(desk, f"power-{terminal.id}")
    desk.page.keyboard.press("Space")
    terminal.shows("idle.ready")
    _tab_to(desk, "order-reason")
    desk.page.keyboard.type("Rule violation")
    expect(desk.at("order-reason")).to_have_value("violation")
    _tab_to(desk, "send-order")
    desk.page.keyboard.press("Enter")
    terminal.shows("suspended.choice.1")
    _tab_to(desk, body)
    for page in ("reason", "contact", "check", "materials"):
        desk.page.keyboard.press("1")
        terminal.shows(f"recovery.{page}.title")
    desk.page.keyboard.press("1")
    expect(terminal.at("screen")).to_contain_text(re.compile("1 √"))
    desk.page.keyboard.press("Enter")
    terminal.shows("materials.title")
    desk.page.keyboard.press("Escape")
    terminal.shows("recovery.materials.title")


def test_tabs_of_the_panel_are_one_stop_with_arrows_between_them(desk: Desk) -> None:
    desk.add()
    _tab_to(desk, "tab-acquirer")
    for name in ("messages", "faults", "network", "record", "acquirer"):
        desk.page.keyboard.press("ArrowRight")
        expect(desk.at(f"tab-{name}")).to_be_focused()
        expect(desk.at(f"tab-{name}")).to_have_attribute("aria-selected", "true")


def test_a_key_that_is_kept_down_is_held(desk: Desk) -> None:
    terminal = desk.add()
    terminal.switch_on()
    key = desk.at(f"key-{terminal.id}-5")
    desk.page.keyboard.press("Shift+Tab")
    expect(desk.at(f"body-{terminal.id}")).to_be_focused()
    with desk.page.expect_request("**/steps") as held:
        desk.page.keyboard.down("5")
    assert held.value.post_data_json["verb"] == "hold"
    expect(key).to_have_class(re.compile("down"))
    with desk.page.expect_request("**/steps") as let_go:
        desk.page.keyboard.up("5")
    assert let_go.value.post_data_json["verb"] == "let_go"
    expect(key).not_to_have_class(re.compile("down"))
