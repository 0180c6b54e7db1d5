"""The menu: a tree of entries as data, what each needs, and the flow that it opens, which is loaded when somebody asks for it."""

from firmware_agent import VERSION
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.identity.identity import KEY_FACTORY
from firmware_agent.screens.page import Page
from firmware_agent.state.machine import OUT_OF_ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firmware_agent.flows.activation_flow import ActivationDesk
    from firmware_agent.flows.ui import Ui
    from firmware_agent.identity.technician import Technician
    from firmware_agent.network_trial import NetworkTrial
    from firmware_agent.selftest.subject import Subject
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

VIEWED_MS = 60000  # without a key, until the menu gives way
SESSION_MS = 600000  # the same, for who is signed on
FOLDER = "firmware_agent.flows.menu."
USUAL = ("terminal", "ui", "settings", "outdated")

# What an entry may need beside a device, which has the name of its kind.
SIGN_ON = "sign_on"  # somebody could prove himself as a technician here
SIGNED_ON = "signed_on"
TRUSTED = "trusted"  # the terminal is not out of order for what was tampered with
FACTORY = "factory"  # what the factory has put in: whom to ask for an identity
TESTED = "tested"  # there is a report of a self-test
FAILED = "failed"  # something did not pass its last test
CONFIRMABLE = "confirmable"  # a tamper that this technician may confirm as mended


class Entry:
    """key: that is pressed for it; text: key of its words; flow: the function that it opens, '<module in this folder>.<name>', '' to leave;
    needs: all of it, else the entry is not there; takes: attributes of the visit that the function is called with, none for the visit.
    """

    def __init__(self, key: str, text: str, flow: str = "", needs: "tuple[str, ...]" = (), takes: "tuple[str, ...]" = ()) -> None:
        self.key = key
        self.text = text
        self.flow = flow
        self.needs = needs
        self.takes = takes


# For whoever stands at the counter. Nothing here cuts the terminal off: a network that does not work is left again by itself.
MENU = (
    Entry("1", "menu.choice.1", "results_flow.results_flow"),
    Entry("2", "menu.choice.2", "technician_flow.technician_flow", (SIGN_ON,)),
    Entry("3", "menu.choice.3", "network_flow.network_flow", ("network",)),
    Entry("4", "menu.choice.4", "shop_flow.shop_flow", takes=USUAL),
    Entry("5", "menu.choice.5", "visitor_flow.visitor_flow", takes=USUAL),
    Entry("6", "menu.choice.6", "training_flow.training_flow", (TRUSTED,), USUAL),
    Entry("7", "menu.choice.7", "records_flow.records_flow", takes=USUAL),
    Entry("8", "menu.choice.8", "transactions_flow.transactions_flow", takes=("terminal", "ui", "outdated")),
    Entry("9", "menu.choice.9", "reminders_flow.reminders_flow", takes=USUAL),
)
# For a technician who has signed on.
TECHNICIAN = (
    Entry("1", "technician.choice.1", "device_flow.test_all", (SIGNED_ON,)),
    Entry("2", "technician.choice.2", "device_flow.test_device", (SIGNED_ON,)),
    Entry("3", "technician.choice.3", "device_flow.test_failed", (SIGNED_ON, FAILED)),
    Entry("4", "technician.choice.4", "results_flow.results_flow", (SIGNED_ON,)),
    Entry("5", "technician.choice.5", "device_flow.print_slip", (SIGNED_ON, TESTED, "printer")),
    Entry("6", "technician.choice.6", "device_flow.show_report", (SIGNED_ON, TESTED, "display")),
    Entry("7", "technician.choice.7", "device_flow.export", (SIGNED_ON, TESTED)),
    Entry("8", "technician.choice.8", "device_flow.confirm", (SIGNED_ON, CONFIRMABLE)),
    Entry("0", "technician.choice.0", "activate_flow.activate_flow", (SIGNED_ON, FACTORY)),
    Entry("9", "technician.choice.9", needs=(SIGNED_ON,)),
)


class Visit:
    """One visit to the menu, from the key that opened it to its end. outdated: the state wants another page, which whoever only looks makes
    way for; who is signed on does not: a test that is due waits until he has gone. trial: of the network's settings; desk:
    gives one where an activation code can be typed.
    """

    def __init__(
        self,
        terminal: "Terminal",
        ui: "Ui",
        settings: "Settings",
        subject: "Subject",
        trial: "NetworkTrial | None",
        outdated: "Callable[[], bool]",
        desk: "Callable[[], ActivationDesk] | None" = None,
    ) -> None:
        self.terminal = terminal
        self.ui = ui
        self.settings = settings
        self.subject = subject
        self.trial = trial
        self.desk = desk
        self.who: Technician | None = None  # that is signed on
        self.tested_all = False  # everything, since he is
        self._ended = False
        self._outdated = outdated
        self._since_ms = 0
        self.stay()

    def stay(self) -> None:
        """Somebody is there, though no key was pressed."""
        self._since_ms = self.terminal.hal.clock.monotonic_ms()

    def end(self) -> None:
        """The person is done with all of the menu."""
        self._ended = True

    def left(self) -> bool:
        """The person is done, or has pressed no key for too long."""
        if self._ended:
            return True
        limit_ms = VIEWED_MS if self.who is None else SESSION_MS
        return self.terminal.hal.clock.monotonic_ms() - max(self._since_ms, self.ui.key_ms) >= limit_ms

    def outdated(self) -> bool:
        """It is over: the person has left, or whoever only looks is in the way of something."""
        return self.left() or (self.who is None and self._outdated())

    def has(self, need: str) -> bool:
        if need == SIGNED_ON:
            return self.who is not None
        if need == FACTORY:
            return self.desk is not None and self.terminal.store.get(KEY_FACTORY) is not None
        if need == TRUSTED:
            return self.terminal.state.mode != OUT_OF_ORDER
        if need == TESTED:
            return self.terminal.last_report() is not None
        if need == SIGN_ON:
            from firmware_agent.flows.menu.technician_flow import ways

            return bool(ways(self.terminal))
        if need in (FAILED, CONFIRMABLE):
            from firmware_agent.flows.menu import device_flow

            return bool(device_flow.failed(self) if need == FAILED else device_flow.may_confirm(self))
        return getattr(self.terminal.hal, need) is not None

    def offered(self, entries: "tuple[Entry, ...]") -> "list[Entry]":
        """What can be done here now."""
        return [entry for entry in entries if all([self.has(need) for need in entry.needs])]

    async def open(self, entry: Entry) -> None:
        """Raises StoreError."""
        arguments = [getattr(self, name) for name in entry.takes] or [self]
        await load(entry)(*arguments)


async def menu(visit: Visit) -> None:
    """Until the person leaves, or has left. Raises StoreError."""
    while not visit.outdated():
        offered = visit.offered(MENU)
        key = await visit.ui.ask(menu_page(visit.ui.texts, visit.terminal, offered), visit.outdated, (KEY_BACK,))
        chosen = [entry for entry in offered if entry.key == key]
        if not chosen:
            return
        await visit.open(chosen[0])


def load(entry: Entry) -> "Callable[..., Any]":
    """The function of the entry."""
    module, name = entry.flow.split(".")
    function: Callable[..., Any] = getattr(__import__(FOLDER + module, None, None, ("*",)), name)
    return function


def choices_of(texts: "Texts", entries: "list[Entry]") -> "list[tuple[str, str]]":
    return [(entry.key, texts.get(entry.text)) for entry in entries]


def menu_page(texts: "Texts", terminal: "Terminal", offered: "list[Entry]") -> Page:
    about = terminal.identity.terminal + "\t" + VERSION  # in one row, so that a display of four shows an entry, too
    return Page("menu", texts.get("menu.title"), [about], choices_of(texts, offered), texts.get("hint.back"))
