"""Driver: a network interface that NetworkManager runs, by cable or by radio, through its D-Bus interface.

Source of all names and numbers: NetworkManager's D-Bus reference (org.freedesktop.NetworkManager) and nm-dbus-types.
"""

import asyncio
import errno
import socket
import struct

from dbus_fast import BusType, DBusFastError, Message, MessageFlag, MessageType, Variant, unpack_variants
from dbus_fast.aio import MessageBus

from hal.device import HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.drivers.linux.resolver import Resolver
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOHARDWARE, E_NOSERVICE, E_OFFLINE, E_TIMEOUT, DeviceError
from hal.network import CONTRACT, strongest_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock
    from hal.network import Heard, Static

_NAME = "org.freedesktop.NetworkManager"
_BUS = "org.freedesktop.DBus"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_ROOT = "/org/freedesktop"  # of NetworkManager's ObjectManager
_MANAGER = "/org/freedesktop/NetworkManager"
_SETTINGS = "/org/freedesktop/NetworkManager/Settings"
_NONE = "/"  # for a path: none, or whichever fits

_DEVICE = _NAME + ".Device"
_WIRELESS = _NAME + ".Device.Wireless"
_ACCESS_POINT = _NAME + ".AccessPoint"
_IP4 = _NAME + ".IP4Config"
_PROFILE = _NAME + ".Settings.Connection"

_UNMANAGED, _UNAVAILABLE, _DISCONNECTED, _PREPARE, _NEED_AUTH, _IP_CONFIG = 10, 20, 30, 40, 60, 70  # NMDeviceState
_ACTIVATED, _FAILED = 100, 120
_KEY_MGMT_PSK, _KEY_MGMT_SAE = 0x100, 0x400  # NM80211ApSecurityFlags
_PRIVACY = 0x1  # NM80211ApFlags
_METHOD_AUTO, _METHOD_MANUAL = "auto", "manual"  # of ipv4
_OUR_ADDRESSES = "reinstate.addresses"  # among a profile's user data: its addresses were set by this driver

# NMDeviceStateReason -> code, cause, and what to tell a technician.
_REFUSED = (E_FAILURE, "wrong_password", "the access point refuses the password")
_NO_ADDRESS = (E_TIMEOUT, "no_address", "no address from the network")
_NO_ANSWER = (E_OFFLINE, "no_link", "the access point has dropped the connection, or does not answer")
_NO_CARRIER = (E_OFFLINE, "no_link", "nothing at the other end of the cable")
_DEAD = (E_NOHARDWARE, "dead_radio", "the radio does not start, or is switched off")
_GONE = (E_NOHARDWARE, "unplugged", "the interface has gone")
_NOT_IN_RANGE = (E_OFFLINE, "no_network", "the network is not in range")
_REASONS = {
    5: _NO_ADDRESS,  # IP_CONFIG_UNAVAILABLE
    6: _NO_ADDRESS,  # IP_CONFIG_EXPIRED
    7: _REFUSED,  # NO_SECRETS: the password was refused, and nobody is there to give another one
    8: _NO_ANSWER,  # SUPPLICANT_DISCONNECT
    10: _NO_ANSWER,  # SUPPLICANT_FAILED
    11: _NO_ANSWER,  # SUPPLICANT_TIMEOUT
    15: _NO_ADDRESS,  # DHCP_START_FAILED
    16: _NO_ADDRESS,  # DHCP_ERROR
    17: _NO_ADDRESS,  # DHCP_FAILED
    35: _DEAD,  # FIRMWARE_MISSING
    36: _GONE,  # REMOVED
    40: _NO_CARRIER,  # CARRIER
    53: _NOT_IN_RANGE,  # SSID_NOT_FOUND
}

_CALL_MS = 2000  # for an answer of NetworkManager, which gives it at once
_SETTLE_MS = 1000  # a device that has just lost its network is unavailable for a moment
_POLL_MS = 50
_ZERO_DBM = 120  # per cent that 0 dBm would be


class NetworkManager(Device):
    """interface: the kernel's name of it, 'wlan0', 'eth0'. The system bus is where DBUS_SYSTEM_BUS_ADDRESS says.

    What NetworkManager says of its objects is kept as its signals change it, so that the calls that do not wait can answer. After it was
    started anew that is so from the next connect or health check on.
    """

    kind = CONTRACT.kind
    part = "network_manager"

    def __init__(self, interface: str, clock: "Clock") -> None:
        super().__init__()
        self._interface = interface
        self._clock = clock
        self._resolver = Resolver(clock)
        self._ssid = ""
        self._password = ""
        self._static: Static | None = None
        self._is_kept = False  # NetworkManager has these settings, since they were configured
        self._is_changed = False  # what is joined was joined with others
        self._asking = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._failure: tuple[int, str, str] | None = None  # code, cause and text of the last attempt that failed, until the next one
        self._bus: MessageBus | None = None
        self._owner = ""  # the connection to the bus that is NetworkManager now
        self._objects: dict[str, dict[str, dict[str, Any]]] = {}  # path -> interface -> property -> value
        self._early: list[Message] | None = None  # signals that came while the objects were on their way

    # The contract.

    def configure(self, ssid: str, password: str, static: "Static | None" = None) -> None:
        """Which radio network to join at the next `connect`. An empty password: an open network, or one that NetworkManager has a profile
        with a password for, whose addresses then are the profile's unless there are static ones. Without a name, and by cable, it is
        whatever NetworkManager has a profile for.
        """
        if self._ssid and (ssid, password, static) != (self._ssid, self._password, self._static):
            self._is_changed = bool(ssid)
        self._ssid = ssid
        self._password = password
        self._static = static
        self._is_kept = False

    async def connect(self, timeout_ms: int) -> None:
        """Have the network joined, and wait for an address. What NetworkManager has begun by itself is waited for.

        Raises DeviceError E_DISABLED, E_ILLEGAL (a radio, and no network configured), E_OFFLINE (no such network, no link), E_FAILURE
        (wrong password; no permission), E_TIMEOUT (no address; no answer), E_NOHARDWARE (no such interface), E_NOSERVICE (NetworkManager
        does not run). What was not there at bring-up is looked for again.
        """
        if self.bring_up_error is not None:
            await self.enable()
        self.require_enabled()
        begun_ms = self._clock.monotonic_ms()
        async with self._asking:  # a second activation would end the first
            await self._look()
            if self._is_changed or not self.is_connected():
                await self._activate()
                self._is_changed = False
        while not self.is_connected():
            limit_ms = timeout_ms if self._state() >= _DISCONNECTED else min(timeout_ms, _SETTLE_MS)
            if self._failure is not None or self._clock.monotonic_ms() - begun_ms >= limit_ms:
                raise self._error()
            await self._clock.sleep_ms(_POLL_MS)

    def is_connected(self) -> bool:
        return self.enabled and self._state() == _ACTIVATED and self._joined_ssid() in (self._ssid, "") and bool(self.address())

    def address(self) -> str:
        config = self._properties(self._device().get("Ip4Config", _NONE), _IP4)
        addresses = config.get("AddressData") or [{}]
        return str(addresses[0].get("address", ""))

    async def resolve(self, host: str, timeout_ms: int) -> str:
        """Raises DeviceError E_DISABLED, E_OFFLINE (not connected), E_NOEXIST (no such name, or nobody answers in time)."""
        self.require_enabled()
        return await self._resolver.address_of(host, self.is_connected, timeout_ms)

    def signal_dbm(self) -> int:
        """-90..-20: NetworkManager tells the strength of the access point that it has joined in per cent, -20 dBm and more as 100, -90 dBm
        and less as 30 (nl80211_xbm_to_percent). Raises DeviceError E_DISABLED, E_OFFLINE (not joined).
        """
        self.require_enabled()
        strength = self._joined_access_point().get("Strength")
        if strength is None:
            raise DeviceError(E_OFFLINE, self.kind, "not joined", cause="no_link")
        return int(strength) - _ZERO_DBM

    async def scan(self, timeout_ms: int) -> "Heard":
        """What NetworkManager hears now; what it has heard, where it will not look again so soon.

        Raises DeviceError E_DISABLED, E_OFFLINE, E_NOHARDWARE (the radio is off, or gone), E_FAILURE (no permission), E_NOSERVICE.
        """
        self.require_enabled()
        await self._look()
        if self._state() < _DISCONNECTED:
            raise self._error()
        heard_at = self._device(_WIRELESS).get("LastScan")
        begun_ms = self._clock.monotonic_ms()
        try:
            await self._call(self._device_path(), _WIRELESS, "RequestScan", "a{sv}", [{}])
            while self._device(_WIRELESS).get("LastScan") == heard_at and self._clock.monotonic_ms() - begun_ms < timeout_ms:
                await self._clock.sleep_ms(_POLL_MS)
        except DeviceError as error:
            if error.code != E_FAILURE or error.cause:
                raise
        heard = []
        for path in self._device(_WIRELESS).get("AccessPoints", []):
            seen = self._properties(path, _ACCESS_POINT)
            is_protected = bool(seen.get("Flags", 0) & _PRIVACY or seen.get("WpaFlags", 0) or seen.get("RsnFlags", 0))
            heard.append((bytes(seen.get("Ssid", b"")), int(seen.get("Strength", 0)) - _ZERO_DBM, is_protected))
        return strongest_first(heard)

    # Life cycle.

    async def _bring_up(self) -> None:
        await self._look()
        path = self._device_path()
        if not path:
            raise self._error()
        self.level = 3 if _WIRELESS in self._objects[path] else 1

    def _shut_down(self) -> None:
        self._resolver.stop()
        self._forget()
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    async def _check_health(self, level: int) -> Health:
        await self._look()
        if self._is_unconfigured():
            return Health(HEALTH_NOT_RUN, self.kind, "not_configured", detail="no network is configured")
        if not self.is_connected():
            raise self._error()
        measurements = {"signal_dbm": self.signal_dbm()} if self.level >= 2 else {}
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    # The device as NetworkManager shows it.

    def _device_path(self) -> str:
        """'' where there is none."""
        if self._bus is None or not self._bus.connected:
            return ""
        for path, interfaces in self._objects.items():
            if interfaces.get(_DEVICE, {}).get("Interface") == self._interface:
                return path
        return ""

    def _properties(self, path: str, interface: str) -> "dict[str, Any]":
        return self._objects.get(path, {}).get(interface, {})

    def _device(self, interface: str = _DEVICE) -> "dict[str, Any]":
        return self._properties(self._device_path(), interface)

    def _state(self) -> int:
        return int(self._device().get("State", 0))

    def _is_radio(self) -> bool:
        return _WIRELESS in self._objects.get(self._device_path(), {})

    def _joined_access_point(self) -> "dict[str, Any]":
        return self._properties(self._device(_WIRELESS).get("ActiveAccessPoint", _NONE), _ACCESS_POINT)

    def _joined_ssid(self) -> str:
        """'' by cable. Without a network configured, any that is joined is the right one."""
        return bytes(self._joined_access_point().get("Ssid", b"")).decode(errors="replace") if self._ssid else ""

    def _access_point(self) -> str:
        """The strongest in range that offers the configured network; '/' for none."""
        best, strength = _NONE, -1
        for path in self._device(_WIRELESS).get("AccessPoints", []):
            seen = self._properties(path, _ACCESS_POINT)
            if bytes(seen.get("Ssid", b"")) == self._ssid.encode() and seen.get("Strength", 0) > strength:
                best, strength = path, seen.get("Strength", 0)
        return best

    def _is_unconfigured(self) -> bool:
        return self._is_radio() and not self._ssid and self._state() in (_DISCONNECTED, _FAILED)

    def _error(self) -> DeviceError:
        """Why it is not connected."""
        code, cause, detail = self._failure or self._why()
        return DeviceError(code, self.kind, detail, cause=cause)

    def _why(self) -> "tuple[int, str, str]":
        """As the device's state tells it, where no attempt has failed."""
        state = self._state()
        if not self._owner:
            return E_NOSERVICE, "service_down", "NetworkManager does not run"
        if not self._device_path():
            return E_NOHARDWARE, "unplugged", "NetworkManager knows no interface %s" % self._interface
        if state <= _UNMANAGED:
            return E_OFFLINE, "no_link", "NetworkManager is told to leave %s alone" % self._interface
        if state == _UNAVAILABLE:
            return _DEAD if self._is_radio() else _NO_CARRIER
        if state == _NEED_AUTH:
            return _REFUSED
        if state == _ACTIVATED and self._joined_ssid() not in (self._ssid, ""):
            return E_OFFLINE, "no_network", "another network is joined"
        if _IP_CONFIG <= state <= _ACTIVATED:
            return _NO_ADDRESS
        if state >= _PREPARE and self._is_radio():
            return _NO_ANSWER if self._access_point() != _NONE else _NOT_IN_RANGE
        return E_OFFLINE, "no_link", "not connected"

    # What is asked of NetworkManager.

    async def _activate(self) -> None:
        """Have it join, unless it is at it. Raises DeviceError."""
        self._failure = None
        state = self._state()
        if _PREPARE <= state < _ACTIVATED and not self._is_changed:
            return
        if state < _DISCONNECTED:
            raise self._error()
        if self._is_unconfigured():
            raise DeviceError(E_ILLEGAL, self.kind, "connect before configure", cause="not_configured")
        device = self._device_path()
        profile = await self._profile() if self._ssid and self._is_radio() else _NONE
        try:
            if profile:
                await self._call(_MANAGER, _NAME, "ActivateConnection", "ooo", [profile, device, _NONE])
            else:
                settings = self._settings({})
                await self._call(_MANAGER, _NAME, "AddAndActivateConnection", "a{sa{sv}}oo", [settings, device, self._access_point()])
                self._is_kept = True
        except DeviceError as error:
            if error.cause:
                self._failure = (error.code, error.cause, error.detail)  # the health check says it, too
            raise
        asked_ms = self._clock.monotonic_ms()
        before = (self._state(),) if state == _ACTIVATED else ()
        while (self._state() < _PREPARE or self._state() in before) and self._failure is None:
            if self._clock.monotonic_ms() - asked_ms >= _CALL_MS:
                break
            await self._clock.sleep_ms(_POLL_MS)  # until it is at it, or has failed already

    async def _profile(self) -> str:
        """The profile of the configured network, with the password that is configured; '' where there is none."""
        for path in (await self._call(_SETTINGS, _NAME + ".Settings", "ListConnections"))[0]:
            (settings,) = await self._call(path, _PROFILE, "GetSettings")
            ssid = settings.get("802-11-wireless", {}).get("ssid")
            if ssid is None or bytes(ssid.value) != self._ssid.encode():
                continue
            differs = self._password or self._static is not None or _OUR_ADDRESSES in _user_data(settings)
            if differs and not self._is_kept:  # written once, for it is written to flash
                await self._call(path, _PROFILE, "Update", "a{sa{sv}}", [self._settings(settings)])
                self._is_kept = True
            return str(path)
        return ""

    def _settings(self, settings: "dict[str, dict[str, Variant]]") -> "dict[str, dict[str, Variant]]":
        """Those of a profile, with the network, the password and the addresses that are configured."""
        settings.setdefault("connection", {"id": Variant("s", self._ssid), "type": Variant("s", "802-11-wireless")})
        settings.setdefault("802-11-wireless", {})["ssid"] = Variant("ay", self._ssid.encode())
        if self._password:
            offered = int(self._properties(self._access_point(), _ACCESS_POINT).get("RsnFlags", 0))
            only_wpa3 = offered & (_KEY_MGMT_PSK | _KEY_MGMT_SAE) == _KEY_MGMT_SAE
            settings["802-11-wireless-security"] = {
                "key-mgmt": Variant("s", "sae" if only_wpa3 else "wpa-psk"),
                "psk": Variant("s", self._password),
            }
        if self._static is not None:
            address, mask, gateway, dns = self._static
            prefix = sum([bin(int(part)).count("1") for part in mask.split(".")])
            settings["ipv4"] = {
                "method": Variant("s", _METHOD_MANUAL),
                "address-data": Variant("aa{sv}", [{"address": Variant("s", address), "prefix": Variant("u", prefix)}]),
                "gateway": Variant("s", gateway),
                "dns": Variant("au", list(struct.unpack("=I", socket.inet_aton(dns)))),
            }
            settings["user"] = {"data": Variant("a{ss}", _user_data(settings) | {_OUR_ADDRESSES: "1"})}
        elif _OUR_ADDRESSES in _user_data(settings):  # those that an administrator has set stay
            settings["ipv4"] = {"method": Variant("s", _METHOD_AUTO)}
            left = {key: value for key, value in _user_data(settings).items() if key != _OUR_ADDRESSES}
            settings["user"] = {"data": Variant("a{ss}", left)}
        return settings

    async def _look(self) -> None:
        """What all objects are like now; from here on signals keep it so. Raises DeviceError."""
        async with self._looking:
            if self._bus is None or not self._bus.connected:
                await self._join_bus()
            early = self._early = []
            try:
                (self._owner,) = await self._call(_MANAGER, _BUS, "GetNameOwner", "s", [_NAME], _BUS)
                (objects,) = await self._call(_ROOT, _OBJECTS, "GetManagedObjects")
                self._objects = unpack_variants(objects)
            except DeviceError:
                self._forget()
                raise
            finally:
                self._early = None
            for signal in early:
                self._apply(signal)

    async def _join_bus(self) -> None:
        self._forget()
        bus = MessageBus(bus_type=BusType.SYSTEM)
        try:
            await self._clock.wait_for(bus.connect(), _CALL_MS)
        except (OSError, EOFError, DBusFastError) as error:
            raise DeviceError(E_NOSERVICE, self.kind, "the system bus does not answer", cause="service_down") from error
        bus.add_message_handler(self._heard)
        self._bus = bus
        changed = "type='signal',sender='%s',member='NameOwnerChanged',arg0='%s'" % (_BUS, _NAME)
        for rule in ("type='signal',sender='%s'" % _NAME, changed):
            await self._call("/org/freedesktop/DBus", _BUS, "AddMatch", "s", [rule], _BUS)

    async def _call(
        self, path: str, interface: str, member: str, signature: str = "", body: "list[Any] | None" = None, destination: str = _NAME
    ) -> "list[Any]":
        """Raises DeviceError."""
        assert self._bus is not None
        # NetworkManager is not to be started by being asked: whether it runs is the system's affair.
        message = Message(destination, path, interface, member, flags=MessageFlag.NO_AUTOSTART, signature=signature, body=body or [])
        try:
            reply = await self._clock.wait_for(self._bus.call(message), _CALL_MS)
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                raise DeviceError(E_TIMEOUT, self.kind, "NetworkManager does not answer", cause="no_answer") from error
            reply = None
        except EOFError:
            reply = None
        if reply is None:
            raise DeviceError(E_NOSERVICE, self.kind, "the system bus has gone", cause="service_down")
        if reply.message_type == MessageType.ERROR:
            raise self._refusal(str(reply.error_name), str(reply.body[0]) if reply.body else "")
        return list(reply.body)

    def _refusal(self, error: str, text: str) -> DeviceError:
        """What an error of D-Bus or NetworkManager means. Their texts hold no secrets; they name the setting, not its value."""
        word = error[error.rindex(".") + 1 :]
        if word in ("ServiceUnknown", "NameHasNoOwner", "NoReply"):
            return DeviceError(E_NOSERVICE, self.kind, "NetworkManager does not run", cause="service_down")
        if word in ("PermissionDenied", "AccessDenied", "NotAuthorized"):
            detail = "polkit must allow network-control, settings.modify.system and wifi.scan of NetworkManager to this user"
            return DeviceError(E_FAILURE, self.kind, detail, cause="no_permission")
        if word == "InvalidProperty" and "psk" in text:
            return DeviceError(E_FAILURE, self.kind, "the password is none that WPA can have", cause="wrong_password")
        return DeviceError(E_FAILURE, self.kind, "NetworkManager: %s" % (text or word))

    # What NetworkManager says unasked.

    def _heard(self, message: Message) -> None:
        if message.message_type != MessageType.SIGNAL:
            return
        if message.sender == _BUS and message.member == "NameOwnerChanged":
            self._forget()
            self._owner = message.body[2]
        elif message.sender == self._owner or self._early is not None:
            if self._early is None:
                self._apply(message)
            else:
                self._early.append(message)

    def _apply(self, signal: Message) -> None:
        path, name = signal.path or "", signal.member
        if signal.interface == _PROPERTIES and name == "PropertiesChanged":
            interface, changed, _ = signal.body
            if path in self._objects:
                self._objects[path].setdefault(interface, {}).update(unpack_variants(changed))
        elif signal.interface == _OBJECTS and name == "InterfacesAdded":
            path, added = signal.body
            self._objects.setdefault(path, {}).update(unpack_variants(added))
        elif signal.interface == _OBJECTS and name == "InterfacesRemoved":
            path, removed = signal.body
            for interface in removed:
                self._objects.get(path, {}).pop(interface, None)
        elif signal.interface == _DEVICE and name == "StateChanged" and path == self._device_path():
            state, _, reason = signal.body
            if state == _ACTIVATED:
                self._failure = None
            elif state == _FAILED or (
                reason in _REASONS and not _PREPARE <= state < _ACTIVATED
            ):  # on its way it may ask for a password again
                self._failure = _REASONS.get(reason, (E_FAILURE, "no_link", "NetworkManager gives up, reason %d" % reason))

    def _forget(self) -> None:
        """NetworkManager has ended, or is another one."""
        self._owner = ""
        self._objects = {}
        self._failure = None


def _user_data(settings: "dict[str, dict[str, Variant]]") -> "dict[str, str]":
    data = settings.get("user", {}).get("data")
    return {} if data is None else dict(data.value)
