"""Fingers do what a mouse does; and with a keyboard every control is reached, in the order in which it is read, and is seen to be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Locator, expect

from tests.browser.conftest import desk_of
from tests.browser.desk import Desk, Simulator, Terminal

pytestmark = pytest.mark.needs("chromium")

PULL_PX = 60
MOST_PULLS = 20
KEYS = {
    **{digit: digit for digit in "0123456789"},
    "Enter": "enter",
    "Escape": "cancel",
    "Backspace": "clear",
    "ArrowUp": "up",
    "ArrowDown": "down",
    "F1": "help",
}
# What can be worked on the page, in the order of reading. The keys of a terminal are on the keyboard, and tabs have arrows between them.
CONTROLS = """() => {
  const can = "a[href], button, input, select, textarea, summary, [tabindex]";
  const isControl = (node) => node.checkVisibility() && !node.disabled && node.tabIndex >= 0;
  window.controls = [...document.querySelectorAll(can)].filter(isControl);
  return window.controls.map((node) => node.outerHTML.slice(0, 120));
}"""
STOP = """() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const seen = (node) => {
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(node);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && !outlineColor.endsWith(", 0)");
  };
  const box = at.getBoundingClientRect();
  const inWindow = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  return { number: window.controls.indexOf(at), what: at.outerHTML.slice(0, 99), isSeen: inWindow && [at, at.parentElement].some(seen) };
}"""


@pytest.fixture
def touched(request: pytest.FixtureRequest, browser: Browser, simulator: Simulator) -> Iterator[Desk]:
    """On a screen that is touched."""
    yield from desk_of(request, browser, simulator, "en", has_touch=True)


@pytest.fixture
def finger(touched: Desk) -> CDPSession:
    return touched.context.new_cdp_session(touched.page)


def _middle(place: Locator) -> dict[str, float]:
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    return {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}


def _touch(finger: CDPSession, what: str, *points: dict[str, Any]) -> None:
    finger.send("Input.dispatchTouchEvent", {"type": what, "touchPoints": list(points)})


def _pull(finger: CDPSession, place: Locator) -> None:
    """Downwards."""
    at = _middle(place)
    _touch(finger, "touchStart", at)
    for down in range(10, PULL_PX + 10, 10):
        _touch(finger, "touchMove", at | {"y": at["y"] + down})
    _touch(finger, "touchEnd")


def _starts(terminal: Terminal) -> None:
    terminal.at("power").tap()
    terminal.shows("idle.ready")


# Fingers.


def test_keys_are_tapped(touched: Desk) -> None:
    terminal = touched.add()
    _starts(terminal)
    touched.at(f"key-{terminal.id}-help").tap()
    terminal.shows("menu.title")
    with touched.page.expect_request("**/steps") as step:
        touched.at(f"key-{terminal.id}-cancel").tap()
    assert step.value.post_data_json == {"verb": "press", "argument": "cancel"}
    terminal.shows("idle.ready")


def test_a_key_is_held_for_as_long_as_a_finger_is_on_it(touched: Desk, finger: CDPSession) -> None:
    terminal = touched.add()
    _starts(terminal)
    key = touched.at(f"key-{terminal.id}-5")
    with touched.page.expect_request("**/steps") as held:
        _touch(finger, "touchStart", _middle(key))
    assert held.value.post_data_json == {"verb": "hold", "argument": "5"}
    expect(key).to_have_class(re.compile("down"))
    with touched.page.expect_request("**/steps") as let_go:
        _touch(finger, "touchEnd")
    assert let_go.value.post_data_json == {"verb": "let_go", "argument": "5"}
    expect(key).not_to_have_class(re.compile("down"))


def test_two_fingers_hold_two_keys(touched: Desk, finger: CDPSession) -> None:
    terminal = touched.add()
    _starts(terminal)
    first, second = (touched.at(f"key-{terminal.id}-{key}") for key in "13")
    points = [_middle(key) | {"id": number} for number, key in enumerate((first, second))]
    _touch(finger, "touchStart", points[0])
    _touch(finger, "touchStart", *points)
    for key in (first, second):
        expect(key).to_have_class(re.compile("down"))
    _touch(finger, "touchEnd")
    for key in (first, second):
        expect(key).not_to_have_class(re.compile("down"))


def test_a_long_slip_is_moved_with_a_finger(touched: Desk, finger: CDPSession) -> None:
    terminal = touched.add()
    _starts(terminal)
    terminal.suspend()
    touched.at(f"key-{terminal.id}-0").tap()
    terminal.shows("customer.choice.1")
    touched.at(f"key-{terminal.id}-1").tap()
    expect(terminal.at("slip")).to_be_visible()
    way = terminal.at("paper")
    shown, whole = "(way) => way.scrollTop", "(way) => way.scrollHeight - way.clientHeight"
    touched.page.wait_for_function(f"(way) => ({whole})(way) > {PULL_PX}", arg=way.element_handle())
    for _ in range(MOST_PULLS):  # paper that comes meanwhile takes it down again
        _pull(finger, way)
        if way.evaluate(shown) < way.evaluate(whole) - PULL_PX / 2:
            break
    else:
        pytest.fail("the slip does not follow the finger")


def test_faults_are_switched_with_a_finger(touched: Desk) -> None:
    terminal = touched.add()
    terminal.near("tab-faults").tap()
    fault = terminal.near("fault-printer-paper_out")
    fault.tap()
    expect(fault).to_have_attribute("aria-pressed", "true")
    expect(terminal.at("wrong")).to_be_visible()
    fault.tap()
    expect(fault).to_have_attribute("aria-pressed", "false")
    expect(terminal.at("wrong")).to_have_count(0)


# The keyboard.


@pytest.mark.parametrize("panel", ["acquirer", "messages", "faults", "network", "record"])
def test_the_tab_key_comes_to_every_control_in_the_order_of_reading(desk: Desk, panel: str) -> None:
    desk.add()
    desk.at(f"tab-{panel}").click()
    expect(desk.at(f"tab-{panel}")).to_have_attribute("aria-selected", "true")
    desk.page.evaluate("() => document.activeElement.blur()")
    desk.page.locator("#top h1").click()  # from here on
    controls = desk.page.evaluate(CONTROLS)
    for number, control in enumerate(controls):
        desk.page.keyboard.press("Tab")
        stop = desk.page.evaluate(STOP)
        assert stop is not None and stop["number"] == number, f"the Tab key should come to {control}, and comes to {stop}"
        assert stop["isSeen"], f"nobody sees that the focus is here: {control}"


def test_every_key_of_the_terminal_is_on_the_keyboard(desk: Desk) -> None:
    terminal = desk.add()
    terminal.switch_on()
    desk.at(f"body-{terminal.id}").focus()
    for pressed, key in KEYS.items():
        with desk.page.expect_request("**/steps") as step:
            desk.page.keyboard.press(pressed)
        assert step.value.post_data_json == {"verb": "press", "argument": key}


def test_escape_closes_a_question_and_the_focus_is_back_where_it_was(desk: Desk) -> None:
    terminal = desk.add()
    ask, wipe = terminal.at("power-factory_new"), terminal.at("power-factory_new-yes")
    ask.focus()
    desk.page.keyboard.press("Enter")
    expect(wipe).to_be_visible()
    expect(desk.page.get_by_role("button", name="Cancel", exact=True)).to_be_focused()
    desk.page.keyboard.press("Escape")
    expect(wipe).to_have_count(0)
    expect(ask).to_be_focused()
