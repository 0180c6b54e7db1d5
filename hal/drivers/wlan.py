"""Driver: Wi-Fi station through MicroPython's network.WLAN."""

import asyncio

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, E_NOHARDWARE, E_OFFLINE, E_TIMEOUT, DeviceError
from hal.network import CONTRACT, is_numeric, strongest_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hal.clock import Clock
    from hal.network import Heard, Static

_POLL_MS = 50
_DEAD = (E_NOHARDWARE, "dead_radio", "the radio does not start")
_STALE_MS = 3000  # the ESP32 may go on to show why the last attempt failed until this one has an answer


class Wlan(Device):
    """network: MicroPython's module of that name; resolve: as in hal.platform."""

    kind = CONTRACT.kind
    part = "wlan"
    level = 3

    def __init__(self, network: "Any", clock: "Clock", resolve: "Callable[[str], str]") -> None:
        super().__init__()
        self._network = network
        self._clock = clock
        self._resolve = resolve
        self._station: Any = None
        self._ssid = ""
        self._password = ""
        self._static: Static | None = None
        self._is_static = False  # the station has had an address of its own
        self._attempt: asyncio.Event | None = None  # set when the attempt to join that is under way has ended
        self._failure = (E_OFFLINE, "no_link", "not connected")  # code, cause and text of the last attempt to join
        # Status of the station -> code, cause, and what to tell a technician.
        self._refusals = {
            network.STAT_NO_AP_FOUND: (E_OFFLINE, "no_network", "the network is not in range"),
            network.STAT_WRONG_PASSWORD: (E_FAILURE, "wrong_password", "the access point refuses the password"),
            network.STAT_HANDSHAKE_TIMEOUT: (E_FAILURE, "wrong_password", "the access point refuses the password"),
        }

    def configure(self, ssid: str, password: str, static: "Static | None" = None) -> None:
        """Which network to join at the next `connect`, and with which addresses. An open network has an empty password."""
        self._ssid = ssid
        self._password = password
        self._static = static

    async def connect(self, timeout_ms: int) -> None:
        """Join the network and wait for an address.

        Raises DeviceError E_DISABLED, E_ILLEGAL (not configured), E_OFFLINE (no such network), E_FAILURE (wrong password),
        E_TIMEOUT (no address), E_NOHARDWARE (the radio). While one caller joins, what comes of it is the answer to others, too: a second
        attempt would end the first.
        """
        self.require_enabled()
        if not self._ssid:
            raise DeviceError(E_ILLEGAL, self.kind, "connect before configure", cause="not_configured")
        if self._attempt is None:
            self._attempt = asyncio.Event()
            try:
                await self._join(timeout_ms)
            finally:
                self._attempt.set()
                self._attempt = None
            return
        try:
            await self._clock.wait_for(self._attempt.wait(), timeout_ms)
        except OSError:
            pass  # it goes on; what it has come to by now is said below
        if not self.is_connected():
            raise self._error()

    async def _join(self, timeout_ms: int) -> None:
        self._failure = (E_TIMEOUT, "no_address", "no address yet")
        self._restart()
        try:
            if self._static is not None:
                self._station.ifconfig(self._static)
                self._is_static = True
            elif self._is_static:  # else the ESP32 refuses it: its DHCP client runs already
                self._station.ifconfig("dhcp")
                self._is_static = False
            self._station.connect(self._ssid, self._password)
        except OSError as error:
            raise self._error(_DEAD) from error
        begun_ms = self._clock.monotonic_ms()
        under_way = False
        while True:
            status = self._station.status()
            waited_ms = self._clock.monotonic_ms() - begun_ms
            if self._station.isconnected():
                return
            if status == self._network.STAT_CONNECTING:
                under_way = True
            elif status in self._refusals and (under_way or waited_ms >= _STALE_MS):
                raise self._error(self._refusals[status])
            if waited_ms >= timeout_ms:
                raise self._error((E_TIMEOUT, "no_address", "no address after %d ms" % waited_ms))
            await self._clock.sleep_ms(_POLL_MS)

    def is_connected(self) -> bool:
        return bool(self.enabled and self._station.isconnected())

    def address(self) -> str:
        return str(self._station.ifconfig()[0]) if self.is_connected() else ""

    async def resolve(self, host: str, timeout_ms: int) -> str:
        """Raises DeviceError E_DISABLED, E_OFFLINE (not connected), E_NOEXIST (no such name, or nobody answers).

        timeout_ms: only for drivers that can wait; this one blocks for as long as the platform's look-up does.
        """
        self.require_enabled()
        if is_numeric(host):
            return host
        if not self._station.isconnected():
            raise DeviceError(E_OFFLINE, self.kind, "not connected")
        try:
            return self._resolve(host)
        except OSError as error:
            raise DeviceError(E_NOEXIST, self.kind, "no address for %s" % host, cause="dns_failed") from error

    def signal_dbm(self) -> int:
        """Raises DeviceError E_DISABLED, E_OFFLINE (not connected)."""
        self.require_enabled()
        if not self._station.isconnected():
            raise DeviceError(E_OFFLINE, self.kind, "not connected")
        try:
            return int(self._station.status("rssi"))
        except OSError as error:
            raise DeviceError(E_OFFLINE, self.kind, "the connection has gone") from error

    async def scan(self, timeout_ms: int) -> "Heard":
        """The networks in range. Raises DeviceError E_DISABLED, E_OFFLINE (a network is being joined), E_NOHARDWARE (the radio).

        timeout_ms: for the attempt to join that is under way. The look around itself blocks, for some 2 s on an ESP32.
        """
        self.require_enabled()
        if self._attempt is not None:
            try:
                await self._clock.wait_for(self._attempt.wait(), timeout_ms)
            except OSError as error:
                raise DeviceError(E_OFFLINE, self.kind, "a network is being joined") from error
        try:
            if not self._station.isconnected():
                self._station.disconnect()  # the ESP32 goes on trying by itself, and hears nothing meanwhile
            found = self._station.scan()
        except OSError as error:
            raise self._error(_DEAD) from error
        return strongest_first([(bytes(seen[0]), int(seen[3]), seen[4] != 0) for seen in found])

    async def _bring_up(self) -> None:
        self._station = self._network.WLAN(self._network.STA_IF)
        self._restart()

    def _shut_down(self) -> None:
        try:
            self._station.active(False)
        except OSError as error:
            raise DeviceError(E_NOHARDWARE, self.kind, "the radio does not stop") from error

    def _restart(self) -> None:
        """Off and on: clears what an earlier attempt, or a program that crashed, left in the radio."""
        try:
            self._station.active(False)
            self._station.active(True)
        except OSError as error:
            raise self._error(_DEAD) from error

    def _error(self, failure: "tuple[int, str, str] | None" = None) -> DeviceError:
        """The error that says why the terminal is not joined; `failure`, as in _failure, is kept for the health check."""
        if failure is not None:
            self._failure = failure
        code, cause, detail = self._failure
        return DeviceError(code, self.kind, detail, cause=cause)

    async def _check_health(self, level: int) -> Health:
        if not self._ssid:
            return Health(HEALTH_NOT_RUN, self.kind, "not_configured", detail="no network is configured")
        if not self._station.isconnected():
            code, cause, detail = self._refusals.get(self._station.status(), self._failure)
            return Health(HEALTH_FAIL, self.kind, cause, code, detail=detail)
        return Health(HEALTH_SUCCESS, self.kind, measurements={"signal_dbm": self.signal_dbm()})
