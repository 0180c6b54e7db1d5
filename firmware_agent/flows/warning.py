"""The page before what cannot be undone."""

from firmware_agent.screens.page import TONE_ALERT, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.texts import Texts

KEY_GO_ON = "2"  # not the first: who presses 1 from page to page does not fall through


async def warn(ui: "Ui", outdated: "Callable[[], bool]", key: str) -> bool:
    """Whether the person goes on all the same. key: of the text that says what will happen."""
    return await ui.ask(warn_page(ui.texts, ui.texts.get(key)), outdated, ("cancel",)) == KEY_GO_ON


def warn_page(texts: "Texts", what: str) -> Page:
    choices = [("1", texts.get("warn.choice.1")), (KEY_GO_ON, texts.get("warn.choice.2"))]
    return Page("warn", texts.get("warn.title"), [what, texts.get("warn.for_good")], choices, texts.get("hint.choose"), TONE_ALERT)
