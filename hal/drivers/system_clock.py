"""Driver: monotonic time from the system's ticks, wall-clock time from the RTC."""

import asyncio
import errno

from hal.clock import CONTRACT, TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

_DAY_S = 86400
_FIRST_YEAR = 2025  # of this program: an RTC that shows an earlier year lost its power
_CHECK_MS = 50


class SystemClock(Device):
    """time: MicroPython's module (ticks_ms, ticks_diff); rtc: an object with `datetime([tuple])` as machine.RTC has.

    sleep_ms: `async sleep_ms(duration_ms)`. A part of the terminal that everything needs, so it works without being enabled.
    The ticks wrap: some method is to be called at least every six days (2**29 ms), which every wait does.
    """

    kind = CONTRACT.kind
    part = "system_clock"

    def __init__(self, time: "Any", rtc: "Any", sleep_ms: "Callable[[int], Awaitable[None]]") -> None:
        super().__init__()
        self._time = time
        self._rtc = rtc
        self._sleep_ms = sleep_ms
        self._ticks = time.ticks_ms()
        self._monotonic_ms = 0
        self._floor_s = 0
        self._ahead_s = 0  # how far the wall clock is ahead of an RTC that was found behind the floor
        self.trust = TRUST_SET if rtc.datetime()[0] >= _FIRST_YEAR else TRUST_NONE

    def monotonic_ms(self) -> int:
        ticks = self._time.ticks_ms()
        passed_ms = self._time.ticks_diff(ticks, self._ticks)
        if passed_ms > 0:
            self._monotonic_ms += passed_ms
            self._ticks = ticks
        return self._monotonic_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        self.monotonic_ms()
        await self._sleep_ms(duration_ms)

    async def wait_for(self, awaitable: "Awaitable[T]", timeout_ms: int) -> "T":
        """The result of a coroutine, or OSError(ETIMEDOUT) once it is cancelled because the time was over."""
        task: asyncio.Task[T] = asyncio.create_task(awaitable)  # type: ignore[arg-type]  # a coroutine, on both runtimes
        cancelled_by_timer = []

        async def timer() -> None:
            await self.sleep_ms(timeout_ms)
            if task.cancel():
                cancelled_by_timer.append(True)

        timer_task = asyncio.create_task(timer())
        try:
            return await task
        except asyncio.CancelledError:
            if cancelled_by_timer:
                raise OSError(errno.ETIMEDOUT, "timeout") from None
            raise
        finally:
            timer_task.cancel()

    def wall_s(self) -> int:
        return max(self._rtc_s() + self._ahead_s, self._floor_s)

    def raise_floor(self, wall_s: int) -> None:
        """An RTC that is behind the floor lost its power: from then on the clock runs from the floor."""
        if wall_s > self._floor_s:
            self._floor_s = wall_s
        behind_s = self._floor_s - (self._rtc_s() + self._ahead_s)
        if behind_s > 0:
            self._ahead_s += behind_s
            self.trust = TRUST_FLOOR
        elif self.trust == TRUST_NONE and self._floor_s:
            self.trust = TRUST_FLOOR

    def set_wall(self, wall_s: int) -> None:
        """A time below the floor is not believed: nothing changes."""
        if wall_s < self._floor_s:
            return
        self._rtc.datetime(_datetime(wall_s))
        self._ahead_s = 0
        self.trust = TRUST_SET

    async def _bring_up(self) -> None:
        self.monotonic_ms()

    async def _check_health(self, level: int) -> Health:
        """Whether the ticks run while the system waits."""
        begun_ms = self.monotonic_ms()
        await self.sleep_ms(_CHECK_MS)
        passed_ms = self.monotonic_ms() - begun_ms
        measurements = {"passed_ms": passed_ms, "trust": self.trust}
        if passed_ms < _CHECK_MS // 2:
            detail = "%d ms went by as %d" % (_CHECK_MS, passed_ms)
            return Health(HEALTH_FAIL, self.kind, "stopped", E_FAILURE, detail=detail, measurements=measurements)
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    def _rtc_s(self) -> int:
        year, month, day, _, hours, minutes, seconds, _ = self._rtc.datetime()
        return int(_days(year, month, day) * _DAY_S + hours * 3600 + minutes * 60 + seconds)


# The calendar is worked out here because the epoch of MicroPython's time module is 1970 on some ports and 2000 on others.


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar; March is taken as the first month, so that a leap day comes last."""
    if month <= 2:
        year -= 1
        month += 12
    leap_days = year // 4 - year // 100 + year // 400
    return 365 * year + leap_days + (153 * (month - 3) + 2) // 5 + day - 719469


def _datetime(wall_s: int) -> "tuple[int, int, int, int, int, int, int, int]":
    """For machine.RTC: (year, month, day, weekday, hours, minutes, seconds, subseconds), Monday is 0."""
    days, second_of_day = divmod(wall_s, _DAY_S)
    year = 1970 + days // 366
    while _days(year + 1, 1, 1) <= days:
        year += 1
    month = 1
    while month < 12 and _days(year, month + 1, 1) <= days:
        month += 1
    day = days - _days(year, month, 1) + 1
    return (year, month, day, (days + 3) % 7, second_of_day // 3600, second_of_day // 60 % 60, second_of_day % 60, 0)
