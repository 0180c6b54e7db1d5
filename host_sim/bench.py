"""The hardware of one terminal: the chips that a board lists, on the buses and pins on which it lists them."""

from __future__ import annotations

import datetime
import errno
import struct
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any, TypeVar

from host_sim.buses import Bus, I2cBus, Pins, SpiBus, UartLine
from host_sim.chips.faces import Chip, I2cChip, UartChip
from host_sim.machine import machine as op
from host_sim.mishaps import Hang, Power, Program
from host_sim.platform import RealTime, Time

B = TypeVar("B", bound=Bus)
Wire = Callable[["Bench", dict[str, Any]], Chip]  # makes the model of a part of board.json, and puts it on its bus or pins
MOST_BYTES = 1 << 20  # in one transaction: more is a broken program, not a bus
RTC_FIRST_YEAR, RTC_LAST_YEAR = 1970, 2105  # that 32 bits of seconds can show
RTC_AT_POWER_UP_S = 946684800  # 2000-01-01, where the ESP32's clock starts


def _st7789(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.st7789 import St7789Chip

    bus = bench.spi_bus(part["bus"])
    chip = St7789Chip(bench.now_ms, part["width_px"], part["height_px"], clock_hz=lambda: bus.rate_hz)
    bench.pins.listeners[part["cs"]] = lambda level: bus.select(chip, level)
    bench.pins.listeners[part["dc"]] = chip.data_command
    bench.pins.listeners[part["reset"]] = chip.reset
    bench.pins.listeners[part["backlight"]] = chip.backlight
    return chip


def _ssd1306(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.ssd1306 import Ssd1306Chip

    return bench.on_i2c(part["bus"], part["address"], Ssd1306Chip(bench.now_ms, part["width_px"], part["height_px"]))


def _matrix_keypad(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.key_matrix import KeyMatrixChip

    chip = KeyMatrixChip(bench.now_ms, part["rows"], part["columns"], part["keys"])
    for pin in part["columns"]:
        bench.pins.listeners[pin] = partial(chip.pin_driven, pin)
    for pin in [*part["rows"], *part["columns"]]:
        bench.pins.sources[pin] = partial(chip.pin_level, pin)
    return chip


def _escpos(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.escpos_printer import EscposPrinterChip

    return bench.on_uart(part["bus"], EscposPrinterChip(bench.now_ms, part["width_dots"], part["answers_status"]))


def _pn532(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.pn532 import Pn532Chip, Pn532UartChip

    if "address" not in part:
        return bench.on_uart(part["bus"], Pn532UartChip(bench.now_ms))
    return bench.on_i2c(part["bus"], part["address"], Pn532Chip(bench.now_ms))


def _atecc608(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.atecc608 import Atecc608Chip

    return bench.on_i2c(part["bus"], part["address"], Atecc608Chip(bench.now_ms))


def _serial_scanner(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.serial_scanner import SerialScannerChip

    return bench.on_uart(part["bus"], SerialScannerChip(bench.now_ms, part["answers_revision"]))


def _ds3231(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.ds3231 import Ds3231Chip

    chip = Ds3231Chip(bench.now_ms)
    chip.set_time(bench.time.time())  # as the terminal leaves the works
    return bench.on_i2c(part["bus"], part["address"], chip)


def _buzzer(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.buzzer import BuzzerChip

    chip = BuzzerChip(bench.now_ms)
    bench.pwm_listeners[part["pin"]] = chip.driven
    return chip


def _file_storage(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.flash import FlashChip

    return FlashChip(bench.now_ms)


def _wlan(bench: Bench, part: dict[str, Any]) -> Chip:
    from host_sim.chips.wifi import WifiChip

    return WifiChip(bench.now_ms)


# The part of board.json -> how it is wired. Parts without a chip of their own (CHIPLESS) are not here.
# A model is imported when a board lists it, so that a bench needs no more than its board does.
WIRING: dict[str, Wire] = {
    "file_storage": _file_storage,
    "st7789": _st7789,
    "ssd1306": _ssd1306,
    "matrix_keypad": _matrix_keypad,
    "escpos": _escpos,
    "pn532": _pn532,
    "atecc608": _atecc608,
    "serial_scanner": _serial_scanner,
    "wlan": _wlan,
    "ds3231": _ds3231,
    "buzzer": _buzzer,
}
CHIPLESS = frozenset({"system_clock", "software_key", "iso8583_payment"})


class Bench:
    """board: the facts of a board.json. time: of all chips; the machine's own unless given. wiring: for the parts that WIRING
    does not know, as host_sim.boards.wiring_of gives it.

    chips: the models by the kind of the device ('display'); buses: by the board's names ('reader_bus'), with the faults of
    the wires. Raises ValueError for a part that has no model.
    """

    def __init__(self, board: dict[str, Any], time: Time | None = None, wiring: Mapping[str, Wire] | None = None) -> None:
        self.time = time or RealTime()
        self.power = Power(self)
        self.program = Program(self)
        self.unique_id = b"\x24\x0a\xc4\x00\x00\x01"  # 0x240ac4: a block of addresses of Espressif
        self.rtc_has_battery = False
        self.analogue: dict[int, int] = {}  # pin -> 0..65535
        self.on_reset: Callable[[], None] = lambda: None  # the program is stopped where it stands, to be started anew
        self.on_power_cut: Callable[[], None] = lambda: None  # it is stopped where it stands, and the terminal is off
        self._power_goes = False
        self.pins = Pins()
        self.pwm_listeners: dict[int, Callable[[int, int], None]] = {}  # pin -> told Hz (0: not driven) and duty, 0..65535
        random = Random(board["id"])
        self.buses: dict[str, Bus] = {name: _bus(facts, random) for name, facts in board["buses"].items()}
        self.chips: dict[str, Chip] = {}
        wires = {**WIRING, **(wiring or {})}
        for kind, part in board["parts"].items():
            if part["part"] in CHIPLESS:
                continue
            if part["part"] not in wires:
                raise ValueError(f"no chip model for part {part['part']!r} ({kind}); there are: {', '.join(sorted(wires))}")
            self.chips[kind] = wires[part["part"]](self, part)
        self._operations: dict[int, Callable[[int, int, bytes], tuple[int, bytes]]] = {
            op.PIN_MODE: self._pin_mode,
            op.PIN_WRITE: self._pin_write,
            op.PIN_READ: lambda unit, argument, data: (self.pins.read(unit), b""),
            op.I2C_OPEN: lambda unit, argument, data: self._open(I2cBus, unit, argument, tuple(data)),
            op.I2C_WRITE: lambda unit, argument, data: (self._opened(I2cBus, unit).write(argument, data), b""),
            op.I2C_READ: lambda unit, argument, data: (0, self._opened(I2cBus, unit).read(argument & 0xFF, _length(argument >> 8))),
            op.I2C_SCAN: lambda unit, argument, data: (0, self._opened(I2cBus, unit).scan()),
            op.SPI_OPEN: lambda unit, argument, data: self._open(SpiBus, unit, argument, tuple(data)),
            op.SPI_WRITE: self._spi_write,
            op.SPI_TRANSFER: lambda unit, argument, data: (0, self._opened(SpiBus, unit).transfer(data)),
            op.UART_OPEN: self._uart_open,
            op.UART_WRITE: lambda unit, argument, data: (self._opened(UartLine, unit).write(data), b""),
            op.UART_READ: lambda unit, argument, data: (0, self._opened(UartLine, unit).read(_length(argument))),
            op.UART_ANY: lambda unit, argument, data: (self._opened(UartLine, unit).waiting(), b""),
            op.ADC_READ: lambda unit, argument, data: (self.analogue.get(unit, 0), b""),
            op.PWM_WRITE: self._pwm_write,
            op.RTC_READ: self._rtc_read,
            op.RTC_WRITE: self._rtc_write,
            op.WDT_OPEN: self._watchdog_open,
            op.WDT_FEED: self._watchdog_feed,
            op.UNIQUE_ID: lambda unit, argument, data: (0, self.unique_id),
            op.RESET: self._reset,
            op.RESET_CAUSE: lambda unit, argument, data: (self.reset_cause, b""),
            op.WLAN_ACTIVE: self._wlan_active,
            op.WLAN_CONNECT: self._wlan_connect,
            op.WLAN_DISCONNECT: self._wlan_disconnect,
            op.WLAN_STATUS: lambda unit, argument, data: (self._wifi.status(), b""),
            op.WLAN_RSSI: lambda unit, argument, data: (self._wifi.rssi(), b""),
            op.WLAN_ADDRESSES: self._wlan_addresses,
            op.WLAN_SCAN: self._wlan_scan,
            op.WLAN_MAC: lambda unit, argument, data: (0, self.unique_id),
            op.FLASH_CALL: self._flash_call,
            op.NET_RESOLVE: lambda unit, argument, data: (0, self._wifi.resolve(data.decode(errors="replace")).encode()),
        }
        self._wall_us = RTC_AT_POWER_UP_S * 1_000_000
        self._wall_set_at_ms = self.now_ms()
        self._power_up()

    def transact(self, operation: int, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        """One operation of the virtual machine (see host_sim.machine.machine): what the hardware answers.

        Raises OSError as MicroPython's drivers do: ENODEV (nobody acknowledges), ETIMEDOUT (bus stuck), EINVAL (no such
        operation, or not in a form that could come from the `machine` module).
        """
        if self._power_goes:  # what was written last is on the flash: nothing after it happens
            self._power_goes = False
            self.on_power_cut()
            raise op.MachineReset("the power was cut")
        handler = self._operations.get(operation)
        if handler is None or len(data) > MOST_BYTES:
            raise OSError(errno.EINVAL, "no such operation")
        kind = self._kind_used(operation, unit, argument)
        if kind:
            self.power.used(kind)
            self.program.used(kind)
        return handler(unit, argument, data)

    def now_ms(self) -> int:
        """Milliseconds that never go back."""
        return self.time.now_ms()

    def stop_program(self, why: str) -> None:
        """The microcontroller has started anew, in whatever way: the program that ran goes no further. Raises MachineReset."""
        self.on_reset()
        raise op.MachineReset(why)

    def hang(self) -> None:
        """A call that does not return: time goes at once to where the watchdog ends it. Raises MachineReset, or Hang without a watchdog."""
        if self._watchdog_due_ms is None:
            raise Hang("a call does not return, and there is no watchdog")
        self.time.advance(max(0, self._watchdog_due_ms + 1 - self.now_ms()))
        self.watchdog_reset()
        self.stop_program("reset by the watchdog")

    def power_cycle(self) -> None:
        """Power off and on: what is volatile is lost, what is broken stays broken."""
        if not self.rtc_has_battery:
            self.set_rtc(RTC_AT_POWER_UP_S)
        self._power_up()

    def watchdog_expired(self) -> bool:
        """Whether the program failed to feed its watchdog: whoever runs the program stops it then, and calls watchdog_reset."""
        return self.watchdog_left_ms() == 0

    def watchdog_left_ms(self) -> int | None:
        """In how many milliseconds the watchdog ends the program, unless it is fed. None: it does not run."""
        if self._watchdog_due_ms is None:
            return None
        return max(0, self._watchdog_due_ms + 1 - self.now_ms())

    def watchdog_reset(self) -> None:
        self._restart(op.WDT_RESET)

    def bus_fault(self, bus: str, fault: str, on: bool = True) -> None:
        """Switch a fault of a wire on or off: bus_fault('reader_bus', 'stuck_line'). Raises ValueError with what exists."""
        if bus not in self.buses:
            raise ValueError(f"no bus {bus!r}; there are: {', '.join(sorted(self.buses))}")
        self.buses[bus].fault(fault, on)

    def set_rtc(self, wall_s: int) -> None:
        """The hardware clock shows this time, seconds since 1970 UTC, and runs on from it."""
        self._wall_us = wall_s * 1_000_000
        self._wall_set_at_ms = self.now_ms()

    def jump_rtc(self, seconds: int) -> None:
        """The time that it shows goes ahead by so much, or behind."""
        self._wall_us += seconds * 1_000_000

    # For the wiring of parts.

    def spi_bus(self, name: str) -> SpiBus:
        bus = self.buses[name]
        assert isinstance(bus, SpiBus), name
        return bus

    def on_i2c(self, name: str, address: int, chip: I2cChip) -> I2cChip:
        bus = self.buses[name]
        assert isinstance(bus, I2cBus), name
        bus.chips[address] = chip
        return chip

    def on_uart(self, name: str, chip: UartChip) -> UartChip:
        line = self.buses[name]
        assert isinstance(line, UartLine), name
        line.chip = chip
        chip.send = line.from_chip
        return chip

    # Power.

    def _power_up(self) -> None:
        self._power_goes = False
        self._restart(op.PWRON_RESET)
        for chip in self.chips.values():
            chip.power_up()

    def _restart(self, cause: int) -> None:
        """The microcontroller starts anew; the chips around it keep their state, as after a crash."""
        self.reset_cause = cause
        self._units: dict[tuple[type[Bus], int], Bus] = {}
        self._watchdog_ms = 0
        self._watchdog_due_ms: int | None = None
        for bus in self.buses.values():
            bus.power_up()
        self.pins.power_up()
        for listener in self.pwm_listeners.values():
            listener(0, 0)
        if "network" in self.chips:
            self._wifi.restart()

    def _reset(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        self._restart(op.HARD_RESET)
        self.stop_program("reset by the program")
        return 0, b""

    # Operations.

    def _kind_used(self, operation: int, unit: int, argument: int) -> str:
        """The kind of the device that an operation turns to; '' where it does not matter for what may befall the microcontroller."""
        chip: Chip | None = None
        if operation == op.WLAN_ACTIVE and argument == 1:
            return "network"
        if operation == op.I2C_WRITE:
            bus = self._units.get((I2cBus, unit))
            chip = bus.chips.get(argument) if isinstance(bus, I2cBus) else None
        elif operation == op.UART_WRITE:
            line = self._units.get((UartLine, unit))
            chip = line.chip if isinstance(line, UartLine) else None
        return next((kind for kind, found in self.chips.items() if found is chip), "") if chip is not None else ""

    def _open(self, kind: type[Bus], unit: int, rate: int, pins: tuple[int, ...]) -> tuple[int, bytes]:
        """A bus controller is connected to pins: to the chips if they are wired to just these, else to nothing."""
        wanted = tuple(None if pin == op.NO_PIN else pin for pin in pins)
        for bus in self.buses.values():
            if isinstance(bus, kind) and bus.pins == wanted:
                break
        else:
            bus = _unwired(kind, wanted)
        bus.open(rate)
        self._units[(kind, unit)] = bus
        return 0, b""

    def _opened(self, kind: type[B], unit: int) -> B:
        bus = self._units.get((kind, unit))
        if not isinstance(bus, kind):
            raise OSError(errno.EINVAL, "bus is not open")
        return bus

    def _pin_mode(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        mode, pull = argument & 0xFF, argument >> 8 & 0xFF
        self.pins.configure(unit, mode in (op.Pin.OUT, op.Pin.OPEN_DRAIN), pull == op.Pin.PULL_DOWN, mode == op.Pin.OPEN_DRAIN)
        return 0, b""

    def _pin_write(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        self.pins.write(unit, 1 if argument else 0)
        return 0, b""

    def _spi_write(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        self._opened(SpiBus, unit).transfer(data)
        return 0, b""

    def _uart_open(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        transmit, receive, buffer_limit = _unpack("<BBH", data)
        self._open(UartLine, unit, argument, (transmit, receive))
        self._opened(UartLine, unit).buffer_limit = buffer_limit
        return 0, b""

    def _pwm_write(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        (duty_u16,) = _unpack("<H", data)
        if unit in self.pwm_listeners:
            self.pwm_listeners[unit](max(0, argument), duty_u16)
        return 0, b""

    def _rtc_read(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        now_us = self._wall_us + (self.now_ms() - self._wall_set_at_ms) * 1000
        now = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=now_us)
        fields = (now.year, now.month, now.day, now.weekday(), now.hour, now.minute, now.second, now.microsecond)
        return 0, struct.pack(op.RTC_FORMAT, *fields)

    def _rtc_write(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        year, month, day, _, hour, minute, second, microsecond = _unpack(op.RTC_FORMAT, data)
        if not RTC_FIRST_YEAR <= year <= RTC_LAST_YEAR:
            raise OSError(errno.EINVAL, "no such year")
        try:
            moment = datetime.datetime(year, month, day, hour, minute, second, microsecond)
        except ValueError:
            raise OSError(errno.EINVAL, "no such date") from None
        self._wall_us = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        self._wall_set_at_ms = self.now_ms()
        return 0, b""

    def _watchdog_open(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        self._watchdog_ms = argument
        return self._watchdog_feed(unit, argument, data)

    def _watchdog_feed(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        if self._watchdog_ms <= 0:
            raise OSError(errno.EINVAL, "the watchdog is not running")
        if self.watchdog_expired():
            return 0, b""  # too late: it has fired already
        self._watchdog_due_ms = self.now_ms() + self._watchdog_ms
        return 0, b""

    def _flash_call(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        flash: Any = self.chips.get("storage")
        wrong_bits = flash.admit(argument) if flash is not None else 0
        self._power_goes = getattr(flash, "power_goes", False)
        return wrong_bits, b""

    @property
    def _wifi(self) -> Any:
        if "network" not in self.chips:
            raise OSError(errno.ENODEV, "this board has no Wi-Fi")
        return self.chips["network"]

    def _wlan_active(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        if argument >= 0:
            self._wifi.activate(argument == 1)
        return int(self._wifi.active), b""

    def _wlan_connect(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        ssid, _, password = data.partition(b"\x00")
        try:
            self._wifi.connect(ssid.decode(), password.decode())
        except UnicodeDecodeError:
            raise OSError(errno.EINVAL, "not UTF-8") from None
        return 0, b""

    def _wlan_disconnect(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        self._wifi.disconnect()
        return 0, b""

    def _wlan_addresses(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        if data:
            own = data.decode(errors="replace").split(" ")
            if data != b"dhcp" and len(own) != 4:
                raise OSError(errno.EINVAL, "not four addresses")
            self._wifi.have_addresses(None if data == b"dhcp" else tuple(own))
        return 0, " ".join(self._wifi.addresses()).encode()

    def _wlan_scan(self, unit: int, argument: int, data: bytes) -> tuple[int, bytes]:
        lines = [f"{ssid.hex()} {channel} {rssi} {security}" for ssid, channel, rssi, security in self._wifi.scan()]
        return 0, "\n".join(lines).encode()


def _bus(facts: dict[str, Any], random: Random) -> Bus:
    kind = facts["kind"]
    if kind == "i2c":
        return I2cBus((facts["scl"], facts["sda"]), random)
    if kind == "spi":
        return SpiBus((facts["sck"], facts["mosi"], facts.get("miso")), random)
    if kind == "uart":
        return UartLine((facts["tx"], facts["rx"]), random, facts["baudrate"])
    raise ValueError(f"no such kind of bus: {kind!r}")


def _unwired(kind: type[Bus], pins: tuple[int | None, ...]) -> Bus:
    """A bus on pins to which the board wires nothing."""
    return UartLine(pins, Random(0), 0) if kind is UartLine else kind(pins, Random(0))


def _length(value: int) -> int:
    if not 0 <= value <= MOST_BYTES:
        raise OSError(errno.EINVAL, "length out of range")
    return value


def _unpack(form: str, data: bytes) -> tuple[int, ...]:
    if len(data) != struct.calcsize(form):
        raise OSError(errno.EINVAL, "wrong length")
    return struct.unpack(form, data)
