"""The clock's waits, its calendar, and how far it believes an RTC, on both runtimes."""

import asyncio
import errno

from hal.clock import TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.device import HEALTH_FAIL
from hal.drivers.system_clock import SystemClock
from hal.errors import E_FAILURE, E_NOHARDWARE, DeviceError
from tests.core.support import raises


class Time:
    """Ticks that go on while somebody waits."""

    def __init__(self):
        self.now_ms = 0

    def ticks_ms(self):
        return self.now_ms

    def ticks_diff(self, later, earlier):
        return later - earlier

    async def sleep_ms(self, duration_ms):
        until_ms = self.now_ms + duration_ms
        while self.now_ms < until_ms:
            self.now_ms += 1
            await asyncio.sleep(0)


class Rtc:
    def __init__(self):
        self.fields = (2000, 1, 1, 5, 0, 0, 0, 0)

    def datetime(self, fields=None):
        if fields is not None:
            self.fields = fields
        return self.fields


def clock():
    time = Time()
    return SystemClock(time, Rtc(), time.sleep_ms)


def test_what_is_waited_for_gives_its_result():
    waiting = clock()

    async def answer():
        await waiting.sleep_ms(5)
        return 42

    assert asyncio.run(waiting.wait_for(answer(), 100)) == 42


def test_what_takes_too_long_is_cancelled_and_is_a_timeout():
    waiting = clock()
    ended = []

    async def stuck():
        try:
            await waiting.sleep_ms(100000)
        finally:
            ended.append(waiting.monotonic_ms())

    error = raises(OSError, asyncio.run, waiting.wait_for(stuck(), 20))
    assert error.errno == errno.ETIMEDOUT
    assert len(ended) == 1 and ended[0] < 100


def test_an_error_is_passed_on():
    waiting = clock()

    async def failing():
        raise ValueError("no")

    raises(ValueError, asyncio.run, waiting.wait_for(failing(), 20))


def test_who_cancels_the_waiting_cancels_what_was_waited_for():
    waiting = clock()
    ended = []

    async def stuck():
        try:
            await waiting.sleep_ms(100000)
        finally:
            ended.append("inner")

    async def program():
        task = asyncio.create_task(waiting.wait_for(stuck(), 100000))
        await waiting.sleep_ms(5)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            ended.append("outer")

    asyncio.run(program())
    assert ended == ["inner", "outer"]


def test_the_calendar_goes_over_leap_days_and_centuries():
    clock_to_set = clock()
    rtc = clock_to_set._rtc
    for wall_s, fields in (
        (0, (1970, 1, 1, 3, 0, 0, 0, 0)),
        (951782400, (2000, 2, 29, 1, 0, 0, 0, 0)),
        (1709251199, (2024, 2, 29, 3, 23, 59, 59, 0)),
        (1709251200, (2024, 3, 1, 4, 0, 0, 0, 0)),
        (4107542400, (2100, 3, 1, 0, 0, 0, 0, 0)),
    ):
        clock_to_set.set_wall(wall_s)
        assert rtc.fields == fields, rtc.fields
        assert clock_to_set.wall_s() == wall_s


class BatteryRtc:
    """An RTC with a battery: shows `fields`, or raises `error`."""

    part = "a_battery_rtc"
    keeps_time = True

    def __init__(self, fields):
        self.fields = fields
        self.lost_power = False
        self.error = None

    def datetime(self, fields=None):
        if self.error is not None:
            raise self.error
        if fields is not None:
            self.fields = fields
            self.lost_power = False
        return self.fields


NEW_YEAR = (2026, 1, 1, 3, 0, 0, 0, 0)
NEW_YEAR_S = 1767225600


def backed(fields=NEW_YEAR, lost_power=False, error=None):
    """A clock with a battery, brought up, and its RTC, which shows one second for ever."""
    time = Time()
    rtc = BatteryRtc(fields)
    rtc.lost_power = lost_power
    rtc.error = error
    made = SystemClock(time, rtc, time.sleep_ms)
    made.open()
    made.claim()
    try:
        asyncio.run(made.enable())
    except DeviceError:
        pass  # in bring_up_error
    return made, rtc


def test_an_rtc_is_asked_at_bring_up_and_not_before():
    time = Time()
    rtc = BatteryRtc(NEW_YEAR)
    rtc.error = AssertionError("asked")
    made = SystemClock(time, rtc, time.sleep_ms)
    assert (made.part, made.trust, made.wall_s()) == ("a_battery_rtc", TRUST_NONE, 0)
    made.raise_floor(NEW_YEAR_S)
    assert (made.trust, made.wall_s()) == (TRUST_FLOOR, NEW_YEAR_S)


def test_an_rtc_that_shows_a_possible_time_is_believed():
    made, rtc = backed()
    assert (made.trust, made.wall_s()) == (TRUST_SET, NEW_YEAR_S)
    made._time.now_ms += 5000
    assert made.wall_s() == NEW_YEAR_S + 5


def test_an_rtc_that_stopped_or_is_in_the_past_or_silent_is_not_believed():
    for made, _ in (backed(lost_power=True), backed((2000, 1, 1, 5, 0, 0, 0, 0)), backed(error=DeviceError(E_NOHARDWARE, "clock"))):
        assert (made.trust, made.wall_s()) == (TRUST_NONE, 0)


def test_a_silent_rtc_keeps_nobody_from_setting_the_clock():
    made, rtc = backed(error=DeviceError(E_NOHARDWARE, "clock"))
    made.set_wall(NEW_YEAR_S + 60)
    assert (made.trust, made.wall_s()) == (TRUST_SET, NEW_YEAR_S + 60)
    assert rtc.fields == NEW_YEAR


def test_an_rtc_that_shows_one_second_for_ever_is_stopped():
    made, _ = backed()
    health = asyncio.run(made.check_health(1))
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "stopped")


def test_what_is_wrong_with_an_rtc_is_told_by_its_cause():
    for code, cause in ((E_NOHARDWARE, "no_answer"), (E_FAILURE, "garbled_answer")):
        made, rtc = backed(error=DeviceError(code, "clock"))
        health = asyncio.run(made.check_health(1))
        assert (health.outcome, health.cause) == (HEALTH_FAIL, cause)
