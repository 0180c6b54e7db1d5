"""Asks the person at the terminal what a self-test cannot see by itself: the pages of the examination."""

from firmware_agent.screens.page import Page
from firmware_agent.selftest.examination import PAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from hal.hal import Hal

ANSWER_MS = 60000  # for a question; then nobody is there
# Beside the numbers, so that a dead number key, or a dark display, keeps nobody from answering.
KEY_OF_FIRST = "enter"
KEY_OF_LAST = "cancel"


class Examiner:
    """A Person of firmware_agent.selftest.subject at this terminal's display and keypad. log: takes one line for each page shown."""

    def __init__(self, hal: "Hal", ui: "Ui", log: "Callable[[str], None]") -> None:
        self._display = hal.display
        self._keypad = hal.keypad
        self._clock = hal.clock
        self._ui = ui
        self._log = log

    def show(self, page: str, **values: object) -> None:
        """What to do now."""
        self._log("shows exam.%s" % page)
        self._ui.show(self._page(page, values))

    async def ask(self, page: str, **values: object) -> int:
        """The number of the answer chosen, from 1; 0 when nobody answered. The first answer is also the enter key, the last of several
        cancel.
        """
        self._log("shows exam.%s" % page)
        until_ms = self._clock.monotonic_ms() + ANSWER_MS
        further = (KEY_OF_FIRST,) if PAGES[page] == 1 else (KEY_OF_FIRST, KEY_OF_LAST)
        key = await self._ui.ask(self._page(page, values), lambda: self._clock.monotonic_ms() >= until_ms, further)
        if key == KEY_OF_LAST:
            return PAGES[page]
        return 1 if key == KEY_OF_FIRST else int(key or 0)

    async def look(self, colour: int, timeout_ms: int) -> None:
        """One colour on all of the display, until a key is pressed or the time is over. Raises DeviceError as the display does."""
        self._log("shows colour %06x" % colour)
        if self._display is not None:
            self._display.fill(colour)
        await self.key(timeout_ms)

    async def key(self, timeout_ms: int) -> str:
        """The next key pressed, '' when none was in time."""
        if self._keypad is None or not self._keypad.enabled:
            await self._clock.sleep_ms(timeout_ms)
            return ""
        return await self._keypad.read(timeout_ms) or ""

    def _page(self, page: str, values: "dict[str, object]") -> Page:
        texts = self._ui.texts
        name = "exam." + page
        choices = [(str(number), texts.get(name + ".choice." + str(number))) for number in range(1, PAGES[page] + 1)]
        footer = texts.get("hint.choose") if choices else ""
        return Page(name, texts.get(name + ".title"), [texts.get(name, **values)], choices, footer)
