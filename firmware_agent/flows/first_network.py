"""The network of a device that has no identity yet: entered as in the menu, joined at once, and kept if it can be joined."""

import asyncio

from firmware_agent.flows.menu.network_pages import CAN_CHOOSE
from firmware_agent.links.access import JOIN_TIMEOUT_MS, join, joined
from firmware_agent.settings import KEY_PROVEN, SettingError, Settings
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.menu.network_flow import Draft
    from firmware_agent.flows.ui import Ui
    from firmware_agent.store import Store
    from hal.hal import Hal

LEFT_MS = 60000  # without a key, until the activation page is shown again
LOOK_MS = 1000  # how often a network that was lost is joined again


class FirstNetwork:
    """hal: brought up; store: open; log: takes one line for a technician."""

    def __init__(self, hal: "Hal", store: "Store", log: "Callable[[str], None]") -> None:
        self.hal = hal
        self.store = store
        self.log = log
        self.joining = asyncio.Lock()  # two who join at once get one answer, which is that of whose settings came first

    @property
    def can_be_chosen(self) -> bool:
        return self.hal.network is not None and self.hal.network.level >= CAN_CHOOSE

    def is_missing(self) -> bool:
        return self.can_be_chosen and not joined(self.hal)

    async def keep_joined(self) -> None:
        """For as long as the agent runs."""
        async with self.joining:
            if self.hal.network is not None:
                self.hal.network.configure(*Settings(self.store).network)
        while True:
            async with self.joining:
                await join(self.hal, self.log)
            await self.hal.clock.sleep_ms(LOOK_MS)

    async def set_up(self, ui: "Ui", outdated: "Callable[[], bool]") -> None:
        """Until a network is joined, or the person goes back or has left. Raises StoreError."""
        from firmware_agent.flows.menu.network_flow import set_up

        await set_up(Newcomer(self, ui, outdated), _join)


class Newcomer:
    """Who sets it up: all that the set-up needs of a visit to the menu."""

    def __init__(self, terminal: FirstNetwork, ui: "Ui", outdated: "Callable[[], bool]") -> None:
        self.terminal = terminal
        self.ui = ui
        self.settings = Settings(terminal.store)
        self._outdated = outdated
        self._since_ms = 0
        self.stay()

    def stay(self) -> None:
        """Somebody is there, though no key was pressed."""
        self._since_ms = self.terminal.hal.clock.monotonic_ms()

    def left(self) -> bool:
        return self._outdated() or self.terminal.hal.clock.monotonic_ms() - max(self._since_ms, self.ui.key_ms) >= LEFT_MS


async def _join(visit: Newcomer, draft: "Draft") -> bool:
    """Nothing is on trial here: nobody's device has no connection that a mistake could cost. What cannot be joined is not kept."""
    from firmware_agent.flows.menu import network_pages as pages
    from firmware_agent.flows.menu.network_flow import KEY_DRAFT
    from firmware_agent.flows.ui import KEY_BACK

    terminal, settings, ui = visit.terminal, visit.settings, visit.ui
    network = terminal.hal.network
    assert network is not None
    name = draft.ssid or ""
    try:
        changes = settings.changes(draft.settings())
    except SettingError as error:
        terminal.log("network: %s" % error)
        await ui.ask(pages.ended_page(ui.texts, name, "network.refused", False), visit.left, (KEY_BACK,))
        return False
    ui.show(pages.joining_page(ui.texts, name))
    static = draft.static or []
    cause = ""
    async with terminal.joining:
        network.configure(name, draft.password or "", (static[0], static[1], static[2], static[3]) if static else None)
        try:
            await network.connect(JOIN_TIMEOUT_MS)
        except DeviceError as error:
            terminal.log("network %s" % error)
            cause = error.cause or "no_network"
            network.configure(*settings.network)
    if cause:
        visit.stay()
        await ui.ask(pages.not_joined_page(ui.texts, name, cause), visit.left, (KEY_BACK,))
        return False
    terminal.store.put_all([change for change in changes if change[0] != KEY_PROVEN] + settings.kept() + [(KEY_DRAFT, None)])
    visit.stay()
    await ui.ask(pages.ended_page(ui.texts, name, "network.first"), visit.left, (KEY_BACK,))
    return True
