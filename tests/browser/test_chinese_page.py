"""On the Chinese page no sentence is English: neither its own words nor what acquirer, people, network and wire format say."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk

pytestmark = pytest.mark.needs("chromium")

# Every text that is seen or read out, but for what is quoted: the terminal's console and codes stand in <code>.
TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walker.currentNode; node; node = walker.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) {
      if (!node.parentElement.closest("code, noscript, script, .part-row .value, [data-testid^=screen-]")) found.push(node.data);
    } else for (const name of ["aria-label", "title", "placeholder"]) if (node.hasAttribute(name)) found.push(node.getAttribute(name));
  }
  return found;
}"""
SENTENCE = re.compile(r"(?:\b[A-Za-z][a-z']*\b[,:;]? ){2,}[A-Za-z][a-z']*\b")  # three words in a row
NAMES = re.compile(r"Reinstate|reinstate run|ISO 20022 TerminalManagementActionResult|PKCS#10|GET RESPONSE|DLE EOT 1 ")


def _english(desk: Desk) -> list[str]:
    texts: list[str] = desk.page.evaluate(TEXTS)
    return sorted({text for text in texts if SENTENCE.search(NAMES.sub("", text))})


@pytest.fixture
def language() -> str:
    return "zh-CN"


def test_no_sentence_of_the_chinese_page_is_english(desk: Desk) -> None:
    """Suspended, with an application at the acquirer, a message of each kind opened, an order that is refused, and something wrong."""
    terminal = desk.add(language="zh-CN")
    terminal.switch_on()
    terminal.suspend()
    terminal.prepare()
    terminal.apply()
    desk.at("tab-network").click()
    for then in ("恢复", "切断"):
        desk.at("uplink").click()
        expect(desk.at("uplink")).to_have_text(then)
    desk.at("latency-200").click()
    desk.at("tab-faults").click()
    assert _english(desk) == []
    desk.at("fault-printer-near_end").click()
    expect(terminal.at("wrong")).to_be_visible()
    desk.at("tab-messages").click()
    desk.at("hostile-altered").click()
    expect(desk.at("hostile-altered")).to_be_enabled()
    kinds = desk.at("messages").locator("tbody td:nth-child(4)").all_inner_texts()
    for kind in sorted(set(kinds)):
        row = desk.at("messages").locator("tbody tr", has=desk.page.get_by_role("cell", name=kind, exact=True)).first
        number = row.get_by_role("button").inner_text()
        desk.at(f"message-{number}").click()
        expect(desk.page.locator("#message-title")).to_have_text(f"消息 {number}")
        expect(desk.at("inspector")).to_be_visible()
        assert _english(desk) == [], kind
    desk.at("alter-send").click()
    expect(desk.at("altered")).to_be_visible()
    assert _english(desk) == []
    desk.at("tab-acquirer").click()
    for section in desk.page.locator("#panel details").all():
        section.evaluate("(section) => { section.open = true; }")
    expect(desk.at("timeline").locator("li").first).to_be_visible()
    expect(desk.at("applications").locator("li").first).to_contain_text("第 1 号")
    assert _english(desk) == []
    desk.at("tab-record").click()
    for who in ("terminal", "acquirer", "person", "network", "hardware"):
        expect(desk.at("log").locator(f".who.{who}").first).to_be_attached()
    assert _english(desk) == []


def test_the_terminals_console_is_quoted_as_it_is(desk: Desk) -> None:
    terminal = desk.add(language="zh-CN")
    terminal.switch_on()
    desk.at("tab-record").click()
    quoted = desk.at("log").locator("li", has=desk.page.locator(".who.terminal")).locator("code.line")
    expect(quoted.first).to_contain_text(re.compile("[a-z]"))
    terminal.press("help")
    expect(desk.at("log").locator("span.line", has_text="按帮助键").first).to_be_visible()
