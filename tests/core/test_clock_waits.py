"""The clock's waits and calendar, on both runtimes."""

import asyncio
import errno

from hal.drivers.system_clock import SystemClock
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
