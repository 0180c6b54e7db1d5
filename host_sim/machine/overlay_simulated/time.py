"""What `import time` finds in a MicroPython process whose time is simulated: the bench's, which passes only where everybody waits."""

import struct
import sys

from machine import PORT  # type: ignore[import-not-found]  # the bench's
from utime import *  # type: ignore[import-not-found]  # noqa: F403
from utime import ticks_add, ticks_diff

from host_sim.machine.machine import TIME_FORMAT, TIME_WAIT

__all__ = ["sleep", "sleep_ms", "sleep_us", "ticks_add", "ticks_cpu", "ticks_diff", "ticks_ms", "ticks_us", "time", "time_ns"]

_now = [0, 0]  # milliseconds, and seconds since 1970


def wait(duration_ms: int) -> bool:
    """Wait for so long, or until something may have come for this process: gives whether; -1: as long as that takes."""
    has_news, now = PORT.transact(TIME_WAIT, 0, duration_ms, b"")
    _now[0], _now[1] = struct.unpack(TIME_FORMAT, now)
    return bool(has_news)


def ticks_ms() -> int:
    return _now[0]


def ticks_us() -> int:
    return _now[0] * 1000


ticks_cpu = ticks_us


def time() -> int:
    return _now[1]


def time_ns() -> int:
    return _now[1] * 1000000000


def sleep_ms(duration_ms: int) -> None:
    until_ms = _now[0] + duration_ms
    while _now[0] < until_ms:
        wait(until_ms - _now[0])


def sleep(duration_s: float) -> None:
    sleep_ms(int(duration_s * 1000))


def sleep_us(duration_us: int) -> None:
    """What is shorter than a millisecond takes no time."""
    sleep_ms(duration_us // 1000)


wait(0)
import tasks  # type: ignore[import-not-found]  # noqa: E402  the one beside this file, which imports this one

sys.modules["_asyncio"] = tasks  # asyncio's, which is imported after this: the built-in one orders tasks by the machine's own time
