"""A technician has a terminal that has a name activated again: its certificate has ended, or the acquirer wants it."""

from firmware_agent.flows.menu.device_pages import note_page
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.identity.identity import IdentityError
from firmware_agent.screens.page import TONE_ALERT, Page
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.menu.menu import Visit
    from firmware_agent.texts import Texts


async def activate_flow(visit: "Visit") -> None:
    """Until the terminal restarts with its new identity, or the technician goes back. Raises StoreError."""
    ui = visit.ui
    if visit.desk is None or await ui.ask(warning_page(ui.texts), visit.outdated, (KEY_BACK,)) != "1":
        return
    try:
        await visit.desk().serve(ui, visit.outdated, None)
    except (IdentityError, DeviceError) as error:
        visit.terminal.log("no activation: %s" % error)
        await ui.ask(note_page(ui.texts, ui.texts.get("activate.unreadable"), TONE_ALERT), visit.outdated, (KEY_BACK,))


def warning_page(texts: "Texts") -> Page:
    choices = [("1", texts.get("network.warning.choice.1")), ("2", texts.get("network.warning.choice.2"))]
    return Page(
        "activate", texts.get("technician.choice.0"), [texts.get("activate.warning")], choices, texts.get("hint.choose"), TONE_ALERT
    )
