"""The clock: monotonic whatever the ticks do, trusted as far as it deserves, and waits that end."""

from __future__ import annotations

import asyncio
import errno
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.clock import TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS
from hal.drivers.system_clock import SystemClock
from host_sim.machine.machine import Machine
from host_sim.simulated_time import TICKS_PERIOD, SimulatedTime
from tests.hal.counter import Counter, enabled

NOON = 1_750_000_000  # in June 2025
HOUR_S = 3600


class Wired(Counter):
    def __init__(self, start_ms: int = 0) -> None:
        super().__init__()
        self.time.advance(start_ms)
        self.start()

    def start(self) -> None:
        """The program starts."""
        self.clock = SystemClock(self.time, Machine(self.bench).RTC(), self.time.sleep_ms)


def test_monotonic_time_starts_at_zero_and_does_not_wrap_with_the_ticks() -> None:
    wired = Wired(start_ms=TICKS_PERIOD - 500)
    assert wired.clock.monotonic_ms() == 0
    wired.time.advance(1000)
    assert wired.time.ticks_ms() < 1000
    assert wired.clock.monotonic_ms() == 1000
    for day in range(1, 30):
        wired.time.advance(86_400_000)
        assert wired.clock.monotonic_ms() == 1000 + day * 86_400_000


def test_monotonic_time_never_goes_back() -> None:
    wired = Wired()
    wired.time.advance(100)
    assert wired.clock.monotonic_ms() == 100
    wired.time.advance(-50)
    assert wired.clock.monotonic_ms() == 100
    wired.time.advance(60)
    assert wired.clock.monotonic_ms() == 110


def test_a_clock_that_wakes_in_the_past_is_not_trusted() -> None:
    assert Wired().clock.trust == TRUST_NONE


def test_a_battery_backed_clock_that_runs_is_trusted() -> None:
    wired = Wired()
    wired.bench.rtc_has_battery = True
    wired.bench.set_rtc(NOON)
    wired.bench.power_cycle()
    wired.start()
    assert wired.clock.trust == TRUST_SET
    assert wired.clock.wall_s() == NOON


def test_a_floor_is_where_a_lost_clock_runs_on_from() -> None:
    wired = Wired()
    wired.clock.raise_floor(NOON)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_FLOOR, NOON)
    wired.time.advance(5000)
    assert wired.clock.wall_s() == NOON + 5


def test_a_battery_backed_clock_behind_the_floor_loses_its_trust() -> None:
    wired = Wired()
    wired.bench.set_rtc(NOON)
    wired.start()
    wired.clock.raise_floor(NOON + HOUR_S)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_FLOOR, NOON + HOUR_S)


def test_a_floor_below_the_clock_takes_nothing_away() -> None:
    wired = Wired()
    wired.bench.set_rtc(NOON)
    wired.start()
    wired.clock.raise_floor(NOON - HOUR_S)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, NOON)


def test_a_signed_time_sets_the_clock_and_survives_a_restart_but_no_power_cut() -> None:
    wired = Wired()
    wired.clock.raise_floor(NOON)
    wired.clock.set_wall(NOON + HOUR_S)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, NOON + HOUR_S)
    wired.start()
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, NOON + HOUR_S)
    wired.bench.power_cycle()
    wired.start()
    assert wired.clock.trust == TRUST_NONE


def test_the_clock_can_be_set_back_but_not_below_the_floor() -> None:
    wired = Wired()
    wired.clock.set_wall(NOON + HOUR_S)
    wired.clock.raise_floor(NOON)
    wired.clock.set_wall(NOON + 60)
    assert wired.clock.wall_s() == NOON + 60
    wired.clock.set_wall(NOON - HOUR_S)
    assert wired.clock.wall_s() == NOON + 60


def test_a_time_below_the_floor_earns_no_trust() -> None:
    wired = Wired()
    wired.clock.raise_floor(NOON)
    wired.clock.set_wall(NOON - HOUR_S)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_FLOOR, NOON)


@given(st.integers(min_value=0, max_value=4_102_444_800))
def test_every_second_until_2100_goes_to_the_hardware_clock_and_back(wall_s: int) -> None:
    wired = Wired()
    wired.clock.set_wall(wall_s)
    assert wired.clock.wall_s() == wall_s
    shown = Machine(wired.bench).RTC().datetime()
    expected = datetime.fromtimestamp(wall_s, UTC)
    assert shown[:7] == (*expected.timetuple()[:3], expected.weekday(), *expected.timetuple()[3:6])


def test_waiting_gives_the_result_of_what_was_waited_for() -> None:
    wired = Wired()

    async def answer() -> int:
        await wired.clock.sleep_ms(30)
        return 42

    assert wired.run(wired.clock.wait_for(answer(), 100)) == 42
    assert wired.time.now_ms() == 30


def test_waiting_too_long_cancels_and_is_a_timeout() -> None:
    wired = Wired()
    ended: list[str] = []

    async def stuck() -> None:
        try:
            await wired.clock.sleep_ms(100_000)
        finally:
            ended.append("cancelled")

    with pytest.raises(OSError) as refused:
        wired.run(wired.clock.wait_for(stuck(), 200))
    assert refused.value.errno == errno.ETIMEDOUT
    assert ended == ["cancelled"]
    assert wired.time.now_ms() == 200


def test_an_error_of_what_was_waited_for_is_passed_on() -> None:
    wired = Wired()

    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        wired.run(wired.clock.wait_for(failing(), 100))


def test_who_cancels_the_waiting_cancels_what_was_waited_for_and_gets_no_timeout() -> None:
    wired = Wired()
    ended: list[str] = []

    async def stuck() -> None:
        try:
            await wired.clock.sleep_ms(100_000)
        finally:
            ended.append("cancelled")

    async def program() -> None:
        task = asyncio.create_task(wired.clock.wait_for(stuck(), 10_000))
        await wired.clock.sleep_ms(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    wired.run(program())
    assert ended == ["cancelled"]
    assert wired.time.now_ms() < 100


def test_a_wait_within_a_wait_times_out_by_the_shorter_one() -> None:
    wired = Wired()

    async def inner() -> None:
        await wired.clock.wait_for(wired.clock.sleep_ms(10_000), 5_000)

    with pytest.raises(OSError):
        wired.run(wired.clock.wait_for(inner(), 100))
    assert wired.time.now_ms() == 100


def test_a_running_clock_is_healthy() -> None:
    wired = Wired()
    wired.run(enabled(wired.clock))
    assert wired.run(wired.clock.check_health(1)).outcome == HEALTH_SUCCESS


def test_a_clock_whose_ticks_stand_still_is_failed() -> None:
    wired = Wired()

    class Stopped(SimulatedTime):
        def ticks_ms(self) -> int:
            return 0

    async def program() -> Any:
        clock = await enabled(SystemClock(Stopped(), Machine(wired.bench).RTC(), wired.time.sleep_ms))
        return await clock.check_health(1)

    health = wired.run(program())
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "stopped")
