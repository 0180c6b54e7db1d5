"""The `machine` module of MicroPython over a port: the same classes in process on CPython, and in a MicroPython process.

`Machine(port)` has the names of the module (Pin, I2C, SPI, UART, ADC, PWM, RTC, WDT, unique_id, reset, reset_cause), bound to that port.
A port has one method, `transact(operation, unit, argument, data) -> (number, bytes)`, which raises OSError: a bench in the same
process, or a connection to one. Signatures, constants and errors are those of the ESP32 port (docs.micropython.org, library/machine).
"""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    Buffer = bytes | bytearray | memoryview

    class Port(Protocol):
        def transact(self, operation: int, unit: int, argument: int, data: bytes) -> tuple[int, bytes]: ...


# Operations of a port. unit: number of the pin or bus; argument and data as noted; answer: (number, bytes).
PIN_MODE = 1  # argument: mode | pull << 8
PIN_WRITE = 2  # argument: level
PIN_READ = 3  # -> level
I2C_OPEN = 10  # argument: Hz; data: pins scl, sda
I2C_WRITE = 11  # argument: address; data -> bytes acknowledged
I2C_READ = 12  # argument: address | length << 8 -> data
I2C_SCAN = 13  # -> addresses as data
SPI_OPEN = 20  # argument: Hz; data: pins sck, mosi, miso
SPI_WRITE = 21  # data
SPI_TRANSFER = 22  # data -> as many bytes
UART_OPEN = 30  # argument: baud; data: pins tx, rx, then the length of the receive buffer as uint16
UART_WRITE = 31  # data
UART_READ = 32  # argument: most bytes -> data
UART_ANY = 33  # -> bytes waiting
ADC_READ = 40  # -> 0..65535
PWM_WRITE = 41  # argument: Hz, 0 to end it; data: duty_u16 as uint16
RTC_READ = 50  # -> data: RTC_FORMAT
RTC_WRITE = 51  # data: RTC_FORMAT
WDT_OPEN = 60  # argument: timeout in ms
WDT_FEED = 61
UNIQUE_ID = 70  # -> data
RESET = 71
RESET_CAUSE = 72  # -> cause
WLAN_ACTIVE = 80  # argument: -1 ask, 0 off, 1 on -> 0 or 1
WLAN_CONNECT = 81  # data: ssid, NUL, password
WLAN_DISCONNECT = 82
WLAN_STATUS = 83  # -> status
WLAN_RSSI = 84  # -> dBm
WLAN_ADDRESSES = 85  # data: empty, the same as the answer, or 'dhcp' -> data: address, mask, gateway, DNS, with blanks between
WLAN_MAC = 86  # -> data
NET_RESOLVE = 87  # data: host name -> data: its address; ENOENT: none
WLAN_SCAN = 88  # -> data: a line for each network: name in hexadecimal, channel, dBm, kind of security
TIME_WAIT = 89  # argument: for how many ms at most, -1 for ever -> whether something may have come; data: TIME_FORMAT. By server.py alone
FLASH_CALL = 90  # argument: 0 read, 1 append, 2 remove -> bits that come out wrong in the last byte; ENOSPC, EIO

NO_PIN = 255
TIME_FORMAT = "<qq"  # milliseconds, and seconds since 1970, UTC
RTC_FORMAT = "<HBBBBBBI"  # year, month, day, weekday (0 Monday), hours, minutes, seconds, microseconds

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5


class MachineReset(BaseException):
    """What `reset()` does to the running program: nothing after it runs."""


class _Bound:
    """A class of the module, made for one port by Machine."""

    port: "Port"


class Pin(_Bound):
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2

    def __init__(self, id: int, mode: "int | None" = None, pull: "int | None" = None, *, value: "int | None" = None) -> None:
        self.number = id
        self._mode = 0
        self._pull = 0
        if mode is not None or pull is not None or value is not None:
            self.init(mode, pull, value=value)

    def init(self, mode: "int | None" = None, pull: "int | None" = None, *, value: "int | None" = None) -> None:
        if value is not None:  # before the direction, so that an output starts at its value
            self.value(value)
        if mode is not None:
            self._mode = mode
        if pull is not None:
            self._pull = pull
        if mode is not None or pull is not None:
            self.port.transact(PIN_MODE, self.number, self._mode | self._pull << 8, b"")

    def value(self, x: "int | bool | None" = None) -> "int | None":
        if x is None:
            return self.port.transact(PIN_READ, self.number, 0, b"")[0]
        self.port.transact(PIN_WRITE, self.number, 1 if x else 0, b"")
        return None

    def __call__(self, x: "int | bool | None" = None) -> "int | None":
        return self.value(x)

    def on(self) -> None:
        self.value(1)

    def off(self) -> None:
        self.value(0)


def _pin_number(pin: "Pin | int | None") -> int:
    if pin is None:
        return NO_PIN
    return pin if isinstance(pin, int) else pin.number


class I2C(_Bound):
    def __init__(self, id: int, *, scl: "Pin | int", sda: "Pin | int", freq: int = 400000, timeout: int = 50000) -> None:
        self.id = id
        self.port.transact(I2C_OPEN, id, freq, bytes([_pin_number(scl), _pin_number(sda)]))

    def writeto(self, addr: int, buf: "Buffer", stop: bool = True) -> int:
        return self.port.transact(I2C_WRITE, self.id, addr, bytes(buf))[0]

    def writevto(self, addr: int, vector: "list[Buffer] | tuple[Buffer, ...]", stop: bool = True) -> int:
        return self.writeto(addr, b"".join([bytes(part) for part in vector]))

    def readfrom(self, addr: int, nbytes: int, stop: bool = True) -> bytes:
        return self.port.transact(I2C_READ, self.id, addr | nbytes << 8, b"")[1]

    def readfrom_into(self, addr: int, buf: "bytearray | memoryview", stop: bool = True) -> None:
        buf[:] = self.readfrom(addr, len(buf))

    def writeto_mem(self, addr: int, memaddr: int, buf: "Buffer", *, addrsize: int = 8) -> None:
        self.writeto(addr, memaddr.to_bytes(addrsize // 8, "big") + bytes(buf))

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int, *, addrsize: int = 8) -> bytes:
        self.writeto(addr, memaddr.to_bytes(addrsize // 8, "big"), False)
        return self.readfrom(addr, nbytes)

    def readfrom_mem_into(self, addr: int, memaddr: int, buf: "bytearray | memoryview", *, addrsize: int = 8) -> None:
        buf[:] = self.readfrom_mem(addr, memaddr, len(buf), addrsize=addrsize)

    def scan(self) -> "list[int]":
        return list(self.port.transact(I2C_SCAN, self.id, 0, b"")[1])


class SPI(_Bound):
    MSB = 0
    LSB = 1

    def __init__(
        self,
        id: int,
        baudrate: int = 1000000,
        *,
        polarity: int = 0,
        phase: int = 0,
        bits: int = 8,
        firstbit: int = 0,
        sck: "Pin | int | None" = None,
        mosi: "Pin | int | None" = None,
        miso: "Pin | int | None" = None,
    ) -> None:
        if (polarity, phase, bits, firstbit) != (0, 0, 8, SPI.MSB):
            raise ValueError("only mode 0, 8 bits, most significant first")
        self.id = id
        self._pins = bytes([_pin_number(sck), _pin_number(mosi), _pin_number(miso)])
        self.init(baudrate)

    def init(self, baudrate: int = 1000000) -> None:
        self.port.transact(SPI_OPEN, self.id, baudrate, self._pins)

    def deinit(self) -> None:
        pass

    def write(self, buf: "Buffer") -> None:
        self.port.transact(SPI_WRITE, self.id, 0, bytes(buf))

    def read(self, nbytes: int, write: int = 0) -> bytes:
        return self.port.transact(SPI_TRANSFER, self.id, 0, bytes([write]) * nbytes)[1]

    def readinto(self, buf: "bytearray | memoryview", write: int = 0) -> None:
        buf[:] = self.read(len(buf), write)

    def write_readinto(self, write_buf: "Buffer", read_buf: "bytearray | memoryview") -> None:
        if len(write_buf) != len(read_buf):
            raise ValueError("buffers must be the same length")
        read_buf[:] = self.port.transact(SPI_TRANSFER, self.id, 0, bytes(write_buf))[1]


class UART(_Bound):
    """Reads never wait: the real one waits at most `timeout` ms, and drivers set that to 0."""

    def __init__(
        self,
        id: int,
        baudrate: int = 115200,
        bits: int = 8,
        parity: "int | None" = None,
        stop: int = 1,
        *,
        tx: "Pin | int | None" = None,
        rx: "Pin | int | None" = None,
        txbuf: int = 256,
        rxbuf: int = 256,
        timeout: int = 0,
        timeout_char: int = 0,
    ) -> None:
        if (bits, parity, stop) != (8, None, 1):
            raise ValueError("only 8 bits, no parity, one stop bit")
        if timeout or timeout_char:
            raise ValueError("only timeout=0")
        self.id = id
        self._pins = struct.pack("<BBH", _pin_number(tx), _pin_number(rx), rxbuf)
        self.init(baudrate)

    def init(self, baudrate: int = 115200) -> None:
        self.port.transact(UART_OPEN, self.id, baudrate, self._pins)

    def deinit(self) -> None:
        pass

    def any(self) -> int:
        return self.port.transact(UART_ANY, self.id, 0, b"")[0]

    def read(self, nbytes: int = 65535) -> "bytes | None":
        return self.port.transact(UART_READ, self.id, nbytes, b"")[1] or None

    def readinto(self, buf: "bytearray | memoryview", nbytes: "int | None" = None) -> "int | None":
        data = self.read(len(buf) if nbytes is None else min(nbytes, len(buf)))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, buf: "Buffer") -> int:
        return self.port.transact(UART_WRITE, self.id, 0, bytes(buf))[0]

    def flush(self) -> None:
        pass

    def txdone(self) -> bool:
        return True


class ADC(_Bound):
    def __init__(self, pin: "Pin | int") -> None:
        self._pin = _pin_number(pin)

    def read_u16(self) -> int:
        return self.port.transact(ADC_READ, self._pin, 0, b"")[0]


class PWM(_Bound):
    """Unless told otherwise it begins at once with 5 kHz, high for half of the time, as on the ESP32."""

    def __init__(self, dest: "Pin | int", *, freq: int = 5000, duty_u16: int = 32768) -> None:
        self._pin = _pin_number(dest)
        self._freq = freq
        self._duty_u16 = duty_u16
        self._is_active = True
        self.freq(freq)

    def freq(self, value: "int | None" = None) -> "int | None":
        self._require_active()
        if value is None:
            return self._freq
        if not 1 <= value <= 40000000:
            raise ValueError("frequency must be from 1Hz to 40MHz")
        self._freq = value
        self._write()
        return None

    def duty_u16(self, value: "int | None" = None) -> "int | None":
        self._require_active()
        if value is None:
            return self._duty_u16
        if not 0 <= value <= 65535:
            raise ValueError("duty_u16 must be from 0 to 65535")
        self._duty_u16 = value
        self._write()
        return None

    def deinit(self) -> None:
        self._is_active = False
        self.port.transact(PWM_WRITE, self._pin, 0, b"\x00\x00")

    def _require_active(self) -> None:
        if not self._is_active:
            raise RuntimeError("PWM is inactive")

    def _write(self) -> None:
        self.port.transact(PWM_WRITE, self._pin, self._freq, struct.pack("<H", self._duty_u16))


class RTC(_Bound):
    def datetime(self, datetimetuple: "tuple[int, ...] | None" = None) -> "tuple[int, ...] | None":
        """(year, month, day, weekday, hours, minutes, seconds, microseconds)."""
        if datetimetuple is None:
            return struct.unpack(RTC_FORMAT, self.port.transact(RTC_READ, 0, 0, b"")[1])
        self.port.transact(RTC_WRITE, 0, 0, struct.pack(RTC_FORMAT, *datetimetuple))
        return None


class WDT(_Bound):
    def __init__(self, id: int = 0, timeout: int = 5000) -> None:
        self.port.transact(WDT_OPEN, id, timeout, b"")

    def feed(self) -> None:
        self.port.transact(WDT_FEED, 0, 0, b"")


class Machine:
    """The names of the module `machine`, bound to one port."""

    PWRON_RESET = PWRON_RESET
    HARD_RESET = HARD_RESET
    WDT_RESET = WDT_RESET
    DEEPSLEEP_RESET = DEEPSLEEP_RESET
    SOFT_RESET = SOFT_RESET

    def __init__(self, port: "Port") -> None:
        def bound(kind: "type[Any]") -> "Any":
            return type(kind.__name__, (kind,), {"port": port})

        self._port = port
        self.Pin = bound(Pin)
        self.I2C = bound(I2C)
        self.SPI = bound(SPI)
        self.UART = bound(UART)
        self.ADC = bound(ADC)
        self.PWM = bound(PWM)
        self.RTC = bound(RTC)
        self.WDT = bound(WDT)

    def unique_id(self) -> bytes:
        return self._port.transact(UNIQUE_ID, 0, 0, b"")[1]

    def reset(self) -> None:
        """Raises MachineReset: on a device nothing after this call runs."""
        self._port.transact(RESET, 0, 0, b"")
        raise MachineReset("reset by the program")

    def reset_cause(self) -> int:
        return self._port.transact(RESET_CAUSE, 0, 0, b"")[0]
