"""What there is around a terminal: an acquirer with its broker and authority, and a shop with a terminal, its network and its way there."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_agent.links.link import LinkSettings, Tls
from host_sim.acquirer.acquirer import SLOT, Acquirer, running
from host_sim.acquirer.activation import Activations, Place
from host_sim.acquirer.equipment import software_element, started_clock
from host_sim.acquirer.sealing import SealingKey
from host_sim.brokers import EmbeddedBroker, MosquittoBroker
from host_sim.microcontroller import Microcontroller, link_class
from host_sim.payment_application import PaymentApplication
from host_sim.payment_host import HOST as PAYMENT_ADDRESS
from host_sim.payment_host import MERCHANT, PaymentHost
from host_sim.payment_host import NAME as PAYMENT_NAME
from host_sim.payment_host import TERMINAL as PAYMENT_TERMINAL
from host_sim.pki import TestAuthority
from host_sim.platform import RealTime, Time
from host_sim.provision import BROKER_HOST, BROKER_NAME
from host_sim.terminal import DesktopTerminal, desktop_terminal, facts_of
from host_sim.uplink import Uplink

if TYPE_CHECKING:
    from firmware_agent.links.link import Link
    from hal.drivers.system_clock import SystemClock
    from host_sim.acquirer.account import Account
    from host_sim.chips.faces import Breakable

Tell = Callable[[str, str], None]  # (who, what) for each thing that happens

BROKERS = ("embedded", "mosquitto")
ACQUIRER = "acq1"
TERMINAL = "T0000001"
NEIGHBOUR = "T9999999"  # a terminal that exists at the acquirer, for messages that are not ours
FIRST, SECOND = "first", "second"  # devices of a shop
SSID = "shop"
PASSWORD = "correct horse"  # of the access point on the bench
SETTINGS = {"ssid": SSID, "password": PASSWORD, "service_line": "95516", "contact_name": "Chen Xiao", "contact_phone": "+86 138 0000 1234"}
PIN = "271828"  # the technician's, of every terminal here
ESPRESSIF = b"\x24\x0a\xc4"  # a block of addresses of the maker


def nobody(who: str, what: str) -> None:
    """Tells it to nobody."""


class Backend:
    """What stands at the acquirer: broker, authority, keys and the acquirer itself. folder: empty; broker: one of BROKERS; time: of the
    acquirer and its shops, the machine's own unless given. mosquitto knows no other.
    """

    def __init__(self, folder: Path, broker: str = "embedded", tell: Tell = nobody, time: Time | None = None) -> None:
        self.time = time or RealTime()
        self.authority = TestAuthority(now_s=self.time.time)
        self.places: dict[str, Place] = {}  # terminal's number -> where it is sent when it is activated
        self._folder = folder
        self._tell = tell
        (folder / "broker").mkdir()
        broker_class = MosquittoBroker if broker == "mosquitto" else EmbeddedBroker
        self.broker = broker_class(folder / "broker", self.authority, ACQUIRER)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Broker and acquirer, for as long as it is entered. Raises BrokerFailure."""
        await self.broker.start()
        try:
            self.clock = await started_clock(self.time)
            (self._folder / "acquirer").mkdir()
            element = self.element = await software_element(self._folder / "acquirer")
            public_key = await element.generate_key(SLOT)
            self.acquirer = Acquirer(
                ACQUIRER, self.authority, element, public_key, self.clock.wall_s, self._said, sealing_key=SealingKey.generated()
            )
            self.acquirer.activations = Activations(
                self.acquirer, self.authority, self._place_of, self.clock.wall_s, self._said, self.broker.read_revoked
            )
            self.acquirer.enrol(NEIGHBOUR, public_key)
            async with running(self.acquirer, self._link()) as self._acquirer_task:
                yield
        finally:
            await self.broker.stop()

    def check(self) -> None:
        """Raises what ended the acquirer: it does not end by itself."""
        if self._acquirer_task.done():
            self._acquirer_task.result()

    def _place_of(self, terminal: str) -> Place:
        """A number that no shop had goes to the first."""
        return self.places.get(terminal) or next(iter(self.places.values()))

    def _said(self, line: str) -> None:
        self._tell("acquirer", line)

    def _link(self) -> Link:
        credential = self.authority.client(ACQUIRER)
        tls = Tls(self.authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")
        return link_class(self.time)(LinkSettings("127.0.0.1", self.broker.port, ACQUIRER, 30, tls), self.clock)


class Shop:
    """A merchant's shop: its terminal, the network around it, the way to the acquirer, and the payment host.

    folder: empty; name: the terminal's number. terminal: the device in hand; a second one may come from the factory. listeners: told of
    each line that a device says; sent: messages that it published and the broker acknowledged; accepted: messages of the acquirer's whose
    signature it verified, and which it obeyed.
    """

    def __init__(
        self, backend: Backend, folder: Path, *, board: str, runtime: str, language: str, name: str = TERMINAL, tell: Tell = nobody
    ) -> None:
        self.backend = backend
        self.folder = folder
        self.board = board
        self.runtime = runtime
        self.language = language
        self.name = name
        self.tell = tell
        self.listeners: list[Callable[[str], None]] = []
        self.sent = 0
        self.accepted = 0
        self.devices: dict[str, DesktopTerminal] = {}
        self._made = itertools.count(1)  # devices, each in a folder of its own

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """A provisioned terminal that is still off, for as long as it is entered. Raises TerminalFailure."""
        async with contextlib.AsyncExitStack() as self._begun:  # ends what was begun, in the opposite order
            uplink = self.uplink = Uplink(self.broker.port, self.authority)
            await uplink.start()
            self._begun.push_async_callback(uplink.stop)
            uplink.on_acquirer.append(self.acquirer.hang)
            self.payment_host = PaymentHost(lambda line: self.tell("payment", line))
            await self.payment_host.start()
            self._begun.push_async_callback(self.payment_host.stop)
            self.payments = PaymentApplication(self.payment_host)
            self.backend.places[self.name] = Place(BROKER_HOST, uplink.port, BROKER_NAME, self._settings_for_all())
            self.terminal = self.devices[FIRST] = await self._new_device(FIRST)
            await self._provision(self.terminal)
            yield

    # What of it is the acquirer's.

    @property
    def acquirer(self) -> Acquirer:
        return self.backend.acquirer

    @property
    def authority(self) -> TestAuthority:
        return self.backend.authority

    @property
    def broker(self) -> EmbeddedBroker | MosquittoBroker:
        return self.backend.broker

    @property
    def clock(self) -> SystemClock:
        return self.backend.clock

    @property
    def breakable(self) -> Mapping[str, Breakable]:
        """All that can be broken: of the terminal, its wires by the board's names, and the way to the acquirer."""
        return {**self.terminal.breakable, "uplink": self.uplink, "payment": self.payment_host}

    def check(self) -> None:
        """Raises what ended the terminal or the acquirer: neither ends by itself."""
        self.terminal.check()
        self.backend.check()

    async def turn_to(self, which: str) -> None:
        """Take that device in hand. The second one comes from the factory; the first one goes on, if it is on."""
        if which not in self.devices:
            device = self.devices[which] = await self._new_device(which)
            await self._leave_factory(device)
        self.terminal = self.devices[which]

    async def cut_power(self) -> None:
        """The connection is torn before the agent ends, so that an agent in this process has no time for good-byes either."""
        self.uplink.cut()
        await self.terminal.power_off()
        self.uplink.restore()

    async def factory_new(self) -> None:
        """Another device takes the place of the one in hand, off and as it was delivered: by the installer; the second one by its maker."""
        await self.cut_power()
        (which,) = [which for which, device in self.devices.items() if device is self.terminal]
        await self.terminal.take_down()
        self.terminal = self.devices[which] = await self._new_device(which)
        if which == FIRST:
            await self._provision(self.terminal)
        else:
            await self._leave_factory(self.terminal)

    async def _provision(self, device: DesktopTerminal) -> None:
        """What the installer does."""
        settings = SETTINGS | self._settings_for_all()
        await device.provision(self.name, self.acquirer, self.authority, self.uplink.port, settings, PIN)
        device.seal(await self.acquirer.firmware_manifest(device.device))
        self.account: Account = self.acquirer.accounts[self.name]
        self.first_public_key = self.account.public_key

    async def _leave_factory(self, device: DesktopTerminal) -> None:
        settings = {name: SETTINGS[name] for name in ("ssid", "password")} | {"language": self.language}
        await device.leave_factory(self.acquirer, self.authority, self.uplink.port, settings)
        device.seal(await self.acquirer.firmware_manifest(device.device))

    def _settings_for_all(self) -> dict[str, str]:
        host = PAYMENT_NAME if "network" in facts_of(self.board)["parts"] else PAYMENT_ADDRESS
        payment = {
            "payment_host": f"{host}:{self.payment_host.port}",
            "merchant_number": MERCHANT,
            "payment_terminal": PAYMENT_TERMINAL,
        }
        return {"service_line": SETTINGS["service_line"], "language": self.language, **payment}

    async def _new_device(self, which: str) -> DesktopTerminal:
        """With the shop's network around it."""
        device = desktop_terminal(self.board, self.runtime, self.folder / f"{which}{next(self._made)}", self._said, self.backend.time)
        if isinstance(device, Microcontroller):
            device.bench.unique_id = ESPRESSIF + (2 * int(self.name[1:]) + (which == SECOND)).to_bytes(3, "big")
        device.on_power_lost = lambda goes: self.uplink.cut() if goes else self.uplink.restore()
        self._begun.push_async_callback(device.take_down)
        await device.set_up()
        wifi: Any = device.chips["network"]
        wifi.ssid, wifi.password = SSID, PASSWORD
        # Sockets are the host's own: what the air does not carry is cut on the way to the broker.
        wifi.on_link.append(lambda carries: self.uplink.restore() if carries else self.uplink.cut())
        return device

    def _said(self, line: str) -> None:
        self.sent += line.startswith("sent ")
        self.accepted += line.startswith("accepted ")
        self.tell("terminal", line)
        for listener in list(self.listeners):
            listener(line)


@contextlib.asynccontextmanager
async def open_shop(
    folder: Path, *, board: str, runtime: str, language: str, broker: str = "embedded", tell: Tell = nobody, time: Time | None = None
) -> AsyncIterator[Shop]:
    """One shop at an acquirer of its own; folder: empty; time: see Backend. Raises TerminalFailure, BrokerFailure."""
    backend = Backend(folder, broker, tell, time)
    shop = Shop(backend, folder / "shop", board=board, runtime=runtime, language=language, tell=tell)
    async with backend.running(), shop.running():
        yield shop
