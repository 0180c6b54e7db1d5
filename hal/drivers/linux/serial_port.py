"""A serial port of a Linux machine behind MicroPython's UART calls, for the drivers of parts on a serial line."""

import os

import serial  # type: ignore[import-untyped]

from hal.drivers.linux.device_file import unplugged, unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.errors import DeviceError


class SerialPort:
    """device: path, best one of /dev/serial/by-id; baudrate: one of serial.Serial.BAUDRATES, at 8N1; kind: the contract of what is on it.

    As a UART made with timeout=0: no call waits. The first call opens the port for this program alone; so does each call after it was lost.
    Each raises DeviceError: 'unplugged', 'no_permission', or another file than a serial port's. Raises ValueError for such a baudrate.
    """

    def __init__(self, device: str, baudrate: int, kind: str = "scanner") -> None:
        if baudrate not in serial.Serial.BAUDRATES:
            rates = " ".join([str(rate) for rate in serial.Serial.BAUDRATES])
            raise ValueError("%s: baudrate %r is none of %s" % (kind, baudrate, rates))
        self._device = device
        self._baudrate = baudrate
        self._kind = kind
        self._port: Any = None

    def any(self) -> int:
        """How many bytes can be read at once."""
        port = self._opened()
        try:
            return int(port.in_waiting)
        except OSError as error:
            raise self._lost() from error

    def read(self, length: int) -> "bytes | None":
        """Up to `length` bytes; None when nothing has come."""
        port = self._opened()
        try:
            return port.read(length) or None  # of all ways to read, pyserial's knows a line that is gone from one that is silent
        except OSError as error:
            raise self._lost() from error

    def readinto(self, buffer: "bytearray | memoryview") -> "int | None":
        """How many bytes it was, up to the buffer's length; None when nothing has come."""
        data = self.read(len(buffer))
        if data is None:
            return None
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: "bytes | bytearray | memoryview") -> "int | None":
        """How many bytes the port has taken; None when it takes none now."""
        port = self._opened()
        try:
            return os.write(port.fileno(), data)  # pyserial's write does not end while a full line takes nothing
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._lost() from error

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _opened(self) -> "Any":
        if self._port is None:
            try:
                self._port = serial.Serial(self._device, self._baudrate, timeout=0, exclusive=True)
            except OSError as error:  # SerialException is one
                raise unusable(self._kind, self._device, error) from error
        return self._port

    def _lost(self) -> "DeviceError":
        self.close()
        return unplugged(self._kind, self._device)
