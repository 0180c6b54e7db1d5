"""What there is around a terminal: an acquirer with its broker and authority, and a shop with a terminal, its network and its way there."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_agent.links.link import LinkSettings, Tls
from hal.errors import E_NOEXIST, DeviceError
from host_sim.acquirer.acquirer import SLOT, Acquirer, running
from host_sim.acquirer.activation import Activations, Place
from host_sim.acquirer.equipment import software_element, started_clock
from host_sim.acquirer.registry import Registry
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
from host_sim.terminal import DesktopTerminal, TerminalFailure, desktop_terminal, facts_of, has_simulated_time
from host_sim.uplink import Uplink
from host_sim.whole_file import write_whole

if TYPE_CHECKING:
    from firmware_agent.links.link import Link
    from hal.drivers.software_key import SoftwareKey
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
KEPT_DAYS = 3650  # an authority that is kept is not to end before anybody's patience
ESPRESSIF = b"\x24\x0a\xc4"  # a block of addresses of the maker


def nobody(who: str, what: str) -> None:
    """Tells it to nobody."""


def times_of(board: str, broker: str) -> tuple[str, ...]:
    """Names of times that they can be in, the usual one first: Linux terminals and mosquitto have clocks of their own."""
    return ("simulated", "real") if has_simulated_time(board) and broker != "mosquitto" else ("real",)


class Backend:
    """What stands at the acquirer: broker, authority, keys and the acquirer itself. folder: empty; broker: one of BROKERS; time: of the
    acquirer and its shops, the machine's own unless given. mosquitto knows no other. is_kept: all of it lies in the folder, which may be
    that of another time, and is gone on with; in the machine's own time. Raises ValueError: keys that lie there cannot be read.
    """

    def __init__(
        self, folder: Path, broker: str = "embedded", tell: Tell = nobody, time: Time | None = None, *, is_kept: bool = False
    ) -> None:
        self.time = time or RealTime()
        self.is_kept = is_kept
        self.authority = _kept_authority(folder) if is_kept else TestAuthority(now_s=self.time.time)
        self._sealing_key = _kept_sealing_key(folder) if is_kept else SealingKey.generated()
        self.places: dict[str, Place] = {}  # terminal's number -> where it is sent when it is activated
        self._folder = folder
        self._tell = tell
        (folder / "broker").mkdir(exist_ok=True)
        broker_class = MosquittoBroker if broker == "mosquitto" else EmbeddedBroker
        self.broker = broker_class(folder / "broker", self.authority, ACQUIRER)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Broker and acquirer, for as long as it is entered. Raises BrokerFailure, RegistryError."""
        registry = Registry(f"sqlite:///{self._folder / 'registry.sqlite'}") if self.is_kept else Registry()
        registry.nobody_is_connected()
        await self.broker.start()
        try:
            self.clock = await started_clock(self.time)
            (self._folder / "acquirer").mkdir(exist_ok=True)
            element = self.element = await software_element(self._folder / "acquirer")
            public_key = await _signing_key(element)
            self.acquirer = Acquirer(
                ACQUIRER, self.authority, element, public_key, self.clock.wall_s, self._said, registry, sealing_key=self._sealing_key
            )
            self.acquirer.activations = Activations(
                self.acquirer, self.authority, self._place_of, self.clock.wall_s, self._said, self.broker.read_revoked
            )
            self.acquirer.enrol(NEIGHBOUR, public_key)
            async with running(self.acquirer, self._link()) as self._acquirer_task:
                yield
        finally:
            await self.broker.stop()
            registry.close()

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


def _kept_authority(folder: Path) -> TestAuthority:
    file = folder / "authority.pem"
    if not file.exists():
        write_whole(file, TestAuthority(days=KEPT_DAYS).saved())
    authority = TestAuthority.loaded(file.read_bytes())
    authority.keep_index(folder / "certificates")
    return authority


def _kept_sealing_key(folder: Path) -> SealingKey:
    file = folder / "sealing.pem"
    if not file.exists():
        write_whole(file, SealingKey.generated().saved())
    return SealingKey.loaded(file.read_bytes())


async def _signing_key(element: SoftwareKey) -> bytes:
    """The acquirer's public key: of the key that is there, or of a new one."""
    try:
        return await element.public_key(SLOT)
    except DeviceError as error:
        if error.code != E_NOEXIST:
            raise
    return await element.generate_key(SLOT)


@dataclass
class KeptShop:
    """What has to be known of a shop to go on with it, beside what lies in its folder. devices: their folders in it, by FIRST and SECOND;
    ssid, password: of the router; the ports: terminals have been told of them.
    """

    uplink_port: int = 0
    payment_port: int = 0
    devices: dict[str, str] = field(default_factory=dict)
    in_hand: str = FIRST
    ssid: str = SSID
    password: str = PASSWORD


@contextlib.contextmanager
def _port_is_free(port: int) -> Iterator[None]:
    """For who listens there. Raises TerminalFailure."""
    try:
        yield
    except OSError as error:
        raise TerminalFailure(
            f"port {port} of 127.0.0.1, which its terminals know, cannot be had: {os.strerror(error.errno or 0)}"
        ) from error


class Shop:
    """A merchant's shop: its terminal, the network around it, the way to the acquirer, and the payment host.

    folder: empty, unless `kept` tells what lies there; name: the terminal's number. terminal: the device in hand; a second one may come
    from the factory. listeners: told of each line that a device says; sent: messages that it published and the broker acknowledged;
    accepted: messages of the acquirer's whose signature it verified, and which it obeyed.
    """

    def __init__(
        self,
        backend: Backend,
        folder: Path,
        *,
        board: str,
        runtime: str,
        language: str,
        name: str = TERMINAL,
        tell: Tell = nobody,
        kept: KeptShop | None = None,
    ) -> None:
        self._kept = kept or KeptShop()
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
        """A provisioned terminal that is still off, or those of the last time, for as long as it is entered. Raises TerminalFailure."""
        async with contextlib.AsyncExitStack() as self._begun:  # ends what was begun, in the opposite order
            uplink = self.uplink = Uplink(self.broker.port, self.authority)
            uplink.port = self._kept.uplink_port
            with _port_is_free(uplink.port):
                await uplink.start()
            self._begun.push_async_callback(uplink.stop)
            uplink.on_acquirer.append(self.acquirer.hang)
            self.payment_host = PaymentHost(lambda line: self.tell("payment", line))
            self.payment_host.port = self._kept.payment_port
            with _port_is_free(self.payment_host.port):
                await self.payment_host.start()
            self._begun.push_async_callback(self.payment_host.stop)
            self.payments = PaymentApplication(self.payment_host)
            self.backend.places[self.name] = Place(BROKER_HOST, uplink.port, BROKER_NAME, self._settings_for_all())
            if self._kept.devices:
                await self._go_on()
            else:
                self.terminal = self.devices[FIRST] = await self._new_device(FIRST)
                await self._provision(self.terminal)
            yield

    async def _go_on(self) -> None:
        """With the devices of the last time."""
        for which, folder in self._kept.devices.items():
            self.devices[which] = await self._set_up(which, self.folder / folder)
        self.terminal = self.devices[self._kept.in_hand]
        self._is_enrolled()

    @property
    def kept(self) -> KeptShop:
        """As it is now; only while it runs."""
        wifi: Any = self.terminal.chips["network"]
        return KeptShop(
            self.uplink.port,
            self.payment_host.port,
            {which: device.folder.name for which, device in self.devices.items()},
            next(which for which, device in self.devices.items() if device is self.terminal),
            wifi.ssid,
            wifi.password,
        )

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
        self._is_enrolled()

    def _is_enrolled(self) -> None:
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
        folders = (self.folder / f"{which}{number}" for number in self._made)
        return await self._set_up(which, next(folder for folder in folders if not folder.exists()))

    async def _set_up(self, which: str, folder: Path) -> DesktopTerminal:
        """With the shop's network around it."""
        device = desktop_terminal(self.board, self.runtime, folder, self._said, self.backend.time)
        if self.backend.is_kept:
            device.keep()
        if isinstance(device, Microcontroller):
            device.bench.unique_id = ESPRESSIF + (2 * int(self.name[1:]) + (which == SECOND)).to_bytes(3, "big")
        device.on_power_lost = lambda goes: self.uplink.cut() if goes else self.uplink.restore()
        self._begun.push_async_callback(device.take_down)
        await device.set_up()
        wifi: Any = device.chips["network"]
        wifi.ssid, wifi.password = self._kept.ssid, self._kept.password
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
