"""What the acquirer's side runs on: this machine's clock behind the contract, and a secure element with keys in files."""

from __future__ import annotations

import calendar
from pathlib import Path
from time import gmtime

from hal.drivers.file_storage import FileStorage
from hal.drivers.software_key import SoftwareKey
from hal.drivers.system_clock import SystemClock
from hal.files import Files
from host_sim.platform import RealTime, Time


async def started_clock(time: Time | None = None) -> SystemClock:
    """This machine's clock behind the contract, or that of a simulated time."""
    time = time or RealTime()
    clock = SystemClock(time, _HostRtc(time), time.sleep_ms)
    clock.open()
    clock.claim()
    await clock.enable()
    return clock


class _HostRtc:
    """The host's clock with the call of machine.RTC that is used. Who sets it has it shifted for himself."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._shift_s = 0

    def datetime(self, wall: tuple[int, ...] | None = None) -> tuple[int, ...]:
        if wall is not None:
            year, month, day, _, hour, minute, second, _ = wall
            self._shift_s = calendar.timegm((year, month, day, hour, minute, second)) - self._time.time()
        now = gmtime(self._time.time() + self._shift_s)
        return (now.tm_year, now.tm_mon, now.tm_mday, now.tm_wday, now.tm_hour, now.tm_min, now.tm_sec, 0)


async def software_element(folder: Path) -> SoftwareKey:
    """Keys in files in that folder, ready to sign."""
    storage = FileStorage(Files(str(folder)))
    element = SoftwareKey(storage)
    for device in (storage, element):
        device.open()
        device.claim()
        await device.enable()
    return element
