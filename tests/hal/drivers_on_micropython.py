"""Run by MicroPython, joined to a bench: brings printer, card reader and scanner up, uses them, prints what they found as JSON."""

import asyncio
import gc
import json
import sys
import time

import machine

from hal.drivers.escpos import EscposPrinter
from hal.drivers.pn532 import Pn532, Pn532OverI2c
from hal.drivers.serial_scanner import SerialScanner
from hal.drivers.system_clock import SystemClock
from hal.errors import DeviceError

SELECT_PPSE = b"\x00\xa4\x04\x00\x0e2PAY.SYS.DDF01\x00"
BITS = bytes(range(48)) * 100


def uart(number, baudrate, tx, rx):
    return machine.UART(number, baudrate=baudrate, tx=machine.Pin(tx), rx=machine.Pin(rx), timeout=0, rxbuf=1024)


async def main():
    clock = SystemClock(time, machine.RTC(), asyncio.sleep_ms)
    printer = EscposPrinter(uart(1, 115200, 17, 18), 384, 32, clock)
    i2c = machine.I2C(0, scl=machine.Pin(9), sda=machine.Pin(8), freq=400000)
    reader = Pn532(Pn532OverI2c(i2c, 36, clock), clock)
    scanner = SerialScanner(uart(2, 9600, 15, 16), clock)
    found = {"runtime": sys.implementation.name}
    for device in (printer, reader, scanner):
        device.open()
        device.claim()
        try:
            await device.enable()
        except DeviceError as error:
            found[device.kind + "_bring_up"] = error.name
        health = await device.check_health(2)
        found[device.kind] = [health.outcome, health.cause]
    gc.collect()
    before = gc.mem_alloc()
    try:
        await printer.print_text("Printed by MicroPython \u4e2d\n")
        await printer.print_bitmap(384, 100, BITS)
        await printer.cut()
        if await reader.find_card(300):
            found["card"] = (await reader.exchange(SELECT_PPSE))[-2:].hex()
            await reader.release_card()
        found["firmware"] = await reader.firmware_version()
        found["code"] = await scanner.scan(300)
    except DeviceError as error:
        found["error"] = [error.kind, error.name]
    found["garbage_bytes"] = gc.mem_alloc() - before
    print(json.dumps(found))


asyncio.run(main())
