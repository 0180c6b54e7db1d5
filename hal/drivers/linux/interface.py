"""Driver: a network interface that the system configures by itself, watched through what the kernel tells of it.

Sources: netdevice(7); proc_pid_net(5) for route and wireless.
"""

import errno
import socket
import struct
from fcntl import ioctl

from hal.device import HEALTH_SUCCESS, Device, Health
from hal.drivers.linux.resolver import Resolver
from hal.errors import E_NOHARDWARE, E_OFFLINE, E_TIMEOUT, DeviceError
from hal.network import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock
    from hal.network import Static

_SIOCGIFFLAGS, _SIOCGIFADDR = 0x8913, 0x8915  # <linux/sockios.h>
_IFREQ = "16s24x"  # struct ifreq: name, and what the kernel answers, from byte 16 on
_FLAGS = "16xH"
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # <linux/if.h>: switched on; carries (operstate up, or unknown to its driver)
_ADDRESS = slice(20, 24)  # of the struct sockaddr_in
_RTF_UP, _RTF_REJECT = 0x1, 0x200  # <linux/route.h>
_LINK_LOCAL = "169.254."  # what a station gives itself when no DHCP server answers (RFC 3927)

_POLL_MS = 50
_LINK_MS = 5000  # for both ends of a cable to agree on a speed, or a radio to be joined


class Interface(Device):
    """interface: the kernel's name of it, 'eth0'. What it joins and how it comes by its address is the system's affair: `configure` means
    nothing here. proc: where /proc is.

    Nothing of it is held open: an interface that goes, and comes back, is there again.
    """

    kind = CONTRACT.kind
    part = "interface"

    def __init__(self, interface: str, clock: "Clock", proc: str = "/proc") -> None:
        super().__init__()
        self._interface = interface
        self._clock = clock
        self._proc_net = proc + "/net"
        self._resolver = Resolver(clock)

    def configure(self, ssid: str, password: str, static: "Static | None" = None) -> None:
        """Nothing to choose: the interface is the system's to configure."""

    async def connect(self, timeout_ms: int) -> None:
        """Wait until the interface carries, and has an address.

        Raises DeviceError E_DISABLED, E_NOHARDWARE (no such interface; cause 'unplugged'), E_OFFLINE (it does not carry: 'no_link'; known
        after 5 s), E_TIMEOUT ('no_address'). An interface that was not there at bring-up is looked for again.
        """
        if self.bring_up_error is not None:
            await self.enable()
        self.require_enabled()
        begun_ms = self._clock.monotonic_ms()
        while True:
            failure = self._failure()
            if failure is None:
                return
            waited_ms = self._clock.monotonic_ms() - begun_ms
            enough_ms = {E_NOHARDWARE: 0, E_OFFLINE: min(_LINK_MS, timeout_ms)}.get(failure.code, timeout_ms)
            if waited_ms >= enough_ms:
                raise failure
            await self._clock.sleep_ms(_POLL_MS)

    def is_connected(self) -> bool:
        return self.enabled and self._failure() is None

    def address(self) -> str:
        """What the interface gave itself for want of a DHCP server (169.254.0.0/16) is none."""
        try:
            address = socket.inet_ntoa(self._ask(_SIOCGIFADDR)[_ADDRESS])
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
                return ""
            raise self._silent(error) from error
        return "" if address.startswith(_LINK_LOCAL) else address

    async def resolve(self, host: str, timeout_ms: int) -> str:
        """Raises DeviceError E_DISABLED, E_OFFLINE (not connected), E_NOEXIST (no such name, or nobody answers in time)."""
        self.require_enabled()
        return await self._resolver.address_of(host, self.is_connected, timeout_ms)

    def signal_dbm(self) -> int:
        """Raises DeviceError E_DISABLED, E_OFFLINE (not joined)."""
        self.require_enabled()
        signal_dbm = self._signal_dbm()
        if not signal_dbm:
            raise DeviceError(E_OFFLINE, self.kind, "%s is not joined" % self._interface, cause="no_link")
        return signal_dbm

    async def _bring_up(self) -> None:
        self._flags()
        # Level 2 is a radio whose strength the kernel tells: without its wireless extensions it does not.
        self.level = 1 if self._signal_dbm() is None else 2

    def _shut_down(self) -> None:
        self._resolver.stop()

    async def _check_health(self, level: int) -> Health:
        """measurements: default_route, 1 where there is one through this interface; signal_dbm. A broker may be reached without such a
        route, so that it is the walk to the acquirer that says whether one is missing.
        """
        failure = self._failure()
        if failure is not None:
            raise failure
        measurements = {"default_route": int(self._has_default_route())}
        signal_dbm = self._signal_dbm()
        if signal_dbm:
            measurements["signal_dbm"] = signal_dbm
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    def _failure(self) -> "DeviceError | None":
        """Why it does not carry IP now, from the lowest layer up; None when it does."""
        try:
            flags = self._flags()
        except DeviceError as error:
            return error
        if not flags & _IFF_UP:
            return DeviceError(E_OFFLINE, self.kind, "%s is switched off" % self._interface, cause="no_link")
        if not flags & _IFF_RUNNING:
            return DeviceError(E_OFFLINE, self.kind, "nothing at the other end of %s" % self._interface, cause="no_link")
        if not self.address():
            return DeviceError(E_TIMEOUT, self.kind, "%s has no address" % self._interface, cause="no_address")
        return None

    def _flags(self) -> int:
        """Raises DeviceError E_NOHARDWARE: no such interface."""
        try:
            (flags,) = struct.unpack_from(_FLAGS, self._ask(_SIOCGIFFLAGS))
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise DeviceError(E_NOHARDWARE, self.kind, "no interface %s" % self._interface, cause="unplugged") from error
            raise self._silent(error) from error
        return int(flags)

    def _ask(self, request: int) -> bytes:
        """The kernel's answer about the interface. Raises OSError."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            return ioctl(any_socket, request, struct.pack(_IFREQ, self._interface.encode()))

    def _silent(self, error: OSError) -> DeviceError:
        return DeviceError(E_NOHARDWARE, self.kind, "the kernel does not tell of %s: %s" % (self._interface, error.strerror))

    def _has_default_route(self) -> bool:
        for line in _read(self._proc_net + "/route").splitlines()[1:]:
            interface, destination, _, flags, _, _, _, mask = line.split()[:8]
            is_default = int(destination, 16) == int(mask, 16) == 0
            if interface == self._interface and is_default and int(flags, 16) & (_RTF_UP | _RTF_REJECT) == _RTF_UP:
                return True
        return False

    def _signal_dbm(self) -> "int | None":
        """0 while not joined; None where the kernel tells no strength: no radio, or a kernel without wireless extensions."""
        try:
            lines = _read(self._proc_net + "/wireless").splitlines()[2:]
        except OSError:
            return None
        for line in lines:
            interface, _, values = line.strip().partition(":")
            if interface == self._interface:
                level = int(values.split()[2].rstrip("."))  # status, link, level
                return level - 256 if level > 0 else level  # drivers that tell dBm in a byte without sign
        return None


def _read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()
