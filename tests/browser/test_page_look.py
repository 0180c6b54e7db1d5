"""How the page looks, in ways that are the same in each version of a browser and with each font.

Compared exactly are the pixels that are the terminal's own, and what the page says: its accessibility tree, as text. The page as a picture
is compared made small, so that colours and places count, and letters, which are those of one browser on one machine, hardly do. What was
agreed lies in the folder agreed/. Measured is that nothing reaches out of its box, and nothing is wider than the window.
"""

from __future__ import annotations

import base64
import difflib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Locator, expect

from firmware_agent.texts import LANGUAGES
from tests.browser.conftest import PICTURES, desk_of, picture
from tests.browser.desk import Desk, Simulator

pytestmark = pytest.mark.needs("chromium")

AGREED = Path(__file__).parent / "agreed"
PANELS = ("acquirer", "messages", "faults", "network", "record")
# What differs from run to run.
CHANGES = (
    (r"T\d{7}", "T<number>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "<time>"),
    (r"\b\d{1,2}:\d\d:\d\d( [AP]M)?", "<time>"),
    (r"\b0[0-9a-f]{15}\b|\b[0-9a-f]{16}\b", "<id>"),
    (r'(heading "[^"]*?) \d+"', r'\1 <count>"'),
)
SMALL = 50  # pixels of the window on a side, for one of the small picture
MOST_OF_ONE = 20  # of 255, that one pixel of a small picture may differ by: other words, in other letters, or a line more of them
MOST_OF_ALL = 2.0  # and all of them on average
OF_ORIGINAL = """async (picture) => {
  await picture.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: picture.naturalWidth, height: picture.naturalHeight });
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""
TOO_WIDE = """() => [...document.querySelectorAll("body, body *")].filter((node) => {
  const { overflowX, display } = getComputedStyle(node);
  if (overflowX !== "visible" || display === "inline") return false;
  if (node.closest(".visually-hidden, svg, select") || node.matches(".screen")) return false; // its frame is meant to stand out
  return node.clientWidth > 0 && node.scrollWidth > node.clientWidth + 1;
}).map((node) => `${node.tagName}.${node.className} is ${node.clientWidth} wide and holds ${node.scrollWidth}`)"""


@pytest.fixture
def zoomed(request: pytest.FixtureRequest, browser: Browser, simulator: Simulator, language: str) -> Iterator[Desk]:
    """A window of 1280 x 800 at 200 %."""
    yield from desk_of(request, browser, simulator, language, viewport={"width": 640, "height": 400}, device_scale_factor=2)


def _same_pixels(shown: Image.Image, wanted: Image.Image, name: str) -> None:
    difference = ImageChops.difference(shown.convert("RGB"), wanted.convert("RGB").resize(shown.size, Image.Resampling.NEAREST))
    if difference.getbbox() is None:
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    for kind, image in (("shown", shown), ("wanted", wanted), ("difference", difference)):
        image.save(PICTURES / f"{name}.{kind}.png")
    raise AssertionError(f"{name} looks otherwise than it is in {difference.getbbox()}: see {PICTURES}/{name}.*.png")


def _window(desk: Desk) -> Image.Image:
    return Image.open(io.BytesIO(desk.page.screenshot(animations="disabled")))


def _shown(desk: Desk, image: Locator) -> Image.Image:
    """As it is painted: a browser begins on a whole pixel of its own."""
    box = image.bounding_box()
    assert box is not None
    left, top = round(box["x"]), round(box["y"])
    return _window(desk).crop((left, top, left + round(box["width"]), top + round(box["height"])))


def _original(image: Locator) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image.evaluate(OF_ORIGINAL))))


@pytest.mark.parametrize("board", ["esp32s3_counter", "esp32_mpos"])
def test_each_pixel_of_a_display_is_a_square_of_the_screen(desk: Desk, board: str) -> None:
    terminal = desk.add(board)
    terminal.switch_on()
    display = terminal.at("display")
    wanted, shown = _original(display), _shown(desk, display)
    served = desk.context.request.get(f"{desk.simulator.address}api/terminals/{terminal.id}/display.png").body()
    _same_pixels(wanted, Image.open(io.BytesIO(served)), f"{board}-loaded")
    assert shown.width % wanted.width == 0 and shown.height == wanted.height * (shown.width // wanted.width), (shown.size, wanted.size)
    _same_pixels(shown, wanted, f"{board}-display")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_what_was_agreed(desk: Desk, language: str) -> None:
    """ACCEPT=1 takes over what it says now."""
    terminal = desk.add(language=language)
    said = {"added": desk.page.locator("body").aria_snapshot()}
    desk.at("tab-network").click()
    said["network"] = desk.page.locator("#panel").aria_snapshot()
    terminal.switch_on()
    terminal.suspend()
    said["suspended"] = desk.page.locator("#panel").aria_snapshot()
    text = "".join(f"--- {name}\n{tree}\n" for name, tree in said.items())
    for pattern, instead in CHANGES:
        text = re.sub(pattern, instead, text)
    agreed = AGREED / f"page.{language}.txt"
    if os.environ.get("ACCEPT"):
        agreed.write_text(text, encoding="utf-8")
    before = agreed.read_text(encoding="utf-8") if agreed.exists() else ""
    if text != before:
        where = picture(desk, f"page-{language}")
        changes = "\n".join(difflib.unified_diff(before.splitlines(), text.splitlines(), str(agreed.name), "now", lineterm=""))
        raise AssertionError(f"the page says something else ({where}); if that is right: ACCEPT=1 pytest {Path(__file__).name}\n{changes}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_has_to_be_scrolled_sideways_at_200_per_cent(zoomed: Desk, language: str) -> None:
    desk = zoomed
    desk.at(f"language-{language}").click()
    for board in ("esp32s3_counter", "esp32_mpos"):
        desk.add(board, language=language)
    terminal = desk.add(language=language)
    terminal.switch_on()
    terminal.suspend()
    for panel in PANELS:
        desk.at(f"tab-{panel}").click()
        if panel == "messages":
            desk.page.locator('[data-testid^="message-"]').first.click()
            expect(desk.at("inspector")).to_be_visible()
        picture(desk, f"zoomed-{panel}-{language}")
        assert desk.page.evaluate("() => document.documentElement.scrollWidth") <= 640
        assert desk.page.evaluate(TOO_WIDE) == [], panel


OVERLAPPING = """() => {
  const parts = "#top button, #top select, .lamp, .group, .body, .key, .screen, .bench > header > *, [role=tab]";
  const all = [...document.querySelectorAll(parts)].filter((node) => node.checkVisibility());
  const boxes = all.map((node) => node.getBoundingClientRect());
  const found = [];
  for (let one = 0; one < all.length; one += 1) for (let two = one + 1; two < all.length; two += 1) {
    if (all[one].contains(all[two]) || all[two].contains(all[one])) continue;
    const [a, b] = [boxes[one], boxes[two]];
    const isOver = a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
    if (isOver) found.push(`${all[one].outerHTML.slice(0, 80)} and ${all[two].outerHTML.slice(0, 80)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_display_keys_slot_and_paper_are_in_sight_and_nothing_overlaps(desk: Desk, language: str) -> None:
    """In a window of 1400 x 900; and in narrow ones nothing is on top of something else, and the head of a wide one is one line."""
    terminal = desk.add(language=language)
    desk.at(f"card-insert-{terminal.id}").click()
    body = terminal.at("body")
    expect(body.locator(".card-in")).to_be_visible()
    body.locator(".card-in").evaluate("(card) => Promise.all(card.getAnimations().map((slide) => slide.finished))")
    parts = [body.locator(".screen"), body.locator(".keypad"), body.locator(".slit"), body.locator(".card-in"), terminal.at("paper")]
    for part in parts:
        box = part.bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 900, (part, box)
    for width in (1400, 1280, 1000, 700, 320):
        desk.page.set_viewport_size({"width": width, "height": 900})
        assert desk.page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert desk.page.evaluate(OVERLAPPING) == [], width
        assert width < 1000 or desk.page.evaluate("() => document.getElementById('top').offsetHeight") < 64, width


@pytest.fixture
def coloured(request: pytest.FixtureRequest, browser: Browser, simulator: Simulator, language: str, scheme: str) -> Iterator[Desk]:
    """A page in a colour scheme that somebody's system asks for."""
    yield from desk_of(request, browser, simulator, language, color_scheme=scheme)


def _fonts(desk: Desk) -> str:
    """In which this machine's browser writes, the most used first."""
    session = desk.context.new_cdp_session(desk.page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    document = session.send("DOM.getDocument")["root"]["nodeId"]
    button = session.send("DOM.querySelector", {"nodeId": document, "selector": "[data-testid=add-terminal]"})["nodeId"]
    used = session.send("CSS.getPlatformFontsForNode", {"nodeId": button})["fonts"]
    session.detach()
    return ", ".join(font["familyName"] for font in used)


def _compare_small(desk: Desk, name: str) -> None:
    """ACCEPT=1 takes over how it looks now. Skips where the page is in other letters than those in which it was agreed."""
    fonts = _fonts(desk)
    desk.page.mouse.move(0, 0)
    window = _window(desk).convert("RGB")
    small = window.resize((window.width // SMALL, window.height // SMALL), Image.Resampling.BOX)
    path = AGREED / f"{name}.png"
    if os.environ.get("ACCEPT"):
        told = PngInfo()
        told.add_text("fonts", fonts)
        small.save(path, pnginfo=told)
    agreed = Image.open(path)
    if agreed.info["fonts"] != fonts:
        pytest.skip(f"{name}.png is of a page in {agreed.info['fonts']}; here it is in {fonts}")
    difference = ImageChops.difference(small, agreed)
    values = difference.tobytes()
    of_one, of_all = max(values), sum(values) / len(values)
    if of_one > MOST_OF_ONE or of_all > MOST_OF_ALL:
        where = picture(desk, name)
        large = difference.point(lambda value: min(255, 8 * value)).resize(window.size, Image.Resampling.NEAREST)
        large.save(PICTURES / f"{name}.difference.png")
        told_of = f"{name} looks otherwise, by {of_one} at one place and {of_all:.1f} on average ({where}, and .difference beside it)"
        raise AssertionError(f"{told_of}; if that is right: ACCEPT=1 pytest {Path(__file__).name}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_looks_as_was_agreed(coloured: Desk, language: str, scheme: str) -> None:
    desk = coloured
    terminal = desk.add(language=language)
    desk.at("tab-network").click()
    _compare_small(desk, f"page.network.{language}.{scheme}")
    terminal.switch_on()
    desk.at("tab-faults").click()
    _compare_small(desk, f"page.faults.{language}.{scheme}")
    terminal.suspend()
    _compare_small(desk, f"page.suspended.{language}.{scheme}")
