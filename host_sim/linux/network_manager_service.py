"""Model of NetworkManager with one interface, and of what is beyond it, radio or cable: python-dbusmock's objects on a bus of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar

from dbus_fast import Message, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from host_sim.chips.faces import Fault
from host_sim.linux.interface import Interface

PYTHON = "/usr/bin/python3"  # the distribution's, which has python3-dbusmock
START_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 10.0
LOOK_S = 0.02
JOIN_S = 0.04  # association and keys
ADDRESS_S = 0.06  # and then DHCP

NAME = "org.freedesktop.NetworkManager"
MOCK = "org.freedesktop.DBus.Mock"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
DEVICE = NAME + ".Device"
WIRED = DEVICE + ".Wired"
WIRELESS = DEVICE + ".Wireless"
ACCESS_POINT = NAME + ".AccessPoint"
PROFILE = NAME + ".Settings.Connection"
ROOT = "/org/freedesktop"
MANAGER = "/org/freedesktop/NetworkManager"
DEVICE_PATH = MANAGER + "/Devices/1"
ACCESS_POINT_PATH = MANAGER + "/AccessPoint/1"
CONFIG_PATH = MANAGER + "/IP4Config/1"
SCAN_S = 0.05

# NMDeviceState, and NMDeviceStateReason where the model tells one.
UNAVAILABLE, DISCONNECTED, PREPARE, CONFIG, NEED_AUTH, IP_CONFIG, ACTIVATED, FAILED = 20, 30, 40, 50, 60, 70, 100, 120
NO_REASON, NO_ADDRESS, NO_SECRETS, NOT_HEARD, NO_FIRMWARE, NO_CARRIER, SSID_NOT_FOUND = 0, 5, 7, 8, 35, 40, 53
KEY_MGMT_NONE, KEY_MGMT_PSK = 0, 0x100  # NM80211ApSecurityFlags

BUS_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

# What the methods of the template are replaced with, which know neither waiting nor failing.
ACTIVE = f'dbus.ObjectPath("{MANAGER}/ActiveConnection/1")'
REFUSE = f'raise dbus.exceptions.DBusException("Not authorized to control networking.", name="{NAME}.PermissionDenied")'
METHODS = {
    "ActivateConnection": ("ooo", "o", f"ret = {ACTIVE}"),
    "AddAndActivateConnection": ("a{sa{sv}}oo", "oo", f"ret = (dbus.ObjectPath(self.SettingsAddConnection(args[0])), {ACTIVE})"),
}


class NetworkManagerService(Interface):
    """A radio. ssid, password, signal_dbm: of the shop's access point, and may be changed; neighbours: networks that are heard, too, once
    somebody has asked, name -> (signal, kind of security), and not to be joined; interface: as the kernel would call it.

    NetworkManager goes on over a power cut of the agent's, as it does when a process is killed.
    """

    kind = "network"
    part = "network_manager"

    FAULTS: ClassVar[dict[str, Fault]] = {
        "out_of_range": Fault("the access point is not heard", "no_network"),
        "wrong_password": Fault("the access point refuses the password, whatever it is", "wrong_password"),
        "no_address": Fault("the access point joins the station, but DHCP never answers", "no_address"),
        "weak_signal": Fault("the signal is barely heard", "weak_signal"),
        "dead_radio": Fault("the radio's firmware is missing", "dead_radio"),
        "no_link": Fault("the access point is heard, and drops the station each time", "no_link"),
        "interface_gone": Fault("the USB adapter with the radio was pulled out", "unplugged"),
        "service_stopped": Fault("NetworkManager does not run", "service_down"),
        "not_allowed": Fault("polkit does not let the agent control the network", "no_permission"),
    }

    interface = "wlan0"
    _refused = frozenset({SSID_NOT_FOUND, NOT_HEARD, NO_SECRETS})  # obstacles before there can be an address
    _waits_to_be_asked = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.password = "reinstate"
        self.on_link: list[Callable[[bool], None]] = []  # told when the air begins or ceases to carry: True, False
        self.is_up = True
        self._ssid = "reinstate"
        self._signal_dbm = -55
        self.neighbours = {"Cafe guests": (-71, KEY_MGMT_NONE), "隔壁小店": (-78, KEY_MGMT_PSK)}
        self._carried = True
        self._daemon: asyncio.subprocess.Process | None = None
        self._service: asyncio.subprocess.Process | None = None
        self._bus: MessageBus | None = None
        self._changed = asyncio.Event()
        self._is_settled = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._joining: asyncio.Task[None] | None = None
        self._forget()

    # The back face.

    @property
    def ssid(self) -> str:
        return self._ssid

    @ssid.setter
    def ssid(self, name: str) -> None:
        self._ssid = name
        self._change()

    @property
    def signal_dbm(self) -> int:
        return self._signal_dbm

    @signal_dbm.setter
    def signal_dbm(self, level: int) -> None:
        self._signal_dbm = level
        self._change()

    def link(self, up: bool) -> None:
        """The way beyond is there, or gone: the access point is heard, or the cable carries, only while it is up."""
        self.is_up = up
        self._change()

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        self._change()

    def drop(self) -> None:
        """The access point forgets the station, as when it was switched off and on."""
        self._is_dropped = True
        self._change()

    async def calls(self, method: str) -> int:
        """How often NetworkManager was asked to do that."""
        (calls,) = await self._call(MANAGER, MOCK, "GetMethodCalls", "s", [method])
        return len(calls)

    async def profiles(self) -> int:
        """How many networks it knows how to join."""
        (profiles,) = await self._call(MANAGER + "/Settings", NAME + ".Settings", "ListConnections", "", [])
        return len(profiles)

    @property
    def process(self) -> int:
        """The number of its process, while it runs."""
        assert self._service is not None
        return self._service.pid

    async def settled(self) -> None:
        """Until what was switched shows on the bus. Raises OSError, also for what went wrong with it."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while self._changed.is_set() or not self._is_settled:
                for task in (self._following, self._joining):
                    if task is not None and task.done() and not task.cancelled():
                        task.result()
                await asyncio.sleep(LOOK_S)

    # The interface.

    def section(self) -> dict[str, str | int | bool]:
        return {"interface": self.interface}

    def environment(self) -> dict[str, str]:
        return {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.folder / 'bus'}"}

    async def start(self) -> None:
        """Raises OSError when a program is missing or does not start."""
        configuration = self.folder / "bus.conf"
        configuration.write_text(BUS_CONFIGURATION.format(socket=self.folder / "bus"))
        daemon = ("dbus-daemon", "--nofork", "--nopidfile", "--print-address", f"--config-file={configuration}")
        with (self.folder / "bus.log").open("wb") as log:
            self._daemon = await asyncio.create_subprocess_exec(*daemon, stdout=asyncio.subprocess.PIPE, stderr=log)
        assert self._daemon.stdout is not None
        async with contextlib.AsyncExitStack() as on_failure, asyncio.timeout(START_TIMEOUT_S):
            on_failure.push_async_callback(self.stop)
            if not await self._daemon.stdout.readline():  # its address, when it listens
                raise OSError(f"dbus-daemon does not start: {(self.folder / 'bus.log').read_text().strip()}")
            self._bus = await MessageBus(bus_address=f"unix:path={self.folder / 'bus'}").connect()
            self._bus.add_message_handler(self._heard)
            self._changed.set()
            self._following = self._keep(self._run())
            await self.settled()
            on_failure.pop_all()

    async def stop(self) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None
        for process in (self._service, self._daemon):
            if process is not None and process.returncode is None:
                process.terminate()
                await process.wait()
        self._service = self._daemon = None
        self._forget()

    # What NetworkManager does by itself.

    def _change(self) -> None:
        carries = self._carries()
        if carries != self._carried:
            self._carried = carries
            for tell in list(self.on_link):
                tell(carries)
        self._changed.set()

    def _carries(self) -> bool:
        return self.is_up and not any(self.has(name) for name in ("out_of_range", "dead_radio", "no_link", "interface_gone"))

    def _forget(self) -> None:
        """As NetworkManager starts."""
        self._state = 0  # the device's; 0 while there is none
        self._is_heard = False  # there is an access point
        self._is_refusing = False
        self._is_dropped = False
        self._joined: tuple[str, str] | None = None  # network and password
        self._static: dict[str, Any] | None = None  # addresses of the profile, where they are not DHCP's
        self._scans = 0

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._is_settled = False
            self._changed.clear()
            await self._follow()
            self._is_settled = True

    async def _follow(self) -> None:
        """Make what NetworkManager shows follow what there is."""
        if self.has("service_stopped"):
            self._give_up_joining()
            if self._service is not None:
                self._service.terminate()
                await self._service.wait()
                self._service = None
                self._forget()
            return
        if self._service is None:
            await self._start_service()
        if self._is_refusing != self.has("not_allowed"):
            self._is_refusing = self.has("not_allowed")
            await self._add_methods()
        if self.has("interface_gone"):
            if self._state:
                await self._take_device_away()
            return
        if not self._state:
            await self._add_device()
        await self._show_surroundings()
        unavailable = self._unavailable()
        obstacle = self._joined and self._obstacle(*self._joined)
        if unavailable:
            if self._state != UNAVAILABLE:
                self._give_up_joining()
                await self._fail(unavailable, UNAVAILABLE)
        elif self._state == UNAVAILABLE:
            await self._become(DISCONNECTED)
        elif obstacle or self._is_dropped:
            await self._fail(obstacle or NOT_HEARD)
        self._is_dropped = False
        if self._state == DISCONNECTED and not self._waits_to_be_asked:
            self._join("", "")

    def _unavailable(self) -> int:
        """The reason why the device cannot be used at all; 0 for none."""
        return NO_FIRMWARE if self.has("dead_radio") else 0

    def _obstacle(self, ssid: str, password: str) -> int:
        """The reason why that network cannot be joined, or used any more; 0 for none."""
        if self.has("out_of_range") or not self.is_up or ssid != self._ssid:
            return SSID_NOT_FOUND
        if self.has("no_link"):
            return NOT_HEARD
        if self.has("wrong_password") or password != self.password:
            return NO_SECRETS
        return NO_ADDRESS if self.has("no_address") and self._static is None else NO_REASON

    def _join(self, ssid: str, password: str) -> None:
        self._give_up_joining()
        self._joining = self._keep(self._try_to_join(ssid, password))

    def _give_up_joining(self) -> None:
        if self._joining is not None:
            self._joining.cancel()
            self._joining = None

    async def _try_to_join(self, ssid: str, password: str) -> None:
        await self._become(PREPARE)
        await self._become(CONFIG)
        await asyncio.sleep(JOIN_S)
        obstacle = self._obstacle(ssid, password)
        if obstacle in self._refused:
            if obstacle == NO_SECRETS:
                await self._become(NEED_AUTH, NOT_HEARD)
            await self._fail(obstacle)
            return
        await self._become(IP_CONFIG)
        await asyncio.sleep(ADDRESS_S)
        while self.has("no_address") and self._static is None:  # NetworkManager tries for 45 s, longer than the agent waits
            await asyncio.sleep(LOOK_S)
        await self._show_joined(True)
        await self._become(ACTIVATED)
        self._joined = (ssid, password)
        self._changed.set()  # by now something else may keep it from it

    async def _fail(self, reason: int, state: int = FAILED) -> None:
        self._joined = None
        await self._become(state, reason)
        await self._show_joined(False)
        if state == FAILED:
            await self._become(DISCONNECTED)

    # What it shows on the bus.

    async def _start_service(self) -> None:
        environment = os.environ | self.environment()
        mock = (PYTHON, "-m", "dbusmock", "--system", "--template", "networkmanager")
        self._service = await asyncio.create_subprocess_exec(*mock, env=environment, stdout=asyncio.subprocess.DEVNULL)
        while True:
            if self._service.returncode is not None:
                raise OSError("python3-dbusmock does not start")
            reply = await self._send(ROOT, OBJECTS, "GetManagedObjects", "", [])
            if reply.message_type == MessageType.METHOD_RETURN and MANAGER in reply.body[0]:
                break
            await asyncio.sleep(LOOK_S)
        rule = f"type='signal',interface='{MOCK}',member='MethodCalled'"
        bus = Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", signature="s", body=[rule])
        assert self._bus is not None
        await self._bus.call(bus)
        await self._add_methods()

    async def _add_methods(self) -> None:
        for name, (takes, gives, code) in METHODS.items():
            await self._call(MANAGER, MOCK, "AddMethod", "sssss", [NAME, name, takes, gives, REFUSE if self._is_refusing else code])

    async def _add_device(self) -> None:
        self._state = DISCONNECTED
        await self._call(ROOT, MOCK, "AddWiFiDevice", "ssi", ["1", self.interface, DISCONNECTED])
        nothing = {"ActiveAccessPoint": Variant("o", "/"), "LastScan": Variant("x", -1)}
        await self._call(DEVICE_PATH, MOCK, "AddProperties", "sa{sv}", [WIRELESS, nothing])
        await self._call(DEVICE_PATH, MOCK, "AddProperties", "sa{sv}", [DEVICE, {"Ip4Config": Variant("o", "/")}])

    async def _take_device_away(self) -> None:
        self._give_up_joining()
        self._state = 0
        self._joined = None
        await self._show_access_point(False)
        await self._call(DEVICE_PATH, MOCK, "RemoveObject", "s", [DEVICE_PATH])
        await self._emit(ROOT, OBJECTS, "InterfacesRemoved", "oas", Variant("o", DEVICE_PATH), Variant("as", [DEVICE, WIRELESS, WIRED]))

    async def _show_surroundings(self) -> None:
        await self._show_access_point(self._obstacle(self._ssid, self.password) != SSID_NOT_FOUND and not self._unavailable())
        if self._is_heard:
            level = -90 if self.has("weak_signal") else self._signal_dbm
            seen = {"Ssid": Variant("ay", self._ssid.encode()), "Strength": Variant("y", level + 120)}
            await self._update(ACCESS_POINT_PATH, ACCESS_POINT, seen)

    async def _show_access_point(self, heard: bool) -> None:
        if heard and not self._is_heard:
            point = [DEVICE_PATH, "1", self._ssid, "02:00:00:00:00:01", 2, 2412, 54000, 50, KEY_MGMT_PSK]
            await self._call(ROOT, MOCK, "AddAccessPoint", "ssssuuuyu", point)
        elif self._is_heard and not heard:
            await self._call(ROOT, MOCK, "RemoveAccessPoint", "ss", [DEVICE_PATH, ACCESS_POINT_PATH])
        self._is_heard = heard

    async def _show_joined(self, joined: bool) -> None:
        """The device's address."""
        address = self._static or {"address": "192.168.4.2", "prefix": 24}
        data = {"address": Variant("s", address["address"]), "prefix": Variant("u", address["prefix"])}
        config = {"AddressData": Variant("aa{sv}", [data])}
        if joined:
            await self._send(CONFIG_PATH, PROPERTIES, "Set", "ssv", [NAME + ".IP4Config", "AddressData", config["AddressData"]])
            await self._send(ROOT, MOCK, "AddObject", "ssa{sv}a(ssss)", [CONFIG_PATH, NAME + ".IP4Config", config, []])  # once
            added = {NAME + ".IP4Config": config}
            await self._emit(ROOT, OBJECTS, "InterfacesAdded", "oa{sa{sv}}", Variant("o", CONFIG_PATH), Variant("a{sa{sv}}", added))
        await self._update(DEVICE_PATH, DEVICE, {"Ip4Config": Variant("o", CONFIG_PATH if joined else "/")})
        await self._show_joined_to(ACCESS_POINT_PATH if joined else "/")

    async def _show_joined_to(self, access_point: str) -> None:
        await self._update(DEVICE_PATH, WIRELESS, {"ActiveAccessPoint": Variant("o", access_point)})

    async def _become(self, state: int, reason: int = NO_REASON) -> None:
        before, self._state = self._state, state
        shown = {"StateReason": Variant("(uu)", [state, reason]), "State": Variant("u", state)}
        await self._update(DEVICE_PATH, DEVICE, shown)
        await self._emit(DEVICE_PATH, DEVICE, "StateChanged", "uuu", *(Variant("u", value) for value in (state, before, reason)))

    # The agent's calls.

    def _heard(self, message: Message) -> None:
        if message.member != "MethodCalled" or message.interface != MOCK or self._is_refusing:
            return
        name, arguments = message.body
        if name == "ActivateConnection":
            self._keep(self._activate(arguments[0].value))
        elif name == "AddAndActivateConnection":
            self._join_by(arguments[0].value)
        elif name == "RequestScan":
            self._keep(self._scan())

    async def _scan(self) -> None:
        await asyncio.sleep(SCAN_S)
        self._scans += 1
        if self._scans == 1:
            for number, (ssid, (level, security)) in enumerate(self.neighbours.items(), 2):
                point = [DEVICE_PATH, str(number), ssid, f"02:00:00:00:00:0{number}", 2, 2412, 54000, level + 120, security]
                await self._call(ROOT, MOCK, "AddAccessPoint", "ssssuuuyu", point)
        await self._update(DEVICE_PATH, WIRELESS, {"LastScan": Variant("x", self._scans)})

    async def _activate(self, profile: str) -> None:
        if profile == "/":
            self._join("", "")
        else:
            (settings,) = await self._call(profile, PROFILE, "GetSettings", "", [])
            self._join_by(settings)

    def _join_by(self, settings: dict[str, Any]) -> None:
        settings = unpack_variants(settings)
        password = settings.get("802-11-wireless-security", {}).get("psk", "")
        ipv4 = settings.get("ipv4", {})
        self._static = ipv4["address-data"][0] if ipv4.get("method") == "manual" else None
        self._join(bytes(settings["802-11-wireless"]["ssid"]).decode(), password)

    # Words of D-Bus.

    async def _send(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> Message:
        assert self._bus is not None
        async with asyncio.timeout(CALL_TIMEOUT_S):
            reply = await self._bus.call(Message(NAME, path, interface, member, signature=signature, body=body))
        assert reply is not None
        return reply

    async def _call(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> list[Any]:
        reply = await self._send(path, interface, member, signature, body)
        if reply.message_type == MessageType.ERROR:
            raise OSError(f"{member}: {reply.error_name}: {reply.body}")
        return list(reply.body)

    async def _update(self, path: str, interface: str, properties: dict[str, Variant]) -> None:
        for name, value in properties.items():
            await self._call(path, PROPERTIES, "Set", "ssv", [interface, name, value])

    async def _emit(self, path: str, interface: str, name: str, signature: str, *arguments: Variant) -> None:
        await self._call(path, MOCK, "EmitSignal", "sssav", [interface, name, signature, list(arguments)])

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class WiredNetworkManagerService(NetworkManagerService):
    """A cable: NetworkManager joins by itself what it leads to."""

    FAULTS: ClassVar[dict[str, Fault]] = {
        "cable_out": Fault("the cable is out", "no_link"),
        **{name: NetworkManagerService.FAULTS[name] for name in ("no_address", "service_stopped")},
        "interface_gone": Fault("the USB adapter with the cable was pulled out", "unplugged"),
    }

    interface = "eth0"
    _waits_to_be_asked = False

    def _carries(self) -> bool:
        return self.is_up and not self.has("cable_out") and not self.has("interface_gone")

    def _unavailable(self) -> int:
        return 0 if self._carries() else NO_CARRIER

    def _obstacle(self, ssid: str, password: str) -> int:
        return NO_ADDRESS if self.has("no_address") else NO_REASON

    async def _add_device(self) -> None:
        self._state = DISCONNECTED
        await self._call(ROOT, MOCK, "AddEthernetDevice", "ssi", ["1", self.interface, DISCONNECTED])
        await self._call(DEVICE_PATH, MOCK, "AddProperties", "sa{sv}", [DEVICE, {"Ip4Config": Variant("o", "/")}])

    async def _show_surroundings(self) -> None:
        await self._update(DEVICE_PATH, WIRED, {"Carrier": Variant("b", self._carries())})

    async def _show_joined_to(self, access_point: str) -> None:
        """A cable has none."""
