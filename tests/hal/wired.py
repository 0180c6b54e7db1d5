"""One device wired to its chip model over the virtual machine, on simulated time: what the driver tests of this folder use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hal.device import Device
from hal.drivers.system_clock import SystemClock
from hal.errors import DeviceError
from host_sim.bench import Bench
from host_sim.chips.faces import UartChip
from host_sim.machine.machine import Machine
from host_sim.simulated_time import SimulatedTime

T = TypeVar("T")

BOARD: dict[str, Any] = {
    "id": "driver_bench",
    "buses": {
        "reader_bus": {"kind": "i2c", "id": 0, "scl": 9, "sda": 8, "frequency_hz": 400000},
        "element_bus": {"kind": "i2c", "id": 1, "scl": 12, "sda": 11, "frequency_hz": 100000},
        "printer_line": {"kind": "uart", "id": 1, "tx": 17, "rx": 18, "baudrate": 115200},
        "scanner_line": {"kind": "uart", "id": 2, "tx": 15, "rx": 16, "baudrate": 9600},
    },
    "parts": {
        "printer": {"part": "escpos", "bus": "printer_line", "width_dots": 384, "columns": 32, "answers_status": True},
        "card_reader": {"part": "pn532", "bus": "reader_bus", "address": 36},
        "secure_element": {"part": "atecc608", "bus": "element_bus", "address": 96},
        "scanner": {"part": "serial_scanner", "bus": "scanner_line", "answers_revision": True},
        "clock": {"part": "ds3231", "bus": "reader_bus", "address": 104},
        "sounder": {"part": "buzzer", "pin": 48},
    },
}


class Wired:
    """A bench with a printer, a card reader, a scanner and a secure element, its virtual machine, and a clock on simulated time."""

    def __init__(self) -> None:
        self.time = SimulatedTime()
        self.bench = Bench(BOARD, self.time)
        self.machine = Machine(self.bench)
        self.clock = SystemClock(self.time, self.machine.RTC(), self.time.sleep_ms)

    def uart(self, name: str) -> Any:
        bus = BOARD["buses"][name]
        return self.machine.UART(bus["id"], baudrate=bus["baudrate"], tx=bus["tx"], rx=bus["rx"], timeout=0, rxbuf=1024)

    def i2c(self, name: str = "reader_bus") -> Any:
        bus = BOARD["buses"][name]
        return self.machine.I2C(bus["id"], scl=bus["scl"], sda=bus["sda"], freq=bus["frequency_hz"])

    def rewire(self, line: str, chip: UartChip) -> None:
        """Put another chip on a serial line."""
        self.bench.on_uart(line, chip)
        chip.power_up()

    def run(self, program: Coroutine[Any, Any, T]) -> T:
        return self.time.run(program)

    def bring_up(self, device: Device) -> None:
        device.open()
        device.claim()
        self.run(device.enable())

    async def during(self, program: Coroutine[Any, Any, T], after_ms: int, event: Callable[[], None]) -> T:
        """A program with an `event` that happens after some time."""
        task = asyncio.ensure_future(program)
        await self.time.sleep_ms(after_ms)
        event()
        return await task

    def error_of(self, program: Coroutine[Any, Any, Any]) -> DeviceError:
        """The error that a program ends with."""
        try:
            self.run(program)
        except DeviceError as error:
            return error
        raise AssertionError("no DeviceError was raised")

    def duration_ms(self, program: Coroutine[Any, Any, Any]) -> int:
        before_ms = self.time.now_ms()
        self.run(program)
        return self.time.now_ms() - before_ms


class TappedUart:
    """A UART between the driver and the machine's: records what is written, takes at most `most` bytes a call."""

    def __init__(self, uart: Any, most: int = 1 << 16) -> None:
        self._uart = uart
        self.most = most
        self.sent = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> int | None:
        if self.most == 0:
            return None
        part = bytes(data[: self.most])
        self.sent += part
        taken: int = self._uart.write(part)
        return taken

    def read(self, length: int) -> bytes | None:
        data: bytes | None = self._uart.read(length)
        return data

    def readinto(self, buffer: bytearray) -> int | None:
        count: int | None = self._uart.readinto(buffer)
        return count

    def any(self) -> int:
        count: int = self._uart.any()
        return count
