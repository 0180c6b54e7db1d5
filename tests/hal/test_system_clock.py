"""The clock: monotonic whatever the ticks do, trusted as far as it deserves, waits that end, and an RTC that is judged."""

from __future__ import annotations

import asyncio
import errno
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.clock import CONTRACT, TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.drivers.ds3231 import Ds3231
from hal.drivers.system_clock import SystemClock
from hal.errors import E_NOHARDWARE, DeviceError
from host_sim.chips.ds3231 import Ds3231Chip
from host_sim.simulated_time import TICKS_PERIOD, SimulatedTime
from tests.hal import wired as bench_of_drivers

NOON = 1_750_000_000  # in June 2025
HOUR_S = 3600
DAY_S = 86_400
LATER = 2_000_000_000  # in May 2033


class Wired(bench_of_drivers.Wired):
    """A terminal whose clock is the microcontroller's own: it forgets the time with the power."""

    def __init__(self, start_ms: int = 0) -> None:
        super().__init__()
        self.time.advance(start_ms)
        self.start()

    def start(self) -> None:
        """The program starts; nothing is brought up."""
        self.clock = SystemClock(self.time, self.rtc(), self.time.sleep_ms)

    def rtc(self) -> Any:
        return self.machine.RTC()

    def boot(self) -> None:
        """The program starts, and brings its clock up."""
        self.start()
        self.bring_up(self.clock)

    def power_cut(self, off_s: int = 0) -> None:
        """The power goes, comes back, and the program starts."""
        self.time.advance(off_s * 1000)
        self.bench.power_cycle()
        self.start()
        self.clock.open()
        self.clock.claim()
        try:
            self.run(self.clock.enable())
        except DeviceError as error:
            assert error is self.clock.bring_up_error

    def wait(self, seconds: int) -> None:
        for _ in range(0, seconds, DAY_S):
            self.time.advance(min(seconds, DAY_S) * 1000)
            self.clock.monotonic_ms()  # as every wait of the agent does
            seconds -= DAY_S

    def health(self) -> Health:
        return self.run(self.clock.check_health(1))

    def judged(self) -> tuple[str, str]:
        health = self.health()
        return health.outcome, health.cause


class Backed(Wired):
    """A terminal with a DS3231, set in the works, whose battery is good; booted."""

    def __init__(self, wall_s: int = NOON) -> None:
        super().__init__()
        chip = self.bench.chips["clock"]
        assert isinstance(chip, Ds3231Chip)
        self.chip = chip
        self.chip.set_time(wall_s)
        self.boot()

    def rtc(self) -> Any:
        return Ds3231(self.i2c(), 104)


# The ticks.


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


def test_the_time_of_day_goes_on_over_a_wrap_of_the_ticks() -> None:
    wired = Wired(start_ms=TICKS_PERIOD - 500)
    wired.bench.set_rtc(NOON)
    wired.boot()
    wired.wait(60)
    assert wired.clock.wall_s() == NOON + 60


def test_a_clock_whose_ticks_stand_still_is_failed() -> None:
    wired = Wired()

    class Stopped(SimulatedTime):
        def ticks_ms(self) -> int:
            return 0

    wired.clock = SystemClock(Stopped(), wired.rtc(), wired.time.sleep_ms)
    wired.bring_up(wired.clock)
    assert wired.judged() == (HEALTH_FAIL, "stopped")


# What the RTC shows at boot.


def test_the_driver_keeps_the_contract_with_either_rtc() -> None:
    assert CONTRACT.missing(Wired().clock) == []
    assert CONTRACT.missing(Backed().clock) == []


def test_the_part_is_that_of_the_board_file() -> None:
    assert Wired().clock.part == "system_clock"
    assert Backed().clock.part == "ds3231"


class Untouchable:
    """An RTC of which nothing may be asked yet."""

    part = "ds3231"
    keeps_time = True

    def datetime(self, fields: Any = None) -> Any:
        raise AssertionError("the RTC was asked")


def test_building_a_clock_and_waiting_by_it_touch_no_rtc() -> None:
    wired = Wired()
    clock = SystemClock(wired.time, Untouchable(), wired.time.sleep_ms)
    assert (clock.trust, clock.wall_s()) == (TRUST_NONE, 0)
    wired.run(clock.wait_for(clock.sleep_ms(70), 100))
    assert clock.monotonic_ms() == 70
    clock.raise_floor(NOON)
    assert (clock.trust, clock.wall_s()) == (TRUST_FLOOR, NOON)


@pytest.mark.parametrize("wakes_at", [0, 946_684_800, 1_735_689_599])
def test_a_clock_that_wakes_in_the_past_is_not_trusted(wakes_at: int) -> None:
    wired = Wired()
    wired.bench.set_rtc(wakes_at)
    wired.boot()
    assert wired.clock.trust == TRUST_NONE
    assert wired.clock.wall_s() == 0


def test_the_first_second_of_this_programs_years_is_trusted() -> None:
    wired = Wired()
    wired.bench.set_rtc(1_735_689_600)
    wired.boot()
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, 1_735_689_600)


def test_the_microcontrollers_own_rtc_forgets_with_the_power_and_keeps_over_a_restart() -> None:
    wired = Wired()
    wired.boot()
    wired.clock.raise_floor(NOON)
    wired.clock.set_wall(NOON + HOUR_S)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, NOON + HOUR_S)
    wired.boot()
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, NOON + HOUR_S)
    wired.power_cut()
    assert wired.clock.trust == TRUST_NONE


def test_a_machines_rtc_with_a_battery_keeps_the_time() -> None:
    wired = Wired()
    wired.bench.rtc_has_battery = True
    wired.bench.set_rtc(NOON)
    wired.power_cut()
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, NOON)


def test_a_battery_backed_clock_is_trusted_over_a_power_cut() -> None:
    backed = Backed()
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON)
    backed.power_cut(off_s=DAY_S)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON + DAY_S)
    assert backed.judged() == (HEALTH_SUCCESS, "")


def test_bring_up_again_in_the_same_boot_believes_no_new_time() -> None:
    backed = Backed()
    backed.chip.jump(HOUR_S)
    backed.clock.disable()
    backed.run(backed.clock.enable())
    assert backed.clock.wall_s() == NOON
    assert backed.judged() == (HEALTH_FAIL, "jumped")


# The floor.


def test_a_floor_is_where_a_lost_clock_runs_on_from() -> None:
    wired = Wired()
    wired.boot()
    wired.clock.raise_floor(NOON)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_FLOOR, NOON)
    wired.time.advance(5000)
    assert wired.clock.wall_s() == NOON + 5


def test_a_floor_of_nothing_earns_no_trust() -> None:
    wired = Wired()
    wired.boot()
    wired.clock.raise_floor(0)
    assert wired.clock.trust == TRUST_NONE


def test_a_floor_only_rises() -> None:
    wired = Wired()
    wired.clock.raise_floor(NOON)
    wired.clock.raise_floor(NOON - HOUR_S)
    wired.clock.set_wall(NOON - 1)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_FLOOR, NOON)


def test_a_clock_behind_the_floor_loses_its_trust() -> None:
    wired = Wired()
    wired.bench.set_rtc(NOON)
    wired.boot()
    wired.clock.raise_floor(NOON + HOUR_S)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_FLOOR, NOON + HOUR_S)
    wired.time.advance(5000)
    assert wired.clock.wall_s() == NOON + HOUR_S + 5
    assert wired.judged() == (HEALTH_NOT_RUN, "not_set")


def test_a_floor_below_the_clock_takes_nothing_away() -> None:
    wired = Wired()
    wired.bench.set_rtc(NOON)
    wired.boot()
    wired.clock.raise_floor(NOON - HOUR_S)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, NOON)


@pytest.mark.parametrize("floor_comes_first", [True, False])
def test_a_battery_backed_clock_behind_the_floor_lost_its_time(floor_comes_first: bool) -> None:
    backed = Backed()
    backed.start()
    if floor_comes_first:
        backed.clock.raise_floor(NOON + HOUR_S)
    backed.bring_up(backed.clock)
    backed.clock.raise_floor(NOON + HOUR_S)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_FLOOR, NOON + HOUR_S)
    assert backed.judged() == (HEALTH_FAIL, "time_lost")
    backed.wait(2 * HOUR_S)  # the RTC is past the floor by now, and no better for it
    assert backed.judged() == (HEALTH_FAIL, "time_lost")
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_FLOOR, backed.time.now_ms() // 1000 + NOON + HOUR_S)


def test_a_battery_backed_clock_that_was_behind_the_floor_at_boot_is_told_of_hours_later() -> None:
    backed = Backed()
    backed.clock.raise_floor(NOON + HOUR_S)
    backed.wait(2 * HOUR_S)
    assert backed.judged() == (HEALTH_FAIL, "time_lost")


@pytest.mark.parametrize("floor_comes_first", [True, False])
def test_a_battery_backed_clock_behind_the_floor_by_its_own_drift_waits_there(floor_comes_first: bool) -> None:
    backed = Backed()
    backed.start()
    if floor_comes_first:
        backed.clock.raise_floor(NOON + 60)
    backed.bring_up(backed.clock)
    backed.clock.raise_floor(NOON + 60)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON + 60)
    assert backed.judged() == (HEALTH_SUCCESS, "")
    backed.wait(120)
    assert backed.clock.wall_s() == backed.chip.wall_s()


# A signed time.


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
    shown = wired.machine.RTC().datetime()
    expected = datetime.fromtimestamp(wall_s, UTC)
    assert shown[:7] == (*expected.timetuple()[:3], expected.weekday(), *expected.timetuple()[3:6])


def test_once_set_a_battery_backed_clock_is_trusted_at_the_next_boot() -> None:
    backed = Backed()
    backed.chip.fault("lost")
    backed.power_cut()
    backed.clock.raise_floor(NOON)
    assert backed.clock.trust == TRUST_FLOOR
    backed.clock.set_wall(LATER)
    assert (backed.clock.trust, backed.chip.wall_s()) == (TRUST_SET, LATER)
    backed.power_cut(off_s=HOUR_S)
    backed.clock.raise_floor(LATER)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, LATER + HOUR_S)
    assert backed.judged() == (HEALTH_SUCCESS, "")


def test_a_signed_time_counts_from_its_moment_even_if_the_rtc_does_not_take_it() -> None:
    backed = Backed()
    backed.chip.fault("no_answer")
    backed.clock.set_wall(LATER)
    backed.wait(60)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, LATER + 60)
    assert backed.judged() == (HEALTH_FAIL, "no_answer")
    backed.chip.fault("no_answer", on=False)
    assert backed.judged() == (HEALTH_SUCCESS, "")  # it takes it now
    assert backed.chip.wall_s() == backed.clock.wall_s() > LATER + 60


def test_a_signed_time_outweighs_an_rtc_that_was_silent_at_boot() -> None:
    backed = Backed()
    backed.chip.fault("no_answer")
    backed.power_cut()
    backed.clock.set_wall(LATER)
    backed.chip.fault("no_answer", on=False)
    backed.run(backed.clock.enable())
    assert backed.clock.wall_s() == backed.chip.wall_s() == LATER
    assert backed.judged() == (HEALTH_SUCCESS, "")


# Waiting.


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


# The health of a clock without a battery.


def test_an_rtc_without_battery_that_nobody_has_set_is_no_fault() -> None:
    wired = Wired()
    wired.boot()
    assert wired.judged() == (HEALTH_NOT_RUN, "not_set")
    wired.clock.raise_floor(NOON)
    assert wired.judged() == (HEALTH_NOT_RUN, "not_set")
    wired.clock.set_wall(LATER)
    assert wired.judged() == (HEALTH_SUCCESS, "")
    wired.power_cut()
    assert wired.judged() == (HEALTH_NOT_RUN, "not_set")


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, 946_684_800 - LATER])
def test_the_microcontrollers_own_rtc_is_found_to_jump_once_it_was_set(jump_s: int) -> None:
    wired = Wired()
    wired.boot()
    wired.clock.set_wall(LATER)
    wired.bench.set_rtc(LATER + jump_s)
    assert wired.judged() == (HEALTH_FAIL, "jumped")
    assert wired.clock.wall_s() == LATER + wired.time.now_ms() // 1000


# The health of a battery-backed clock.


def test_a_good_clock_is_healthy_and_says_what_was_measured() -> None:
    health = Backed().health()
    assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")
    assert health.measurements == {"passed_ms": 50, "trust": TRUST_SET, "drift_s": 0}


def test_a_check_takes_at_most_two_seconds() -> None:
    wired = Wired()
    wired.boot()
    assert wired.duration_ms(wired.clock.check_health(1)) == 50
    backed = Backed()
    for wait_ms in (0, 130, 770):
        backed.time.advance(wait_ms)
        assert backed.duration_ms(backed.clock.check_health(1)) < 1300
    backed.chip.fault("stopped")
    assert backed.duration_ms(backed.clock.check_health(1)) < 2000


@pytest.mark.parametrize("habit", sorted(Ds3231Chip.HABITS))
@pytest.mark.parametrize("days", [1, 40])
def test_the_habits_of_a_good_chip_cause_no_complaint(habit: str, days: int) -> None:
    backed = Backed()
    backed.chip.fault(habit)
    backed.wait(days * DAY_S)
    assert backed.judged() == (HEALTH_SUCCESS, "")
    backed.clock.set_wall(NOON + (days + 1) * DAY_S)
    backed.power_cut(off_s=days * DAY_S)
    backed.clock.raise_floor(NOON + (days + 1) * DAY_S)
    assert backed.clock.trust == TRUST_SET
    assert backed.judged() == (HEALTH_SUCCESS, "")


def test_over_weeks_of_daily_checks_the_clock_follows_its_rtc() -> None:
    backed = Backed()
    backed.chip.fault("slow")
    for _ in range(60):
        backed.wait(DAY_S)
        health = backed.health()
        assert health.outcome == HEALTH_SUCCESS and abs(health.measurements["drift_s"]) <= 2
    assert abs(backed.clock.wall_s() - backed.chip.wall_s()) <= 1


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, 5, -5])
def test_a_jump_is_found_and_not_believed(jump_s: int) -> None:
    backed = Backed()
    backed.wait(60)
    backed.chip.jump(jump_s)
    health = backed.health()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "jumped")
    assert abs(health.measurements["drift_s"] - jump_s) <= 1
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON + backed.time.now_ms() // 1000)
    assert backed.chip.wall_s() == backed.clock.wall_s() + jump_s  # nobody can tell who is right: it is not overwritten


@pytest.mark.parametrize("jump_s", [2, -1])
def test_what_rounding_and_drift_may_do_is_no_jump(jump_s: int) -> None:
    backed = Backed()
    backed.chip.jump(jump_s)
    assert backed.judged() == (HEALTH_SUCCESS, "")


def test_a_jump_ahead_is_believed_after_the_next_boot_and_one_behind_the_floor_is_not() -> None:
    backed = Backed()
    backed.chip.jump(HOUR_S)
    assert backed.judged() == (HEALTH_FAIL, "jumped")
    backed.power_cut()
    backed.clock.raise_floor(NOON)
    assert backed.clock.trust == TRUST_SET
    assert backed.clock.wall_s() == backed.chip.wall_s()
    backed.chip.jump(-2 * HOUR_S)
    backed.power_cut()
    backed.clock.raise_floor(NOON)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_FLOOR, NOON)
    assert backed.judged() == (HEALTH_FAIL, "time_lost")


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_against_a_signed_time_the_rtc_is_wrong_and_set_anew(jump_s: int) -> None:
    backed = Backed()
    backed.clock.set_wall(LATER)
    backed.chip.jump(jump_s)
    assert backed.judged() == (HEALTH_FAIL, "jumped")
    assert backed.chip.wall_s() == backed.clock.wall_s() == LATER + backed.time.now_ms() // 1000
    assert backed.judged() == (HEALTH_FAIL, "jumped")  # a retry does not talk it away
    backed.power_cut()
    assert backed.clock.wall_s() == LATER + backed.time.now_ms() // 1000
    assert backed.judged() == (HEALTH_SUCCESS, "")


def test_a_jump_is_told_even_if_a_signed_time_came_before_the_check() -> None:
    backed = Backed()
    backed.wait(60)
    backed.chip.fault("jumps")
    backed.clock.set_wall(NOON + 100)
    assert backed.chip.wall_s() == NOON + 100
    health = backed.health()
    assert (health.outcome, health.cause, health.measurements["drift_s"]) == (HEALTH_FAIL, "jumped", 3 * HOUR_S)


def test_an_empty_battery_shows_at_the_next_power_up() -> None:
    backed = Backed()
    backed.chip.fault("battery_empty")
    assert backed.judged() == (HEALTH_SUCCESS, "")
    backed.power_cut()
    backed.clock.raise_floor(NOON)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_FLOOR, NOON)
    assert backed.judged() == (HEALTH_FAIL, "time_lost")


def test_an_empty_battery_is_told_after_the_time_was_set_until_a_start_shows_a_good_one() -> None:
    backed = Backed()
    backed.chip.fault("battery_empty")
    backed.power_cut()
    backed.clock.set_wall(LATER)
    assert backed.judged() == (HEALTH_FAIL, "time_lost")
    assert backed.clock.trust == TRUST_SET
    backed.power_cut()
    backed.clock.set_wall(LATER)
    assert backed.judged() == (HEALTH_FAIL, "time_lost")
    backed.chip.fault("battery_empty", on=False)
    backed.power_cut()
    assert backed.judged() == (HEALTH_SUCCESS, "")


def test_a_battery_backed_clock_that_never_was_set_lost_its_time_and_has_no_trust() -> None:
    backed = Backed()
    backed.chip.fault("lost")
    backed.power_cut()
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_NONE, 0)
    assert backed.judged() == (HEALTH_FAIL, "time_lost")


def test_a_clock_without_the_stop_flag_in_an_earlier_year_lost_its_time() -> None:
    backed = Backed(wall_s=1_577_836_800)  # 2020
    assert backed.clock.trust == TRUST_NONE
    assert backed.judged() == (HEALTH_FAIL, "time_lost")


def test_time_lost_while_running_is_found_and_the_clock_goes_on_by_the_ticks() -> None:
    backed = Backed()
    backed.wait(60)
    backed.chip.fault("lost")
    assert backed.judged() == (HEALTH_FAIL, "time_lost")
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON + backed.time.now_ms() // 1000)
    assert backed.chip.wall_s() < NOON  # not set by a time that nobody has signed
    backed.clock.set_wall(LATER)
    assert backed.chip.wall_s() == LATER
    assert backed.judged() == (HEALTH_FAIL, "time_lost")


def test_time_lost_after_a_signed_time_is_set_anew_and_told() -> None:
    backed = Backed()
    backed.clock.set_wall(LATER)
    backed.chip.fault("lost")
    assert backed.judged() == (HEALTH_FAIL, "time_lost")
    assert backed.chip.wall_s() == backed.clock.wall_s() >= LATER


def test_a_crystal_that_stands_still_is_found() -> None:
    backed = Backed()
    backed.wait(HOUR_S)
    backed.chip.fault("stopped")
    backed.wait(HOUR_S)
    assert backed.judged() == (HEALTH_FAIL, "stopped")
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON + backed.time.now_ms() // 1000)
    backed.clock.set_wall(LATER)  # which it cannot keep
    assert backed.judged() == (HEALTH_FAIL, "stopped")
    assert backed.clock.wall_s() >= LATER
    backed.power_cut()
    assert backed.clock.trust == TRUST_NONE
    assert backed.judged() == (HEALTH_FAIL, "stopped")


def test_an_rtc_that_dies_while_running_takes_nothing_away() -> None:
    backed = Backed()
    backed.chip.fault("no_answer")
    backed.wait(HOUR_S)
    health = backed.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON + backed.time.now_ms() // 1000)
    backed.chip.fault("no_answer", on=False)
    assert backed.judged() == (HEALTH_SUCCESS, "")


def test_an_rtc_that_is_dead_at_boot_leaves_a_clock_that_waits_and_has_the_floor() -> None:
    backed = Backed()
    backed.chip.fault("no_answer")
    backed.power_cut()
    assert backed.clock.bring_up_error is not None
    assert backed.clock.bring_up_error.code == E_NOHARDWARE
    assert backed.judged() == (HEALTH_FAIL, "no_answer")
    backed.clock.raise_floor(NOON)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_FLOOR, NOON)
    assert backed.run(backed.clock.wait_for(backed.clock.sleep_ms(10), 100)) is None
    backed.chip.fault("no_answer", on=False)
    backed.run(backed.clock.enable())  # it answers after all
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, backed.chip.wall_s())
    assert backed.judged() == (HEALTH_SUCCESS, "")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("no_acknowledge", "no_answer"),
        ("stuck_line", "no_answer"),
        ("silence", "no_answer"),
        ("flipped_bits", "garbled_answer"),
        ("garbage", "garbled_answer"),
    ],
)
@pytest.mark.parametrize("at_boot", [True, False])
def test_a_bad_bus_is_told_and_changes_no_time(fault: str, cause: str, at_boot: bool) -> None:
    backed = Backed()
    backed.bench.bus_fault("reader_bus", fault)
    if at_boot:
        backed.power_cut()
        assert backed.clock.trust == TRUST_NONE
    for _ in range(20):
        assert backed.judged() == (HEALTH_FAIL, cause)
    if not at_boot:
        assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON + backed.time.now_ms() // 1000)


def test_a_bus_that_is_bad_while_the_time_is_set_leaves_the_signed_time() -> None:
    backed = Backed()
    backed.bench.bus_fault("reader_bus", "garbage")
    backed.clock.set_wall(LATER)
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, LATER)
    backed.bench.bus_fault("reader_bus", "garbage", False)
    backed.health()
    assert backed.chip.wall_s() == backed.clock.wall_s()


# What certificates are judged by.


def test_certificates_are_judged_by_what_is_supposed_until_the_time_is_signed() -> None:
    wired = Wired()
    wired.boot()
    wired.clock.raise_floor(NOON)
    assert wired.clock.certificate_s() == NOON
    assert wired.clock.suppose(LATER) is True  # for the next start would wake with it
    assert (wired.clock.certificate_s(), wired.clock.wall_s(), wired.clock.trust) == (LATER, NOON, TRUST_FLOOR)
    assert wired.rtc().datetime()[:3] == (2033, 5, 18)  # by which Mbed TLS judges
    wired.clock.set_wall(NOON + HOUR_S)
    assert wired.clock.certificate_s() == wired.clock.wall_s() == NOON + HOUR_S
    assert wired.rtc().datetime()[:3] == (2025, 6, 15)
    assert wired.clock.suppose(LATER) is False
    assert wired.clock.certificate_s() == NOON + HOUR_S


def test_supposing_nothing_goes_back_to_the_time_of_day() -> None:
    wired = Wired()
    wired.boot()
    wired.clock.raise_floor(NOON)
    wired.clock.suppose(LATER)
    assert wired.clock.suppose(0) is False
    assert wired.clock.certificate_s() == NOON


def test_what_is_supposed_never_goes_to_an_rtc_that_keeps_the_time() -> None:
    backed = Backed()
    own = backed.machine.RTC()
    backed.clock = SystemClock(backed.time, backed.rtc(), backed.time.sleep_ms, own)
    backed.bring_up(backed.clock)
    assert backed.clock.suppose(LATER) is False
    assert backed.chip.wall_s() == NOON and own.datetime()[:3] == (2033, 5, 18)
    assert backed.judged() == (HEALTH_SUCCESS, "")  # it is no jump


def test_what_a_clock_woke_with_can_be_distrusted_and_only_that() -> None:
    wired = Wired()
    wired.bench.set_rtc(LATER)
    wired.boot()
    wired.clock.distrust()
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_NONE, 0)
    wired.clock.raise_floor(NOON)
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_FLOOR, NOON)
    wired.clock.set_wall(LATER)
    wired.clock.distrust()  # a signed source has given it
    assert (wired.clock.trust, wired.clock.wall_s()) == (TRUST_SET, LATER)
    backed = Backed()
    backed.clock.distrust()  # nothing supposed is ever in it
    assert (backed.clock.trust, backed.clock.wall_s()) == (TRUST_SET, NOON)


def test_a_fresh_answer_is_right_even_below_the_floor() -> None:
    wired = Wired()
    wired.boot()
    wired.clock.raise_floor(LATER)
    wired.clock.set_wall(NOON, is_fresh=True)
    assert (wired.clock.trust, wired.clock.wall_s(), wired.clock.is_signed) == (TRUST_SET, NOON, True)
    wired.clock.raise_floor(NOON - HOUR_S)
    assert wired.clock.trust == TRUST_SET
