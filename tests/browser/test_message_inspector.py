"""Messages are taken apart byte by byte, and one that is altered changes nothing but what is said about it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.desk import Desk, Terminal

pytestmark = pytest.mark.needs("chromium")


def _open(terminal: Terminal, kind: str, verdict: str = "") -> Locator:
    """The newest message of a kind, and with that verdict; its line in the list."""
    terminal.near("tab-messages").click()
    of_kind = terminal.page.get_by_role("cell", name=kind, exact=True)
    row = terminal.near("messages").locator("tbody tr", has=of_kind, has_text=verdict).first
    number = row.get_by_role("button").inner_text()
    row.get_by_role("button").click()
    expect(terminal.near("inspector")).to_have_attribute("aria-labelledby", "message-title")
    expect(terminal.page.locator("#message-title")).to_have_text(f"Message {number}")
    return terminal.near("messages").locator("tbody tr", has=terminal.near(f"message-{number}"))


def _standing(terminal: Terminal) -> list[str]:
    """What the acquirer holds of the terminal, and what it shows."""
    terminal.near("tab-acquirer").click()
    state = terminal.page.locator("#panel .standing")
    expect(state).to_be_visible()
    return [
        state.inner_text(),
        terminal.near("applications").count() and terminal.near("applications").inner_text(),
        terminal.at("screen").inner_text(),
    ]


def test_what_a_part_means_and_which_bytes_it_is_light_up_together(desk: Desk) -> None:
    terminal = desk.add()
    terminal.switch_on()
    _open(terminal, "state")
    inspector = desk.at("inspector")
    parts, octets = inspector.locator(".parts [data-part]"), desk.at("bytes").locator("[data-at]")
    count = parts.count()
    assert count > 10
    positions = octets.evaluate_all("(all) => all.map((octet) => Number(octet.dataset.at))")
    assert positions == list(range(len(positions))), "the parts tile the message"
    for number in (0, count // 2, count - 1):
        parts.nth(number).hover()
        expect(parts.nth(number)).to_have_class("part-row lit")
        expect(desk.at("bytes").locator(".lit")).to_have_count(1)
        expect(desk.at("bytes").locator(".lit")).to_have_attribute("data-part", str(number))
    octets.first.hover()
    expect(parts.first).to_have_class("part-row lit")
    octets.first.click()
    expect(desk.at("alter-at")).to_have_value("0")


def test_an_altered_message_is_refused_with_its_reason_and_changes_nothing(desk: Desk) -> None:
    """A message down by the terminal, with a signed receipt; a message up by the acquirer. In its signature, and in the midst of it."""
    terminal = desk.add()
    terminal.switch_on()
    terminal.suspend()
    before = _standing(terminal)
    for kind, at in (("order", "last"), ("order", "middle"), ("state", "last")):
        row = _open(terminal, kind, "verified")
        expect(desk.at("verdict")).to_have_text("verified")
        if at == "middle":
            octets = desk.at("bytes").locator("[data-at]")
            octets.nth(octets.count() // 2).click()
        chosen = desk.at("alter-at").input_value()
        desk.at("alter-bit").select_option("3")
        desk.at("alter-send").click()
        outcome = desk.at("altered")
        expect(outcome).to_contain_text(f"Byte {chosen} altered and sent.")
        expect(outcome).to_contain_text("Verdict: bad signature")
        if kind == "order":
            expect(outcome).to_contain_text("signed receipt: SIGE: bad_signature")
        expect(row).to_contain_text("verified")
        assert _standing(terminal) == before
    terminal.near("tab-messages").click()
    refused = desk.at("messages").locator("tbody tr", has_text="bad signature")
    expect(refused.locator("td:nth-child(4)")).to_have_text(["state", "order", "order"])


def test_each_hostile_order_is_refused(desk: Desk) -> None:
    terminal = desk.add()
    terminal.switch_on()
    desk.at("tab-messages").click()
    kinds = desk.page.locator('[data-testid^="hostile-"]').evaluate_all("(all) => all.map((button) => button.dataset.testid)")
    assert len(kinds) >= 7
    refused = desk.at("messages").locator("tbody tr", has=desk.page.locator(".way.down")).filter(has=desk.page.locator(".pill.bad"))
    for number, kind in enumerate(kinds, 1):  # what else the acquirer answers meanwhile is good
        desk.at(kind).click()
        expect(refused).to_have_count(number)
        expect(desk.at(kind)).to_be_enabled()
    expect(desk.at("problem-hostile-" + terminal.id)).to_have_class("problem empty")
    terminal.shows("idle.ready")
