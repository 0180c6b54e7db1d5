"""The last self-test on paper, and as a QR code that carries the signed report itself."""

from firmware_agent.flows.menu.device_pages import slip_lines
from firmware_agent.messages.signed_text import encode_text
from firmware_agent.screens.qr import qr_code_in_turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.ui import Ui
    from firmware_agent.screens.qr import QrCode
    from firmware_agent.selftest.export import LastRun
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal


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
