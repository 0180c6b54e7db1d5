"""A terminal reduced to its network, started inside a network namespace: each line on standard input is answered by one line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from firmware_agent.links import path as links_path
from firmware_agent.links.mqtt_paho import MqttPahoLink
from hal.device import Health
from hal.drivers.linux import interface as linux_interface
from hal.drivers.linux.interface import Interface
from hal.errors import DeviceError
from host_sim.platform import RealTime
from tests.links.path_side import Side, be_quick, hal_in

THIS_YEAR = 2026
QUICK_MS = 2500  # for answers that do not come
JOIN_MS = 800
LINK_MS = 300


def told(health: Health) -> list[Any]:
    return [health.outcome, health.cause, health.error, health.measurements, health.detail]


async def main(folder: str, name: str) -> None:
    be_quick(QUICK_MS)
    links_path.JOIN_TIMEOUT_MS = JOIN_MS  # type: ignore[attr-defined]  # a name that it imports
    linux_interface._LINK_MS = LINK_MS
    time = RealTime()
    hal = hal_in(folder, time, time.sleep_ms, THIS_YEAR)
    network = hal.network = Interface(name, hal.clock)
    network.open()
    network.claim()
    try:
        await network.enable()
    except DeviceError:
        pass  # kept for its health
    side = Side(hal, MqttPahoLink)
    await side.start()
    print(json.dumps("ready"), flush=True)
    loop = asyncio.get_running_loop()
    while command := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if command == "walk":
            answer = await side.walk()
        else:
            if command == "join":  # as whoever keeps house does
                await network.connect(JOIN_MS)
            answer = told(await network.check_health())
        print(json.dumps(answer), flush=True)
    await side.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
