"""A network's settings on trial: what was ordered, or set at the counter, stays when the broker was reached by it; else what was before
returns.
"""

from firmware_agent.links.access import JOIN_TIMEOUT_MS
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from hal.network import Static

TRIAL_MS = 180000  # to join, to look up the broker, and to get through to it at the second or third attempt


class NetworkTrial:
    """terminal, settings: outlive it; renew: has the connection to the broker made anew. What it knows is of this start only."""

    def __init__(self, terminal: "Terminal", settings: "Settings", renew: "Callable[[], None]") -> None:
        self._terminal = terminal
        self._settings = settings
        self._renew = renew
        self._network: tuple[str, str, Static | None] = ("", "", None)  # that the device was configured with
        self._begun_ms = 0
        self._connection = 0  # what the number of the connection was when the trial began

    def start(self) -> None:
        """Name the network to the device. What was on trial when the last start ended has failed: that may be what ended it."""
        if self._settings.on_trial:
            self._fall_back("the terminal started anew")
        self._configure()

    async def watch(self) -> None:
        """To be called often: begins a trial, and ends it; joins what somebody has gone back to."""
        terminal = self._terminal
        if not self._settings.on_trial:
            if self._settings.network != self._network:
                await self._join()
            return
        now_ms = terminal.hal.clock.monotonic_ms()
        if self._settings.network != self._network:
            self._begun_ms = now_ms
            self._connection = terminal.connection
            terminal.log("network: new settings on trial")
            await self._join()
        elif terminal.online and terminal.connection != self._connection:
            terminal.tell([], [], self._settings.kept())
            terminal.log("network: new settings kept")
        elif now_ms - self._begun_ms >= TRIAL_MS:
            self._fall_back("no connection within %d s" % (TRIAL_MS // 1000))
            await self._join()

    def has_left(self) -> bool:
        """Whether the connection of before the trial has ended."""
        return not self._terminal.online or self._terminal.connection != self._connection

    def _fall_back(self, why: str) -> None:
        terminal = self._terminal
        terminal.log("network: settings as before: " + why)
        terminal.tell([("event", {"name": "network_fell_back", "detail": why})], [], self._settings.fallen_back())

    def _configure(self) -> None:
        self._network = self._settings.network
        if self._terminal.hal.network is not None:
            self._terminal.hal.network.configure(*self._network)

    async def _join(self) -> None:
        """Leave the network that is joined for the one that is set. A failure is tried again by whoever keeps house."""
        self._configure()
        self._renew()
        if self._terminal.hal.network is not None:
            try:
                await self._terminal.hal.network.connect(JOIN_TIMEOUT_MS)
            except DeviceError as error:
                self._terminal.log("network %s" % error)
