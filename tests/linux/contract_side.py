"""A process beside a test's terminal: takes each of its devices through its life, and tells what does not keep its contract."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time

from boards.linux_terminal import board
from boards.linux_terminal.configuration import load
from boards.linux_terminal.process import Process
from hal.device import HEALTH_FAIL, Device
from hal.drivers.linux.linux_clock import sleep_ms
from hal.errors import E_NOTCLAIMED, DeviceError
from hal.files import Files
from hal.platform import Platform
from hal.resolver import resolve

JOIN_MS = 15000


async def complaints_of(device: Device) -> list[str]:
    found = []
    try:
        await device.enable()
        found.append("enabled before it was claimed")
    except DeviceError as error:
        if error.code != E_NOTCLAIMED:
            found.append(f"before it was claimed: {error}")
    for _ in range(2):
        device.open()
        device.claim()
        await device.enable()
        if device.kind == "network":
            await device.connect(JOIN_MS)  # type: ignore[attr-defined]  # as its contract says
        found += importlib.import_module(f"hal.{device.kind}").CONTRACT.missing(device)
        health = await device.check_health(1)
        if health.kind != device.kind or health.outcome == HEALTH_FAIL:
            found.append(repr(health))
        device.disable()
        device.release()
        device.close()
    return found


async def run() -> dict[str, list[str]]:
    configuration = load(sys.argv[1])
    files = Files(configuration.state)
    platform = Platform(Process(files, print, "", None), None, time, sleep_ms, files, resolve, files)
    hal = board.build(configuration)(platform)
    if hal.network is not None:
        hal.network.configure(sys.argv[2], sys.argv[3])
    return {device.kind: await complaints_of(device) for device in hal.devices()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run())))
