"""Simulated time passes only where everybody waits, and in the same order each time."""

from __future__ import annotations

import asyncio
import time as system_time

import pytest

from host_sim.simulated_time import TICKS_PERIOD, SimulatedTime


def test_a_day_of_waiting_takes_no_time() -> None:
    time = SimulatedTime(wall_s=1000)
    begun = system_time.monotonic()
    time.run(time.sleep_ms(86_400_000))
    assert system_time.monotonic() - begun < 5
    assert time.now_ms() == 86_400_000
    assert time.time() == 1000 + 86_400


def test_tasks_wake_in_the_order_of_their_deadlines_at_the_very_millisecond() -> None:
    time = SimulatedTime()
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, *durations_ms: int) -> None:
        for duration_ms in durations_ms:
            await time.sleep_ms(duration_ms)
            woken.append((name, time.now_ms()))

    async def program() -> None:
        await asyncio.gather(sleeper("a", 7, 7, 7), sleeper("b", 10, 1), sleeper("c", 3))

    time.run(program())
    assert woken == [("c", 3), ("a", 7), ("b", 10), ("b", 11), ("a", 14), ("a", 21)]


def test_every_millisecond_of_a_long_run_is_exact() -> None:
    time = SimulatedTime(start_ms=123_456_789)

    async def program() -> None:
        for count in range(1, 3000):
            await time.sleep_ms(1)
            assert time.now_ms() == 123_456_789 + count

    time.run(program())


def test_a_task_that_is_ready_runs_before_time_passes() -> None:
    time = SimulatedTime()
    seen: list[int] = []

    async def busy() -> None:
        for _ in range(100):
            seen.append(time.now_ms())
            await asyncio.sleep(0)

    async def program() -> None:
        await asyncio.gather(time.sleep_ms(5), busy())

    time.run(program())
    assert seen == [0] * 100


def test_time_may_be_pushed_on_and_what_was_due_runs_next() -> None:
    time = SimulatedTime()

    async def program() -> int:
        task = asyncio.create_task(time.sleep_ms(100))
        await asyncio.sleep(0)
        time.advance(5000)
        await task
        return time.now_ms()

    assert time.run(program()) == 5000


def test_timeouts_of_asyncio_itself_are_in_this_time() -> None:
    time = SimulatedTime()
    with pytest.raises(TimeoutError):
        time.run(asyncio.wait_for(asyncio.Event().wait(), 60))
    assert time.now_ms() == 60_000


def test_ticks_wrap_as_on_the_device_and_their_difference_does_not() -> None:
    time = SimulatedTime(start_ms=TICKS_PERIOD - 1)
    before = time.ticks_ms()
    time.advance(3)
    assert (before, time.ticks_ms()) == (TICKS_PERIOD - 1, 2)
    assert time.ticks_diff(time.ticks_ms(), before) == 3
    assert time.ticks_diff(before, time.ticks_ms()) == -3
