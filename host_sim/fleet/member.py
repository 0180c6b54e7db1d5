"""One terminal of a fleet: the agent as it ships, on a board without anything for people, its flash in memory, and its link watched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from firmware_agent.agent import Agent
from firmware_agent.identity.enrolment import enrol, request
from firmware_agent.links.link import LinkSettings
from firmware_agent.links.mqtt_stream import MqttStreamLink
from firmware_agent.selftest.plans import POWER_ON
from firmware_agent.start import start
from firmware_agent.store import Store
from hal.drivers.file_storage import FileStorage
from hal.drivers.software_key import SoftwareKey
from hal.hal import Hal
from hal.platform import Platform
from hal.resolver import resolve
from host_sim.acquirer.acquirer import Acquirer
from host_sim.acquirer.equipment import started_clock
from host_sim.acquirer.registry import claims_of
from host_sim.chips.flash import Flash
from host_sim.fleet.ledger import Ledger, Name
from host_sim.platform import RealTime
from host_sim.provision import commission

if TYPE_CHECKING:
    from firmware_agent.links.link import Will
    from hal.clock import Clock

BOARD = "headless"  # as its reports call it
REPORT_LIMIT_S = 60.0  # for a self-test of some milliseconds: the whole fleet may be at it, or at its handshakes
# Words with which the agent begins a line that no good run has.
TROUBLES = ("crash", "degraded", "failed", "gave up", "bring-up", "storage refuses", "evidence log damaged")


class Ended(BaseException):
    """The program of a terminal asked to be started anew, which none of a fleet has reason to. No error that the agent would handle."""


class _Machine:
    """What the agent uses of MicroPython's `machine`."""

    PWRON_RESET = 1
    WDT_RESET = 2

    def reset_cause(self) -> int:
        return self.PWRON_RESET

    def reset(self) -> None:
        raise Ended


class _CoarseTime(RealTime):
    """Of a board on which no wait is shorter than that."""

    def __init__(self, shortest_wait_ms: int) -> None:
        super().__init__()
        self._shortest_wait_ms = shortest_wait_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        await super().sleep_ms(max(duration_ms, self._shortest_wait_ms))


class WatchedLink(MqttStreamLink):
    """The link of a microcontroller, which needs no thread; what passes it is noted in the ledger. opened: is handed each link."""

    def __init__(self, settings: LinkSettings, clock: Clock, ledger: Ledger, opened: Callable[[WatchedLink], None]) -> None:
        super().__init__(settings, clock)
        self._terminal = settings.client_id
        self._ledger = ledger
        self._opened = opened

    async def connect(self, timeout_ms: int, will: Will | None = None) -> bool:
        if will is not None:
            self._ledger.will(name_of(will[1]))
        self._ledger.attempted(time.monotonic())
        kept = await super().connect(timeout_ms, will)
        self._ledger.connected(self._terminal, time.monotonic())
        self._opened(self)
        return kept

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        name = name_of(payload)
        self._ledger.handed(name, time.monotonic())
        await super().publish(topic, payload, retain, timeout_ms)
        self._ledger.acknowledged(name)

    def cut(self) -> None:
        """The line is cut: the connection is gone without a word, and the agent finds out."""
        if self._stream is not None:
            self._stream.close()


def name_of(message: bytes) -> Name:
    """Of a signed message."""
    claims = claims_of(message)
    return claims.subject, claims.boot_count, claims.sequence


class Member:
    """name: the terminal's number; hal, flash: of a terminal that is enrolled (see `enrolled`)."""

    def __init__(self, name: str, hal: Hal, flash: Flash, ledger: Ledger) -> None:
        self.name = name
        self._hal = hal
        self._flash = flash
        self._ledger = ledger
        self._agent: Agent | None = None
        self._link: WatchedLink | None = None
        self._tested = asyncio.Event()  # a self-test has ended

    async def run(self) -> None:
        """The agent, until it is cancelled. What ends it otherwise is in the ledger."""
        time = RealTime()
        platform = Platform(_Machine(), None, time, time.sleep_ms, self._flash, resolve, None)  # type: ignore[arg-type]  # no program on it
        link = partial(WatchedLink, ledger=self._ledger, opened=self._opened)
        try:
            await start(platform, lambda _: self._hal, lambda: link, self._log, made=self._made)
        except Ended:
            self._ledger.trouble(f"{self.name}: its program ended")

    @property
    def is_online(self) -> bool:
        terminal = self._agent.terminal if self._agent is not None else None
        return terminal is not None and terminal.online

    @property
    def is_ready(self) -> bool:
        """It is online, and has tested itself as each start begins with it."""
        return self.is_online and self._tested.is_set()

    @property
    def waiting(self) -> int:
        """Messages that it has still to send."""
        terminal = self._agent.terminal if self._agent is not None else None
        return len(terminal.outbox.waiting()) if terminal is not None else 0

    @property
    def given_up(self) -> int:
        """Messages that it will never send."""
        terminal = self._agent.terminal if self._agent is not None else None
        return terminal.outbox.dropped if terminal is not None else 0

    async def report(self) -> None:
        """Have it test itself, as a start does, and wait until the report is queued. Raises TimeoutError."""
        assert self._agent is not None and self._agent.counter is not None
        self._tested.clear()
        self._agent.counter.ask_self_test(POWER_ON)
        async with asyncio.timeout(REPORT_LIMIT_S):
            await self._tested.wait()

    def cut(self) -> None:
        """Cut its connection, if it has one."""
        if self._link is not None:
            self._link.cut()

    def _made(self, agent: Agent) -> None:
        self._agent = agent

    def _opened(self, link: WatchedLink) -> None:
        self._link = link

    def _log(self, line: str) -> None:
        """Takes the agent's lines."""
        if line.startswith("self-test ") and " ended" in line:
            self._ledger.made(self.name)
            self._tested.set()
        elif line.startswith("refused: replayed"):
            self._ledger.replayed += 1
        elif line.startswith("refused"):
            self._ledger.refused += 1
            self._ledger.trouble(f"{self.name}: {line}")
        elif line.startswith(TROUBLES):
            self._ledger.trouble(f"{self.name}: {line}")


async def enrolled(
    name: str, acquirer: Acquirer, broker: tuple[str, int, str], broker_authority: bytes, shortest_wait_ms: int, ledger: Ledger
) -> Member:
    """A terminal that makes its keys, asks the acquirer for credentials, takes them, and is in service. broker: numeric address, port, name
    in its certificate; broker_authority: who issued that, in DER; shortest_wait_ms: how coarse its board's timer is.
    """
    flash = Flash()
    storage = FileStorage(flash)  # type: ignore[arg-type]  # Flash keeps to the calls of Files
    element = SoftwareKey(storage)
    hal = Hal(BOARD, f"fleet-{name}", await started_clock(_CoarseTime(shortest_wait_ms)), storage, element)
    for error in await hal.bring_up():
        raise error
    store = Store(storage)
    store.open()
    credentials = acquirer.grant(await request(hal, store), name, broker, {"language": "en"})
    credentials.authority = broker_authority
    await enrol(hal, store, credentials.encoded())
    await commission(hal, store, element, "")
    return Member(name, hal, flash, ledger)
