"""Takes the pictures of the desktop simulator that the READMEs show, in a real browser and of a real recovery: docs/images/simulator-*.png.

python tools/screenshots.py
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402

from firmware_agent.texts import LANGUAGES  # noqa: E402
from tests.browser.desk import WAIT_MS, Desk, Simulator, Terminal, chromium  # noqa: E402

FOLDER = ROOT / "docs" / "images"
MOST_BYTES = 250_000
SHOW_PRINT = "(way) => { way.scrollTop = way.scrollHeight - way.clientHeight - 170; }"  # not the empty end of the slip
SEEN_BITS = 0xFE  # of each colour: nobody sees the one that goes, and the file is smaller without


def main() -> None:
    expect.set_options(timeout=WAIT_MS)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, chromium(playwright) as browser:
        simulator = Simulator(Path(folder) / "errors")
        simulator.start()
        try:
            simulator.remove("T0000001")
            for language in LANGUAGES:
                _take(browser, simulator, language)
        finally:
            simulator.stop()


def _take(browser: Browser, simulator: Simulator, language: str) -> None:
    """The console in the light, in both languages; the inspector in the dark, in English."""
    desk = Desk(browser, simulator, language)
    terminal = desk.add(language=language)
    terminal.switch_on()
    terminal.suspend()
    _apply_on_paper(terminal)
    desk.at("tab-faults").click()
    desk.at("fault-printer-near_end").click()
    expect(terminal.at("wrong")).to_be_visible()
    desk.at("tab-acquirer").click()
    _save(desk, f"simulator-{language}")
    if language == "en":
        desk.at("theme").select_option("dark")
        desk.at("tab-messages").click()
        desk.at("messages").locator("tbody tr", has_text="order").get_by_role("button").first.click()
        expect(desk.at("inspector")).to_be_visible()
        desk.at("alter-send").click()
        expect(desk.at("altered")).to_be_visible()
        desk.at("inspector").scroll_into_view_if_needed()
        _save(desk, "simulator-dark")
    desk.close()
    assert desk.complaints == [], desk.complaints


def _apply_on_paper(terminal: Terminal) -> None:
    """The list of materials is printed, and the application is at the acquirer."""
    terminal.prepare()
    terminal.press("0")
    expect(terminal.at("slip")).to_be_visible()
    terminal.shows("recovery.materials.title")
    terminal.apply()
    expect(terminal.near("applications")).to_be_visible()


def _save(desk: Desk, name: str) -> None:
    desk.page.mouse.move(0, 0)
    desk.page.locator(".paper-way").evaluate(SHOW_PRINT)
    picture = Image.open(io.BytesIO(desk.page.screenshot(animations="disabled"))).convert("RGB")
    picture = picture.point(lambda value: value & SEEN_BITS)
    path = FOLDER / f"{name}.png"
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture.save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has {size} bytes; a README's picture has {MOST_BYTES} at most")
    print(f"{path.relative_to(ROOT)} {picture.width}x{picture.height} {size} bytes")


if __name__ == "__main__":
    main()
