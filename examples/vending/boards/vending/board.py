"""The card reader of a vending machine: builds its Hal from board.json and the platform's modules."""

import json

from hal.compat import beside
from hal.drivers.escpos import EscposPrinter
from hal.drivers.file_storage import FileStorage
from hal.drivers.iso8583_payment import Iso8583Payment
from hal.drivers.machine_watchdog import MachineWatchdog
from hal.drivers.matrix_keypad import MatrixKeypad
from hal.drivers.pn532 import Pn532, Pn532OverUart
from hal.drivers.software_key import SoftwareKey
from hal.drivers.ssd1306 import Ssd1306
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
    pin = machine.Pin
    board = facts()
    buses = board["buses"]
    parts = board["parts"]

    clock = SystemClock(platform.time, machine.RTC(), platform.sleep_ms)
    storage = FileStorage(platform.files)
    bus = buses["display_bus"]
    part = parts["display"]
    i2c = machine.I2C(bus["id"], scl=pin(bus["scl"]), sda=pin(bus["sda"]), freq=bus["frequency_hz"])
    display = Ssd1306(i2c, part["address"], part["width_px"], part["height_px"], clock)
    part = parts["keypad"]
    keypad = MatrixKeypad(
        rows=[pin(number, pin.IN, pin.PULL_UP) for number in part["rows"]],
        columns=[pin(number, pin.OPEN_DRAIN, pin.PULL_UP, value=1) for number in part["columns"]],
        layout=part["keys"],
        clock=clock,
    )
    part = parts["printer"]
    printer = EscposPrinter(_uart(machine, buses["printer_line"]), part["width_dots"], part["columns"], clock, part["answers_status"])
    wlan = Wlan(platform.network, clock, platform.resolve)
    return Hal(
        board=board["id"],
        hardware_id="".join("%02x" % byte for byte in machine.unique_id()),
        clock=clock,
        storage=storage,
        secure_element=SoftwareKey(storage),
        display=display,
        keypad=keypad,
        printer=printer,
        card_reader=Pn532(Pn532OverUart(_uart(machine, buses["reader_line"]), clock), clock),
        network=wlan,
        payment=Iso8583Payment(clock, storage, wlan),
        watchdog=MachineWatchdog(machine.WDT),
        program=platform.program,
        spare=platform.spare,
        buses=buses_of(parts),
    )


def _uart(machine: "Any", bus: "dict[str, Any]") -> "Any":
    return machine.UART(bus["id"], baudrate=bus["baudrate"], tx=machine.Pin(bus["tx"]), rx=machine.Pin(bus["rx"]), timeout=0, rxbuf=1024)
