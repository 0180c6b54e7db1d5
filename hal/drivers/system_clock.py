"""Driver: monotonic time and the time of day from the system's ticks, the latter begun by an RTC at boot.

Who is right about the time of day (docs/decisions/0008-clock.md):

* The RTC is believed once since boot, when it is first read, and only if it shows a time that can be true: in a year of this program, not
  behind the floor, its oscillator never stopped. From that moment on the ticks count, so a bus that fails later takes nothing away.
* A time from a signed source, given by `set_wall`, is right from then on. It is written to the RTC for the next boot.
* When the RTC later shows another time than the ticks have counted, one of the two is wrong. What a signed source has set since boot is
  right, and the RTC is set anew. Otherwise nobody can tell: the ticks go on, and the RTC is neither believed nor overwritten before the
  next boot.
* What was once found wrong with the RTC is told until the next boot, even if its time was set meanwhile: whether it keeps time only a
  start shows.
"""

import asyncio
import errno

from hal.calendar import days_since_1970
from hal.clock import CONTRACT, TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

_DAY_S = 86400
_FIRST_S = 1735689600  # 2025-01-01, before there was this program: an RTC that shows an earlier time lost its power
_BEHIND_S = 600  # the floor, by its own drift: 5 ppm (a DS3231 with its aging) in almost four years
_APART_S = 3  # RTC and ticks, of which each is read to a whole second, with the time that a bus takes
_DRIFT_PPM = 100  # between RTC and ticks: two bad crystals in a hot case; good ones stay below 20
_CHECK_MS = 50
_LOOK_MS = 100  # how often to look whether the RTC's second is over
_LOOKS = 15


class SystemClock(Device):
    """time: MicroPython's module (ticks_ms, ticks_diff); rtc: an object with `datetime([tuple])` as machine.RTC has.

    An RTC that keeps time without the terminal's power also has `part`, `keeps_time` (True) and `lost_power` (whether at the last reading
    its oscillator had stood still); its calls may raise DeviceError. sleep_ms: `async sleep_ms(duration_ms)`.
    system_rtc: the microcontroller's own RTC where `rtc` is another part: it is kept at the time of day, because a TLS library judges
    certificates by it (Mbed TLS with MBEDTLS_HAVE_TIME_DATE, as MicroPython has it on ESP32).
    A part of the terminal that everything needs, so it waits without being enabled. The time of day it has from its bring-up on.
    The ticks wrap: some method is to be called at least every six days (2**29 ms), which every wait does.
    """

    kind = CONTRACT.kind
    part = "system_clock"

    def __init__(self, time: "Any", rtc: "Any", sleep_ms: "Callable[[int], Awaitable[None]]", system_rtc: "Any | None" = None) -> None:
        super().__init__()
        self.part = getattr(rtc, "part", self.part)
        self._time = time
        self._rtc = rtc
        self._keeps_time = getattr(rtc, "keeps_time", False)
        self._system_rtc = system_rtc
        self._tls_rtc = system_rtc if self._keeps_time else rtc  # by which a TLS library judges certificates
        self._supposed_s = 0
        self._sleep_ms = sleep_ms
        self._ticks = time.ticks_ms()
        self._monotonic_ms = 0
        self._floor_s = 0
        self._base_s = 0  # the time of day ...
        self._base_ms = 0  # ... at this monotonic time
        self.trust = TRUST_NONE
        self._is_read = False  # the RTC was, since boot
        self.is_signed = False  # a signed source has given the time since boot
        self._agrees = False  # the RTC was believed, or set: it is to show what the ticks count
        self._found = ""  # cause: what was found wrong with the RTC since boot
        self._drift_s = 0  # of the RTC against the ticks at the last comparison; its jump, once it has jumped

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
        return max(self._counted_s(), self._floor_s)

    def raise_floor(self, wall_s: int) -> None:
        """A clock that is behind the floor lost its power: from then on it runs from the floor. One that is behind by no more than its
        drift stands at the floor until it gets there.
        """
        self._floor_s = max(self._floor_s, wall_s)
        behind_s = self._floor_s - self._counted_s()
        if self.trust == TRUST_SET:
            if behind_s <= _BEHIND_S:
                return
            if self._keeps_time and not self.is_signed:
                self._found = "time_lost"
            self._agrees = self.is_signed = False
        if behind_s > 0:
            self._count_from(self._floor_s)
        if self._floor_s:
            self.trust = TRUST_FLOOR

    def set_wall(self, wall_s: int, is_fresh: bool = False) -> None:
        """A time below the floor is not believed, unless it is fresh: then the floor was wrong. Any other is, whether the RTC takes it or
        not.
        """
        if wall_s < self._floor_s and not is_fresh:
            return
        self._floor_s = min(self._floor_s, wall_s)
        try:
            self._judge()  # once it is set, it no longer shows what is wrong with it
        except DeviceError:
            pass  # the next health check meets the same, and tells
        self._supposed_s = 0
        self._count_from(wall_s)
        self.trust = TRUST_SET
        self.is_signed = True
        self._agrees = False
        try:
            self._set_rtc()
        except DeviceError:
            pass  # the next health check tries again, and tells

    def distrust(self) -> None:
        if self.trust != TRUST_SET or self.is_signed or self._keeps_time:
            return
        self._agrees = False
        self.trust = TRUST_FLOOR if self._floor_s else TRUST_NONE
        self._count_from(self._floor_s)

    def certificate_s(self) -> int:
        return self._supposed_s or self.wall_s()

    def suppose(self, wall_s: int) -> bool:
        """wall_s: 0 for the time of day again. Nothing is supposed where a signed source has given the time."""
        if self.is_signed:
            return False
        self._supposed_s = wall_s
        if self._tls_rtc is None or not wall_s:
            return False
        self._tls_rtc.datetime(_datetime(wall_s))
        if self._tls_rtc is not self._rtc:
            return False
        self._agrees = False  # it shows no longer what the ticks count
        return True

    async def _bring_up(self) -> None:
        self.monotonic_ms()
        self._judge()

    def failed(self, error: DeviceError, cause: str) -> Health:
        """The cause follows from the code, in bring-up as later: E_FAILURE is an RTC whose words make no sense."""
        return super().failed(error, "garbled_answer" if error.code == E_FAILURE else "no_answer")

    async def _check_health(self, level: int) -> Health:
        """Whether the ticks run while the system waits, and the RTC runs with them."""
        begun_ms = self.monotonic_ms()
        await self.sleep_ms(_CHECK_MS)
        passed_ms = self.monotonic_ms() - begun_ms
        measurements = {"passed_ms": passed_ms, "trust": self.trust}
        if passed_ms < _CHECK_MS // 2:
            return self._fail("stopped", "%d ms went by as %d" % (_CHECK_MS, passed_ms), measurements)
        if self._keeps_time and not await self._rtc_runs():
            return self._fail("stopped", "the RTC shows one second for %d ms" % (_LOOKS * _LOOK_MS), measurements)
        self._judge()
        measurements["trust"] = self.trust
        measurements["drift_s"] = self._drift_s
        if self._found == "jumped":
            return self._fail(self._found, "the RTC was %d s off the ticks" % self._drift_s, measurements)
        if self._found:
            return self._fail(self._found, "the RTC lost its time: battery? The next start shows if it keeps time now", measurements)
        if self.trust != TRUST_SET:
            return Health(HEALTH_NOT_RUN, self.kind, "not_set", detail="the time is not set", measurements=measurements)
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    def _fail(self, cause: str, detail: str, measurements: "dict[str, int]") -> Health:
        return Health(HEALTH_FAIL, self.kind, cause, E_FAILURE, detail=detail, measurements=measurements)

    # The time of day.

    def _counted_s(self) -> int:
        return self._base_s + (self.monotonic_ms() - self._base_ms) // 1000

    def _count_from(self, wall_s: int) -> None:
        self._base_s = wall_s
        self._base_ms = self.monotonic_ms()
        if self._system_rtc is not None:
            self._system_rtc.datetime(_datetime(wall_s))

    # The RTC. Each of these raises DeviceError when it does not answer, or makes no sense.

    def _rtc_s(self) -> int:
        year, month, day, _, hours, minutes, seconds, _ = self._rtc.datetime()
        return int(days_since_1970(year, month, day) * _DAY_S + hours * 3600 + minutes * 60 + seconds)

    def _set_rtc(self) -> None:
        self._rtc.datetime(_datetime(self._counted_s()))
        self._agrees = True

    async def _rtc_runs(self) -> bool:
        """True as soon as its next second has begun."""
        begun_s = self._rtc_s()
        for _ in range(_LOOKS):
            await self.sleep_ms(_LOOK_MS)
            if self._rtc_s() != begun_s:
                return True
        return False

    def _judge(self) -> None:
        """Read the RTC: believe it, if this is the first time since boot; later find out what is wrong with it, and set it right if a
        signed source has given the time.
        """
        rtc_s = self._rtc_s()
        is_first = not self._is_read
        self._is_read = True
        is_possible = rtc_s >= max(_FIRST_S, self._floor_s - _BEHIND_S) and not getattr(self._rtc, "lost_power", False)
        if is_first and is_possible and not self.is_signed:
            self._count_from(rtc_s)
            self.trust = TRUST_SET
            self._agrees = True
            return
        if self._keeps_time and not is_possible:
            self._found = "time_lost"
            self._agrees = False
        elif self._agrees:
            counted_s = (self.monotonic_ms() - self._base_ms) // 1000
            drift_s = rtc_s - self._counted_s()
            if abs(drift_s) <= _APART_S + counted_s * _DRIFT_PPM // 1000000:
                if self._found != "jumped":
                    self._drift_s = drift_s
                self._count_from(rtc_s)  # an RTC's crystal is better than the microcontroller's
                return
            self._found = "jumped"
            self._drift_s = drift_s
        if self.is_signed:
            self._set_rtc()


def _datetime(wall_s: int) -> "tuple[int, int, int, int, int, int, int, int]":
    """For machine.RTC: (year, month, day, weekday, hours, minutes, seconds, subseconds), Monday is 0."""
    days, second_of_day = divmod(wall_s, _DAY_S)
    year = 1970 + days // 366
    while days_since_1970(year + 1, 1, 1) <= days:
        year += 1
    month = 1
    while month < 12 and days_since_1970(year, month + 1, 1) <= days:
        month += 1
    day = days - days_since_1970(year, month, 1) + 1
    return (year, month, day, (days + 3) % 7, second_of_day // 3600, second_of_day // 60 % 60, second_of_day % 60, 0)
