"""A terminal reduced to what its way to the acquirer needs, real from the store to the socket. Runs in both runtimes.

Under MicroPython a test commands it by lines on standard input: each 'walk' is answered by one line, the Health as JSON.
"""

import asyncio
import json
import sys
import time

from firmware_agent.agent import Agent
from firmware_agent.boot.rollback import Rollback
from firmware_agent.identity.identity import Identity
from firmware_agent.links import path as links_path
from firmware_agent.links.path import Path
from firmware_agent.messages import courier as messages_courier
from firmware_agent.messages.courier import Courier
from firmware_agent.store import Store
from firmware_agent.terminal import Terminal
from hal.drivers.file_storage import FileStorage
from hal.drivers.software_key import SoftwareKey
from hal.drivers.system_clock import SystemClock
from hal.files import Files
from hal.hal import Hal


class Rtc:
    def __init__(self, year):
        self.fields = (year, 11, 22, 6, 0, 0, 0, 0)

    def datetime(self, fields=None):
        if fields is not None:
            self.fields = fields
        return self.fields


class Radio:
    """A network device that is always joined, and knows every name as this machine's."""

    kind = "network"
    level = 1
    enabled = True

    def is_connected(self):
        return True

    def address(self):
        return "127.0.0.1"

    async def resolve(self, host, timeout_ms):
        return "127.0.0.1"


def hal_in(folder, ticks, sleep_ms, year):
    """ticks: has ticks_ms and ticks_diff."""
    storage = FileStorage(Files(folder))
    hal = Hal("side", "hardware-1", SystemClock(ticks, Rtc(year), sleep_ms), storage, SoftwareKey(storage))
    hal.network = Radio()
    return hal


class Side:
    """hal: as hal_in gives it, on the files of a terminal that was provisioned."""

    def __init__(self, hal, link_class):
        self.hal = hal
        self.link_class = link_class
        self.lines = []
        self.task = None

    async def start(self):
        hal = self.hal
        for device in (hal.clock, hal.storage, hal.secure_element):
            device.open()
            device.claim()
            await device.enable()
        store = Store(hal.storage)
        store.open()
        Terminal.count_boot(store)
        terminal = Terminal(hal, store, Identity.load(store), self.lines.append)
        rollback = Rollback(store, hal.secure_element, self.lines.append)
        terminal.suppose_time(terminal.floor_s)  # as a terminal that has started does
        agent = Agent(hal, self.link_class, self.lines.append, None, None)
        courier = Courier(
            terminal,
            lambda: agent._make_link(terminal.identity),
            lambda message: agent._arrived(terminal, rollback, None, courier, self.path, message),
        )
        self.path = Path(terminal, courier)
        self.task = asyncio.create_task(courier.run())

    async def walk(self):
        """The Health, as (outcome, cause, error, measurements, detail)."""
        health = await self.path.walk()
        return [health.outcome, health.cause, health.error, health.measurements, health.detail]

    async def stop(self):
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            pass


def be_quick(limit_ms):
    """Whoever does not answer does not so for a shorter time than in the field."""
    links_path.ANSWER_MS = limit_ms
    messages_courier.CONNECT_TIMEOUT_MS = limit_ms


async def main(folder, year, limit_ms):
    from firmware_agent.links.mqtt_stream import MqttStreamLink

    if limit_ms:
        be_quick(limit_ms)

    side = Side(hal_in(folder, time, asyncio.sleep_ms, year), MqttStreamLink)
    await side.start()
    commands = asyncio.StreamReader(sys.stdin.buffer)
    while (await commands.readline()).strip() == b"walk":
        print(json.dumps(await side.walk()))
    await side.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
