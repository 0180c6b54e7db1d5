"""What a person takes away: a slip, or a code for his telephone on all of the display."""

from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.screens.page import Page
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.screens.qr import QrCode
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts
    from hal.display import Display

QUIET_ZONES = (4, 2, 1)  # modules of light around a code, the standard's first; a small display has room for less
CODE_ROWS = 6  # of modules, drawn at once
DARK, LIGHT = 0x000000, 0xFFFFFF
KEY_LOOK_MS = 50


async def print_slip(terminal: "Terminal", ui: "Ui", title: str, lines: "list[str]", code: str = "", caption: str = "") -> str:
    """Print it, with a code below, that to pay by unless the caption says another; gives what a person has to know of it, or ''."""
    if ui.slips is None:
        return ""
    texts = ui.texts
    ui.show(Page("note", texts.get("note.title"), [texts.get("slip.being_printed")], footer=texts.get("hint.wait")))
    try:
        if code:
            from firmware_agent.screens.qr import qr_code_in_turns

            drawn = await qr_code_in_turns(terminal.hal.clock, code)
            await ui.slips.print_lines(lines + [caption or texts.get("customer.scan")], title, ends=False)
            await ui.slips.print_code(drawn)
            await ui.slips.print_lines([])
        else:
            await ui.slips.print_lines(lines, title)
    except DeviceError as error:
        from firmware_agent.flows.menu.device_pages import cause_text  # with what it needs, a lot for a slip

        terminal.log("slip %s" % error)
        return texts.get("slip.failed", cause=cause_text(texts, error.cause or "check_failed"))
    return ""


async def show_code(terminal: "Terminal", ui: "Ui", code: str, outdated: "Callable[[], bool]") -> str:
    """On all of the display until a key is pressed: a signed text that it does not hold in parts, one after the other. Gives what a person
    has to know of it, or ''.
    """
    display = terminal.hal.display
    if display is None:
        return ""
    texts = ui.texts
    try:
        if await _shown(terminal, display, code, outdated):
            return ""
        parts = _parts(display, code)
        for number, part in enumerate(parts):
            page = part_page(texts, number + 1, len(parts))
            if await ui.ask(page, outdated, (KEY_BACK,)) != "1":
                return ""
            ui.show(Page("note", texts.get("note.title"), [texts.get("code.running")], footer=texts.get("hint.wait")))
            await _shown(terminal, display, part, outdated)
        return "" if parts else texts.get("code.too_large")
    except DeviceError as error:
        terminal.log("code %s" % error)
    return ""


async def _shown(terminal: "Terminal", display: "Display", code: str, outdated: "Callable[[], bool]") -> bool:
    """False, and nothing made or drawn, where it does not fit; else when a key was pressed."""
    from firmware_agent.screens.qr import QrCode, qr_code_in_turns

    try:
        if not _fitting(display, QrCode(code))[0]:
            return False
    except ValueError:  # more than any code holds
        return False
    draw_code(display, await qr_code_in_turns(terminal.hal.clock, code))
    keypad = terminal.hal.keypad
    while not outdated():
        if keypad is not None and keypad.enabled and await keypad.read(KEY_LOOK_MS):
            break
        await terminal.hal.clock.sleep_ms(KEY_LOOK_MS)
    return True


def _parts(display: "Display", code: str) -> "list[str]":
    """Of a signed text, as the display can show them; [] for another text, or where it can show none."""
    from firmware_agent.messages.signed_text import PREFIX, parts_of
    from firmware_agent.screens.qr import most_characters

    if not code.startswith(PREFIX):
        return []
    return parts_of(code, most_characters(min(display.width_px, display.height_px) - 2 * QUIET_ZONES[-1]))


def part_page(texts: "Texts", number: int, count: int) -> Page:
    """Before each part: which it is, and what to do with them."""
    title = texts.get("code.part.title", number=number, count=count)
    choices = [("1", texts.get("code.part.choice.1"))]
    return Page("code.part", title, [texts.get("code.part")], choices, texts.get("hint.back"))


def draw_code(display: "Display", code: "QrCode") -> bool:
    """False, and nothing drawn, where it does not fit. Raises DeviceError as the display does."""
    width, height = display.width_px, display.height_px
    dots, quiet_zone = _fitting(display, code)
    if not dots:
        return False
    display.fill(LIGHT)
    y_px = (height - (code.size + 2 * quiet_zone) * dots) // 2
    for height_px, bits in code.strips(width, dots, CODE_ROWS, quiet_zone):
        display.draw_bitmap(0, y_px, width, height_px, bits, DARK, LIGHT)
        y_px += height_px
    return True


def _fitting(display: "Display", code: "QrCode") -> "tuple[int, int]":
    """Dots a module and quiet zone with which it fits; (0, 0): it does not."""
    for quiet_zone in QUIET_ZONES:
        dots = code.dots_a_module(display.width_px, display.height_px, quiet_zone)
        if dots:
            return dots, quiet_zone
    return 0, 0
