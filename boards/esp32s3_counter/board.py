"""The counter terminal: builds its Hal from board.json and the platform's modules."""

import json

from hal.compat import beside
from hal.drivers.atecc608 import Atecc608
from hal.drivers.buzzer import Buzzer
from hal.drivers.ds3231 import Ds3231
from hal.drivers.escpos import EscposPrinter
from hal.drivers.file_storage import FileStorage
from hal.drivers.iso8583_payment import Iso8583Payment
from hal.drivers.machine_watchdog import MachineWatchdog
from hal.drivers.matrix_keypad import MatrixKeypad
from hal.drivers.pn532 import Pn532, Pn532OverI2c
from hal.drivers.serial_scanner import SerialScanner
from hal.drivers.st7789 import St7789
from hal.drivers.system_clock import SystemClock
from hal.drivers.wlan import Wlan
from hal.hal import Hal, buses_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.platform import Platform


def facts() -> "dict[str, Any]":
    """The board's facts: board.json."""
    with open(beside(__file__, "board.json")) as file:
        board: dict[str, Any] = json.load(file)
    return board


def build(platform: "Platform") -> Hal:
    """The terminal's devices, not yet brought up. Touches no hardware but the pins' directions."""
    machine = platform.machine
    board = facts()
    buses = board["buses"]
    parts = board["parts"]

    part = parts["clock"]
    security_bus = _i2c(machine, buses[part["bus"]])  # clock and secure element share it
    clock = SystemClock(platform.time, Ds3231(security_bus, part["address"]), platform.sleep_ms, machine.RTC())
    storage = FileStorage(platform.files)
    bus = buses["display_bus"]
    part = parts["display"]
    spi = machine.SPI(
        bus["id"],
        baudrate=bus["baudrate_hz"],
        sck=machine.Pin(bus["sck"]),
        mosi=machine.Pin(bus["mosi"]),
        miso=machine.Pin(bus["miso"]),
    )
    display = St7789(
        spi,
        chip_select=machine.Pin(part["cs"], machine.Pin.OUT, value=1),
        data_command=machine.Pin(part["dc"], machine.Pin.OUT, value=0),
        reset=machine.Pin(part["reset"], machine.Pin.OUT, value=1),
        backlight=machine.Pin(part["backlight"], machine.Pin.OUT, value=0),
        width_px=part["width_px"],
        height_px=part["height_px"],
        clock=clock,
        baudrate_hz=bus["baudrate_hz"],
        reads_back=part["reads_back"],
    )
    part = parts["keypad"]
    keypad = MatrixKeypad(
        rows=[machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP) for number in part["rows"]],
        # Open drain: two keys held in one row join two columns, and a column that is not scanned must not drive against one that is. Pulled
        # up: a released column that reads low is shorted.
        columns=[machine.Pin(number, machine.Pin.OPEN_DRAIN, machine.Pin.PULL_UP, value=1) for number in part["columns"]],
        layout=part["keys"],
        clock=clock,
    )
    part = parts["printer"]
    printer = EscposPrinter(
        _uart(machine, buses[part["bus"]]),
        width_dots=part["width_dots"],
        columns=part["columns"],
        clock=clock,
        answers_status=part["answers_status"],
    )
    part = parts["card_reader"]
    card_reader = Pn532(Pn532OverI2c(_i2c(machine, buses[part["bus"]]), part["address"], clock), clock)
    part = parts["scanner"]
    scanner = SerialScanner(_uart(machine, buses[part["bus"]]), clock, answers_revision=part["answers_revision"])
    wlan = Wlan(platform.network, clock, platform.resolve)
    return Hal(
        board=board["id"],
        hardware_id="".join("%02x" % byte for byte in machine.unique_id()),
        clock=clock,
        storage=storage,
        secure_element=Atecc608(security_bus, parts["secure_element"]["address"], clock),
        display=display,
        keypad=keypad,
        printer=printer,
        card_reader=card_reader,
        scanner=scanner,
        network=wlan,
        payment=Iso8583Payment(clock, storage, wlan),
        watchdog=MachineWatchdog(machine.WDT),
        program=platform.program,
        spare=platform.spare,
        sounder=Buzzer(machine.PWM, machine.Pin(parts["sounder"]["pin"], machine.Pin.OUT, value=0), clock),
        buses=buses_of(parts),
    )


def _i2c(machine: "Any", bus: "dict[str, Any]") -> "Any":
    return machine.I2C(bus["id"], scl=machine.Pin(bus["scl"]), sda=machine.Pin(bus["sda"]), freq=bus["frequency_hz"])


def _uart(machine: "Any", bus: "dict[str, Any]") -> "Any":
    return machine.UART(bus["id"], baudrate=bus["baudrate"], tx=machine.Pin(bus["tx"]), rx=machine.Pin(bus["rx"]), timeout=0, rxbuf=1024)
