"""What a person takes away: a slip, or a code for his telephone on all of the display."""

from firmware_agent.screens.page import Page
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.screens.qr import QrCode
    from firmware_agent.terminal import Terminal
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
    """On all of the display until a key is pressed; gives what a person has to know of it, or ''."""
    from firmware_agent.screens.qr import qr_code_in_turns

    display, keypad = terminal.hal.display, terminal.hal.keypad
    if display is None:
        return ""
    try:
        if not draw_code(display, await qr_code_in_turns(terminal.hal.clock, code)):
            return ui.texts.get("code.too_large")
        while not outdated():
            if keypad is not None and keypad.enabled and await keypad.read(KEY_LOOK_MS):
                return ""
            await terminal.hal.clock.sleep_ms(KEY_LOOK_MS)
    except DeviceError as error:
        terminal.log("code %s" % error)
    return ""


def draw_code(display: "Display", code: "QrCode") -> bool:
    """False, and nothing drawn, where it does not fit. Raises DeviceError as the display does."""
    width, height = display.width_px, display.height_px
    for quiet_zone in QUIET_ZONES:
        dots = code.dots_a_module(width, height, quiet_zone)
        if dots:
            break
    else:
        return False
    display.fill(LIGHT)
    y_px = (height - (code.size + 2 * quiet_zone) * dots) // 2
    for height_px, bits in code.strips(width, dots, CODE_ROWS, quiet_zone):
        display.draw_bitmap(0, y_px, width, height_px, bits, DARK, LIGHT)
        y_px += height_px
    return True
