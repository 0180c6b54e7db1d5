"""A terminal without an identity: the person at the counter types an activation code, and the acquirer says who the terminal is."""

from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.identity.activation import CODE_DIGITS, FAILURES, ActivationError
from firmware_agent.screens.page import Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.first_network import FirstNetwork
    from firmware_agent.flows.ui import Ui
    from firmware_agent.identity.activation import Activation
    from firmware_agent.identity.identity import Identity
    from firmware_agent.texts import Texts
    from hal.clock import Clock

DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
KEY_HELP = "help"  # shows what the self-test found, and leads to the network
GROUP = 4  # digits that stand together
DONE_MS = 5000  # for which a person sees who the terminal is now
SECOND_MS = 1000


class ActivationDesk:
    """activation: of this terminal; replaced: it had an identity once, and another device has it now; restart: as who it is then;
    log: takes one line for a technician; activated: is told the identity; network: sets it up, None where there is nothing to choose, or
    that is done elsewhere.
    """

    def __init__(
        self,
        activation: "Activation",
        replaced: bool,
        clock: "Clock",
        restart: "Callable[[], None]",
        log: "Callable[[str], None]",
        activated: "Callable[[Identity], None] | None" = None,
        network: "FirstNetwork | None" = None,
    ) -> None:
        self._activation = activation
        self._replaced = replaced
        self._clock = clock
        self._restart = restart
        self._log = log
        self._activated = activated
        self._network = network

    async def serve(self, ui: "Ui", outdated: "Callable[[], bool]", devices: "Page | None") -> None:
        """Until the terminal is activated and restarted, or `outdated`. devices: what the self-test found; None: there is another page to
        go back to.

        Raises StoreError, DeviceError.
        """
        further = KEY_HELP if devices is not None else KEY_BACK
        texts = ui.texts
        digits = ""
        note = "warning.replaced" if self._replaced else ""
        while not outdated():
            if not await self._waited(ui, outdated, devices is None):
                return
            is_missing = self._is_network_missing()
            page = code_page(texts, digits, self._activation.factory.terminal, note, is_missing)
            if devices is None:
                page.footer = texts.get("hint.entry")

            def changed(shown: bool = is_missing) -> bool:
                return outdated() or self._is_network_missing() != shown

            key = await ui.ask(page, changed, DIGITS + ("enter", "clear", further))
            if key in DIGITS:
                digits = (digits + key)[:CODE_DIGITS]
            elif key == "clear":
                digits = digits[:-1]
            elif key == KEY_BACK:
                return
            elif key == KEY_HELP and devices is not None:
                await self._help(ui, outdated, devices)
            elif key == "enter" and digits:
                note = await self._ask(ui, digits)
                if note not in ["activation.failed." + code for code in FAILURES]:
                    digits = ""  # the acquirer does not take this one

    def _is_network_missing(self) -> bool:
        return self._network is not None and self._network.is_missing()

    async def _help(self, ui: "Ui", outdated: "Callable[[], bool]", devices: Page) -> None:
        """The devices; and the network, where there is one to choose."""
        key = "1"
        if self._network is not None and self._network.can_be_chosen:
            key = await ui.ask(help_page(ui.texts), outdated, (KEY_BACK, KEY_HELP))
        if key == "1":
            await ui.ask(devices, outdated, ("enter", KEY_BACK, KEY_HELP))
        elif key == "2" and self._network is not None:
            await self._network.set_up(ui, outdated)

    async def _ask(self, ui: "Ui", digits: str) -> str:
        """Ask the acquirer; gives the key of the text that says why it came to nothing."""
        texts = ui.texts
        ui.show(asking_page(texts))
        try:
            identity = await self._activation.ask(digits)
        except ActivationError as error:
            self._log("activation refused: %s" % error)
            return "activation.failed." + error.code
        self._log("activated as %s" % identity.terminal)
        if self._activated is not None:
            self._activated(identity)
        ui.show(done_page(texts, identity.terminal))
        await self._clock.sleep_ms(DONE_MS)
        self._restart()
        return ""

    async def _waited(self, ui: "Ui", outdated: "Callable[[], bool]", may_go_back: bool) -> bool:
        """Wait out the delay that wrong codes cost; False where the page is out of date before, or the person goes back."""
        wait_s = self._wait_s()
        while wait_s:

            def changed(shown_s: int = wait_s) -> bool:
                return outdated() or self._wait_s() != shown_s

            if await ui.ask(wait_page(ui.texts, wait_s), changed, (KEY_BACK,) if may_go_back else ()) or outdated():
                return False
            wait_s = self._wait_s()
        return True

    def _wait_s(self) -> int:
        return (self._activation.tries.wait_ms() + SECOND_MS - 1) // SECOND_MS


def code_page(texts: "Texts", digits: str, hardware_id: str, note: str = "", is_network_missing: bool = False) -> Page:
    """digits: typed so far; note: key of the text that says why the last one came to nothing, or '' for what to do; is_network_missing: and
    could be set up here.
    """
    places = digits + texts.get("activation.place") * (CODE_DIGITS - len(digits))
    code = " ".join([places[start : start + GROUP] for start in range(0, CODE_DIGITS, GROUP)])
    lines = [code, texts.get(note or "activation.enter")]  # the code first, so that a small display shows it
    if note:
        lines.append(texts.get("activation.enter"))
    if is_network_missing:
        lines.insert(1, texts.get("activation.network"))
    lines.append(texts.get("activation.device", hardware=hardware_id))
    return Page("activation", texts.get("activation.title"), lines, footer=texts.get("hint.activation"), tone="alert" if note else "normal")


def help_page(texts: "Texts") -> Page:
    choices = [("1", texts.get("activation.help.choice.1")), ("2", texts.get("network.choice.1"))]
    return Page("activation.help", texts.get("activation.help.title"), (), choices, texts.get("hint.back"))


def asking_page(texts: "Texts") -> Page:
    return Page("activation", texts.get("activation.title"), [texts.get("activation.asking")], footer=texts.get("hint.wait"))


def done_page(texts: "Texts", terminal: str) -> Page:
    lines = [terminal, texts.get("activated.restarts")]
    return Page("activated", texts.get("activated.title"), lines, footer=texts.get("hint.wait"), tone="good")


def wait_page(texts: "Texts", wait_s: int) -> Page:
    # The time first: nobody scrolls a page that changes each second.
    lines = [texts.get("pin.wait_time", wait="%d:%02d" % (wait_s // 60, wait_s % 60)), texts.get("activation.wait")]
    return Page("activation", texts.get("activation.title"), lines, footer=texts.get("hint.wait"), tone="alert")
