"""The person at the counter: shows a page, and waits for a key that means something on it."""

from firmware_agent.screens.font import Font
from firmware_agent.screens.page_view import PageView
from firmware_agent.screens.slip import SlipPrinter
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.screens.page import Page
    from firmware_agent.texts import Texts
    from hal.hal import Hal

KEY_BACK = "cancel"
_SCROLL = {"up": -1, "down": 1}
KEY_WAIT_MS = 100  # how often a page looks whether it is out of date
REDRAW_MS = 2000  # how often a display that failed is tried again: it may have been plugged in


class Ui:
    """A terminal without display or keypad has a Ui all the same: it shows nothing, and nobody answers. noted: takes the name of each page
    that a person is asked, and '', and once more with the key when he has chosen something on it; what he types is no choice.
    """

    def __init__(self, hal: "Hal", texts: "Texts", log: "Callable[[str], None]", noted: "Callable[[str, str], None] | None" = None) -> None:
        self.texts = texts
        self._noted = noted
        self._log = log
        self.clock = hal.clock
        self.key_ms = 0  # when a key was pressed last on a page
        self._keypad = hal.keypad
        font = Font()
        self._display = hal.display
        self._view = PageView(hal.display, font) if hal.display is not None else None
        self._missed_ms = -1  # when the page that is asked could not be drawn; -1: it is drawn
        self.slips = SlipPrinter(hal.printer, font) if hal.printer is not None else None

    def speak(self, language: str) -> None:
        """From now on in that language, one of firmware_agent.texts.LANGUAGES."""
        self.texts.speak(language)

    def show(self, page: "Page") -> None:
        """Draw the page. A display that fails is the self-test's to find: the terminal goes on without it."""
        missed, self._missed_ms = self._missed_ms >= 0, -1
        if self._view is None or self._display is None:
            return
        if self._display.enabled:
            try:
                self._view.draw(page)
                return
            except DeviceError as error:
                if not missed:
                    self._log("display %s" % error)
        self._missed_ms = self.clock.monotonic_ms()

    async def ask(self, page: "Page", outdated: "Callable[[], bool]", further_keys: "tuple[str, ...]" = ()) -> str:
        """Show the page until one of its choices, or of the further keys, is pressed: that key; '' when it is out of date before.

        'up' and 'down' scroll a page that the display does not hold, unless the page has a meaning of its own for them.
        """
        self.show(page)
        choices = [choice[0] for choice in page.choices]
        keys = choices + list(further_keys)
        if self._noted is not None and self._view is not None and self._missed_ms < 0:
            self._noted(page.name, "")
        while not outdated():
            if self._missed_ms >= 0 and self.clock.monotonic_ms() - self._missed_ms >= REDRAW_MS:
                self.show(page)
            if self._keypad is not None and self._keypad.enabled:
                key = await self._keypad.read(KEY_WAIT_MS)
                if key is not None:
                    self.key_ms = self.clock.monotonic_ms()
                if key in keys:
                    if self._noted is not None and (key in choices or key == KEY_BACK):
                        self._noted(page.name, key or "")
                    return key or ""
                if key in _SCROLL:
                    self._scroll(_SCROLL[key])
            else:
                await self.clock.sleep_ms(KEY_WAIT_MS)
        return ""

    def _scroll(self, step: int) -> None:
        if self._view is not None and self._missed_ms < 0:
            try:
                self._view.scroll(step)
            except DeviceError as error:
                self._log("display %s" % error)
