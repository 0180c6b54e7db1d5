"""What the tests on real interfaces share: a clock on the machine's own time, and a device brought up."""

from __future__ import annotations

from hal.device import Device
from hal.drivers.system_clock import SystemClock
from host_sim.platform import RealTime


class NoRtc:
    """A machine without a clock chip."""

    def datetime(self, value: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return (1970, 1, 1, 3, 0, 0, 0, 0)


def real_clock() -> SystemClock:
    time = RealTime()
    return SystemClock(time, NoRtc(), time.sleep_ms)


async def bring_up(device: Device) -> None:
    device.open()
    device.claim()
    await device.enable()
