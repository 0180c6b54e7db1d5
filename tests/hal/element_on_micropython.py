"""Run by MicroPython, joined to a bench: brings the secure element up, uses it, prints what it found as JSON."""

import asyncio
import gc
import json
import sys
import time

import machine

from hal.drivers.atecc608 import Atecc608
from hal.drivers.system_clock import SystemClock
from hal.errors import DeviceError

DIGEST = bytes(range(32))


async def main():
    clock = SystemClock(time, machine.RTC(), asyncio.sleep_ms)
    i2c = machine.I2C(1, scl=machine.Pin(12), sda=machine.Pin(11), freq=100000)
    element = Atecc608(i2c, 96, clock)
    found = {"runtime": sys.implementation.name}
    element.open()
    element.claim()
    try:
        await element.enable()
        public = await element.generate_key(0)
        gc.collect()
        before = gc.mem_alloc()
        signature = await element.sign(0, DIGEST)
        found["public"] = public.hex()
        found["signature"] = signature.hex()
        good = await element.verify(public, DIGEST, signature)
        altered = await element.verify(public, bytes(32), signature)
        off_the_curve = await element.verify(bytes(64), DIGEST, signature)
        found["verified"] = [good, altered, off_the_curve]
        found["random"] = len(await element.random(100))
        await element.count(True)
        found["count"] = await element.count(True)
        found["garbage_bytes"] = gc.mem_alloc() - before
        private, transport = await element.transport_key()
        found["transport"] = [private.hex(), transport.hex()]
        try:
            await element.public_key(1)
        except DeviceError as error:
            found["empty"] = error.name
    except DeviceError as error:
        found["error"] = [error.kind, error.name]
    health = await element.check_health(1)
    found["health"] = [health.outcome, health.cause]
    found["keys"] = health.measurements.get("keys")
    print(json.dumps(found))


asyncio.run(main())
