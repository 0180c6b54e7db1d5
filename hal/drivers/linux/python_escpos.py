"""Drivers: receipt printers that speak ESC/POS on a network, a serial line or USB, by python-escpos. Contract: hal/printer.py, level 3.

Of python-escpos is how a way to a printer is opened (Network, Serial, Usb), and its list of printers, the profiles: how wide the head is,
how many columns a line has, whether there is a cutter. The commands, and what the answers mean, are hal/drivers/escpos.py's, as on a board
with a UART: the library's text() switches code pages where the contract is ASCII, its image() sends 960 rows in one command, which overruns
a small printer's buffer, and its status asks for two of four bytes and takes silence for paper that is there. Its objects are not kept:
they open themselves anew when they are touched after close(), and before they go wait without a limit for a serial line to drain.

The way is kept open from bring-up on: a network printer, most of which serve one caller at a time, is this terminal's own. It is opened
anew at the next use or check when it was lost: the printer closed an idle connection, was switched off, or was unplugged.
"""

import errno
import os
import select
import socket
import termios
import threading
import time
from functools import partial

import serial  # type: ignore[import-untyped]
import usb.core  # type: ignore[import-untyped]
import usb.util  # type: ignore[import-untyped]
from escpos.capabilities import CAPABILITIES  # type: ignore[import-untyped]
from escpos.exceptions import DeviceNotFoundError  # type: ignore[import-untyped]
from escpos.printer import Network, Serial, Usb  # type: ignore[import-untyped]

from hal.drivers.escpos import ANSWER_MS, CUT, FEED, EscposDevice
from hal.drivers.linux.device_file import unplugged, unusable
from hal.drivers.linux.worker import Worker
from hal.errors import E_NOSERVICE, E_OFFLINE, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from hal.clock import Clock
    from hal.printer import PrinterStatus

    T = TypeVar("T")

_KIND = "printer"
_OPEN_MS = 2000  # less than the 6 s that a self-test gives the printer's check
_MARGIN_MS = 500  # which the library's own limits, given to it, have for coming back
_NETWORK_ANSWER_MS = 250  # through a radio that sleeps between beacons
_NETWORK_LATE_MS = 800  # where a segment was lost: TCP sends it again after 200 ms at least, then after twice as long (RFC 6298; Linux)
_CELL_DOTS = 12  # width of font A
_TEAR_LINES = 4  # from the head to the edge at which a slip is torn off: 17 mm
_USB_PRINTER = 7  # bInterfaceClass, USB device class definition for printing devices
_READ_BYTES = 4096
_USB_READ_BYTES = 64  # the largest packet of a full-speed endpoint
# linux/tcp.h by way of socket: what is sent ahead of a printer, and how soon one that was switched off is missed.
_SEND_BUFFER = 4096
_NETWORK_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),  # s
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20000),  # ms, for what was sent and is not taken
)


# The three ways. What they do blocks, and raises OSError, of which `lost` makes what is told. `device`: what python-escpos has opened.


class NetworkWay:
    """host: a name or an IPv4 address; port: 9100 is what printers listen at."""

    def __init__(self, host: str, port: int) -> None:
        try:
            is_name = bool(host.encode("idna"))  # as the library's connect will
        except UnicodeError:
            is_name = False
        if not is_name or not 1 <= port <= 65535:
            raise ValueError("printer: host %r, port %r: a name or address, and 1..65535" % (host, port))
        self._host = host
        self._port = port

    def open(self) -> "Any":
        connection = _opened(Network(self._host, self._port, timeout=_OPEN_MS / 1000))
        for level, option, value in _NETWORK_OPTIONS:
            connection.setsockopt(level, option, value)
        return connection

    def read(self, device: "Any", wait_ms: int) -> bytes:
        """What has come, or comes within the time; b'' for nothing."""
        if not select.select([device], [], [], wait_ms / 1000)[0]:
            return b""
        received = bytes(device.recv(_READ_BYTES))
        if not received:
            raise ConnectionResetError(errno.ECONNRESET, "closed by the printer")
        return received

    def write(self, device: "Any", data: bytes, timeout_ms: int) -> None:
        """All of it. Raises TimeoutError when the printer takes no more."""
        device.settimeout(timeout_ms / 1000)
        device.sendall(data)

    def close(self, device: "Any") -> None:
        try:
            device.shutdown(socket.SHUT_RDWR)  # wakes a call that still waits
        except OSError:
            pass  # it was lost before
        device.close()

    def lost(self, error: OSError) -> DeviceError:
        reason = error.strerror or "no answer"
        return DeviceError(E_OFFLINE, _KIND, "%s port %d: %s" % (self._host, self._port, reason), cause="offline")


class SerialWay:
    """device: its file, by a name that stays (/dev/serial/by-id/...); baudrate: one that pyserial knows. 8 bits, no parity."""

    def __init__(self, device: str, baudrate: int) -> None:
        if not device or baudrate not in serial.Serial.BAUDRATES:
            rates = " ".join([str(rate) for rate in serial.Serial.BAUDRATES])
            raise ValueError("printer: device %r, baudrate %r: a device's file, and one of %s" % (device, baudrate, rates))
        self._device = device
        self._baudrate = baudrate

    def open(self) -> "Any":
        try:
            return _opened(Serial(self._device, self._baudrate))
        except termios.error as error:
            raise OSError(*error.args) from error

    def read(self, device: "Any", wait_ms: int) -> bytes:
        if not select.select([device.fileno()], [], [], wait_ms / 1000)[0]:
            return b""
        received = os.read(device.fileno(), _READ_BYTES)
        if not received:
            raise OSError(errno.EIO, "hung up")
        return received

    def write(self, device: "Any", data: bytes, timeout_ms: int) -> None:
        until_s = time.monotonic() + timeout_ms / 1000
        rest = memoryview(data)
        while rest:
            if not select.select([], [device.fileno()], [], max(0, until_s - time.monotonic()))[1]:
                raise TimeoutError(errno.ETIMEDOUT, "held")
            rest = rest[os.write(device.fileno(), rest) :]

    def close(self, device: "Any") -> None:
        device.close()

    def lost(self, error: OSError) -> DeviceError:
        if not os.path.exists(self._device):
            return unplugged(_KIND, self._device)
        return unusable(_KIND, self._device, error)


class UsbWay:
    """vendor, product: the numbers of its USB descriptor."""

    def __init__(self, vendor: int, product: int) -> None:
        if not 1 <= vendor <= 0xFFFF or not 1 <= product <= 0xFFFF:
            raise ValueError("printer: USB vendor %r, product %r: each is 1..0xffff" % (vendor, product))
        self._vendor = vendor
        self._product = product
        self._in, self._out = 0x82, 0x01  # endpoints, as most printers have them; a printer that says which ones is believed

    def open(self) -> "Any":
        try:
            device = _opened(Usb(self._vendor, self._product))
        except usb.core.NoBackendError:
            detail = "libusb, by which USB is reached, is not installed"
            raise DeviceError(E_NOSERVICE, _KIND, detail, cause="service_down") from None
        interface = usb.util.find_descriptor(device.get_active_configuration(), bInterfaceClass=_USB_PRINTER)
        for endpoint in interface or ():
            if usb.util.endpoint_direction(endpoint.bEndpointAddress) == usb.util.ENDPOINT_IN:
                self._in = endpoint.bEndpointAddress
            else:
                self._out = endpoint.bEndpointAddress
        return device

    def read(self, device: "Any", wait_ms: int) -> bytes:
        try:
            return bytes(device.read(self._in, _USB_READ_BYTES, max(1, wait_ms)))  # 0 would be without a limit
        except usb.core.USBTimeoutError:
            return b""

    def write(self, device: "Any", data: bytes, timeout_ms: int) -> None:
        try:
            device.write(self._out, data, timeout_ms)
        except usb.core.USBTimeoutError as error:
            raise TimeoutError(errno.ETIMEDOUT, "held") from error

    def close(self, device: "Any") -> None:
        usb.util.dispose_resources(device)

    def lost(self, error: OSError) -> DeviceError:
        found = usb.core.find(idVendor=self._vendor, idProduct=self._product)
        if found is None:
            return unplugged(_KIND, "USB device %04x:%04x" % (self._vendor, self._product))
        return unusable(_KIND, "/dev/bus/usb/%03d/%03d" % (found.bus, found.address), error)


def _opened(printer: "Any") -> "Any":
    """python-escpos tells why it could not open by the error that it met first."""
    try:
        printer.open()
    except DeviceNotFoundError as error:
        reason = error.__context__
        raise reason if isinstance(reason, OSError) else OSError(errno.ENODEV, str(reason)) from None
    device = printer.device
    printer.device = None  # nothing more to close, or to open, for the object itself
    return device


class LibraryLine:
    """A line by one of the ways, as hal/drivers/escpos.py uses it: what blocks is in a thread. A call that fails, or is given up, closes
    it, for one that goes on in its thread must not take what is for the next; one that was held for too long does not.

    What waits raises DeviceError: 'offline' (E_TIMEOUT where nothing got through in time), 'unplugged', 'no_permission', 'service_down'.
    """

    def __init__(self, way: "NetworkWay | SerialWay | UsbWay", clock: "Clock") -> None:
        self._way = way
        self._clock = clock
        self._worker = Worker(_KIND, clock)
        self._device: Any = None  # while it is open
        self._received = bytearray()

    @property
    def is_open(self) -> bool:
        return self._device is not None

    async def open(self) -> None:
        self.close()
        self._device = await self._call(self._way.open, _OPEN_MS)

    async def write(self, data: "bytes | bytearray | memoryview", timeout_ms: int) -> None:
        """Give all of it to the printer, or to what the kernel keeps for it."""
        await self._call(partial(self._way.write, self._opened(), bytes(data), timeout_ms), timeout_ms)

    async def read_byte(self, until_ms: int) -> int:
        """The next byte received, or -1 when it has not come by `until_ms` of the monotonic clock."""
        if not self._received:
            wait_ms = max(0, until_ms - self._clock.monotonic_ms())
            self._received += await self._call(partial(self._way.read, self._opened(), wait_ms), wait_ms)
        return self._received.pop(0) if self._received else -1

    def close(self) -> None:
        """In a thread of its own, for a serial line first sends what it still has."""
        device, self._device = self._device, None
        self._received = bytearray()
        self._worker.stop()
        if device is not None:
            threading.Thread(target=self._way.close, args=(device,), name=_KIND + " closing", daemon=True).start()

    def _opened(self) -> "Any":
        if self._device is None:  # another use of the device has met an error
            raise DeviceError(E_OFFLINE, _KIND, "the way to the printer was closed", cause="offline")
        return self._device

    async def _call(self, function: "Callable[[], T]", timeout_ms: int) -> "T":
        stays_open = False
        try:
            result = await self._worker.call(partial(self._told, function, timeout_ms), timeout_ms + _MARGIN_MS)
            stays_open = True
        except TimeoutError:
            raise _held(timeout_ms) from None
        except DeviceError as error:
            stays_open = error.code == E_TIMEOUT  # held is not lost
            raise
        finally:
            if not stays_open:
                self.close()
        return result

    def _told(self, function: "Callable[[], T]", timeout_ms: int) -> "T":
        """In the thread."""
        try:
            return function()
        except TimeoutError:
            raise _held(timeout_ms) from None
        except OSError as error:
            raise self._way.lost(error) from error


def _held(timeout_ms: int) -> DeviceError:
    return DeviceError(E_TIMEOUT, _KIND, "nothing got through in %d ms" % timeout_ms, cause="offline")


class LibraryPrinter(EscposDevice):
    """profile: a name from python-escpos' list, which also gives what is 0 here: width_dots, of the head (in whole bytes), and columns, of
    font A; where width_dots is given, as many columns as fit in it. Raises ValueError with what there is, or is missing.

    Level 1 where the profile says that the printer has no raster images (GS v 0).
    """

    def __init__(
        self,
        way: "NetworkWay | SerialWay | UsbWay",
        clock: "Clock",
        profile: str,
        width_dots: int,
        columns: int,
        answers_status: bool,
        answer_ms: int = ANSWER_MS,
        late_ms: int = ANSWER_MS,
    ) -> None:
        if profile not in CAPABILITIES["profiles"]:
            raise ValueError("printer: no profile %r; there are: %s" % (profile, ", ".join(sorted(CAPABILITIES["profiles"]))))
        facts = CAPABILITIES["profiles"][profile]
        features = facts["features"]
        columns = columns or (width_dots // _CELL_DOTS if width_dots else facts["fonts"]["0"]["columns"])
        if not width_dots:
            known = facts["media"].get("width", {}).get("pixels")
            if not isinstance(known, int):
                raise ValueError("printer: width_dots is needed, for the profile %r does not say it" % profile)
            width_dots = known // 8 * 8
        if width_dots < 8 or width_dots % 8 or columns < 1:
            raise ValueError("printer: width_dots %r, columns %r: a multiple of 8, and at least 1" % (width_dots, columns))
        cut = CUT if features["paperFullCut"] or features["paperPartCut"] else FEED + bytes([_TEAR_LINES])
        self._library_line = LibraryLine(way, clock)
        super().__init__(self._library_line, width_dots, columns, clock, answers_status, cut, answer_ms, late_ms)
        if not features["bitImageRaster"]:
            self.level = 1

    async def _bring_up(self) -> None:
        await self._library_line.open()
        await super()._bring_up()

    def _shut_down(self) -> None:
        self._library_line.close()

    async def _ask_status(self, queries: "tuple[int, ...]") -> "PrinterStatus":
        """What each printing and each check begins with: a way that was lost, or shows to be lost now, is opened anew, once."""
        if self._library_line.is_open:
            try:
                await self._receive_waiting()
                return await super()._ask_status(queries)
            except DeviceError as error:
                if error.code == E_TIMEOUT:
                    raise
        await self._bring_up()
        return await super()._ask_status(self._answered)


class EscposNetwork(LibraryPrinter):
    """A printer at a TCP port, by Ethernet or Wi-Fi."""

    part = "escpos_network"

    def __init__(
        self,
        host: str,
        clock: "Clock",
        port: int = 9100,
        profile: str = "default",
        width_dots: int = 0,
        columns: int = 0,
        answers_status: bool = False,
    ) -> None:
        way = NetworkWay(host, port)
        super().__init__(way, clock, profile, width_dots, columns, answers_status, _NETWORK_ANSWER_MS, _NETWORK_LATE_MS)


class EscposSerial(LibraryPrinter):
    """A printer at a serial line, or at an adapter that makes one of USB."""

    part = "escpos_serial"

    def __init__(
        self,
        device: str,
        clock: "Clock",
        baudrate: int = 9600,
        profile: str = "default",
        width_dots: int = 0,
        columns: int = 0,
        answers_status: bool = False,
    ) -> None:
        super().__init__(SerialWay(device, baudrate), clock, profile, width_dots, columns, answers_status)


class EscposUsb(LibraryPrinter):
    """A printer of the USB printer class. The kernel's own driver for it (usblp) is taken off."""

    part = "escpos_usb"

    def __init__(
        self,
        vendor: int,
        product: int,
        clock: "Clock",
        profile: str = "default",
        width_dots: int = 0,
        columns: int = 0,
        answers_status: bool = False,
    ) -> None:
        super().__init__(UsbWay(vendor, product), clock, profile, width_dots, columns, answers_status)
