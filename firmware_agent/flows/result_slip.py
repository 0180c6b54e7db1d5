"""The last self-test on paper, and as a QR code that carries the signed report itself."""

from firmware_agent.flows.device_pages import slip_lines
from firmware_agent.messages.signed_text import encode_text
from firmware_agent.screens.qr import qr_code_in_turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.ui import Ui
    from firmware_agent.screens.qr import QrCode
    from firmware_agent.selftest.export import LastRun
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from hal.display import Display

QUIET_ZONES = (4, 2, 1)  # modules of light around a code, the standard's first; a small display has room for less
CODE_ROWS = 6  # of modules, drawn at once
DARK, LIGHT = 0x000000, 0xFFFFFF


async def code_of(terminal: "Terminal", run: "LastRun") -> "QrCode":
    """The run's report, the same claims and sequence as were queued, signed by the key that is valid now. Raises DeviceError of the secure
    element; ValueError: more than a code holds.
    """
    _, message = await terminal.signed(run.claims)
    return await qr_code_in_turns(terminal.hal.clock, encode_text(terminal.identity.acquirer, message))


async def print_result(terminal: "Terminal", ui: "Ui", settings: "Settings", run: "LastRun") -> None:
    """Raises DeviceError as printer and secure element do: the slip then ends where it was."""
    slips = ui.slips
    if slips is None:
        return
    texts = ui.texts
    code = await code_of(terminal, run)
    await slips.print_lines(slip_lines(texts, settings, run) + [texts.get("slip.code")], texts.get("slip.result"), ends=False)
    await slips.print_code(code)
    await slips.print_lines([])


def show_code(display: "Display", code: "QrCode") -> bool:
    """The code on all of the display; False, and nothing drawn, where it does not fit. Raises DeviceError as the display does."""
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
