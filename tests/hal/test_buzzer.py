"""The buzzer driver against the piezo's model: tones that are heard as asked for, and silence whatever happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hal.device import HEALTH_NOT_RUN
from hal.drivers.buzzer import Buzzer
from hal.errors import E_BUSY, E_DISABLED, E_ILLEGAL, E_NOHARDWARE, DeviceError
from hal.sounder import CONTRACT
from host_sim.bench import Bench
from host_sim.chips.buzzer import BuzzerChip
from host_sim.microcontroller import micropython_binary
from tests.hal.wired import BOARD, Wired
from tests.simulation.joined import run_joined

PIN = 48


class Buzzing(Wired):
    def __init__(self) -> None:
        super().__init__()
        self.chip = chip_of(self.bench)
        self.start()

    def start(self) -> None:
        """The program starts; the bench stays as it is."""
        self.buzzer = Buzzer(self.machine.PWM, self.machine.Pin(PIN), self.clock)

    def ready(self) -> Buzzing:
        self.bring_up(self.buzzer)
        return self


def chip_of(bench: Bench) -> BuzzerChip:
    chip = bench.chips["sounder"]
    assert isinstance(chip, BuzzerChip)
    return chip


def test_the_driver_keeps_the_contract() -> None:
    assert CONTRACT.missing(Buzzing().buzzer) == []


def test_neither_building_nor_bring_up_makes_a_sound() -> None:
    buzzing = Buzzing().ready()
    assert (buzzing.chip.sounding, buzzing.chip.heard) == (0, [])


@pytest.mark.parametrize(("frequency_hz", "duration_ms"), [(100, 1), (2000, 200), (4000, 50), (10000, 5000)])
def test_a_tone_is_heard_as_asked_for_and_then_silence(frequency_hz: int, duration_ms: int) -> None:
    buzzing = Buzzing().ready()
    sounding = []
    tone = buzzing.buzzer.tone(frequency_hz, duration_ms)
    buzzing.run(buzzing.during(tone, duration_ms - 1, lambda: sounding.append(buzzing.chip.sounding)))
    assert sounding == [frequency_hz]
    assert (buzzing.chip.sounding, buzzing.chip.heard) == (0, [(frequency_hz, duration_ms)])


def test_tones_follow_each_other() -> None:
    buzzing = Buzzing().ready()

    async def tune() -> None:
        for frequency_hz in (440, 880, 440):
            await buzzing.buzzer.tone(frequency_hz, 100)

    buzzing.run(tune())
    assert buzzing.chip.heard == [(440, 100), (880, 100), (440, 100)]


@pytest.mark.parametrize(("frequency_hz", "duration_ms"), [(99, 100), (10001, 100), (0, 100), (-1, 100), (440, 0), (440, 5001), (440, -1)])
def test_what_is_out_of_range_is_refused_in_silence(frequency_hz: int, duration_ms: int) -> None:
    buzzing = Buzzing().ready()
    assert buzzing.error_of(buzzing.buzzer.tone(frequency_hz, duration_ms)).code == E_ILLEGAL
    assert (buzzing.chip.sounding, buzzing.chip.heard) == (0, [])


def test_a_tone_before_enable_is_refused() -> None:
    buzzing = Buzzing()
    assert buzzing.error_of(buzzing.buzzer.tone(440, 100)).code == E_DISABLED


def test_a_tone_that_is_cancelled_leaves_silence_and_the_next_one_sounds() -> None:
    buzzing = Buzzing().ready()

    async def cancelled() -> None:
        task = asyncio.create_task(buzzing.buzzer.tone(440, 5000))
        await buzzing.time.sleep_ms(70)
        assert buzzing.chip.sounding == 440
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert buzzing.chip.sounding == 0
        await buzzing.buzzer.tone(880, 10)

    buzzing.run(cancelled())
    assert buzzing.chip.heard == [(440, 70), (880, 10)]


def test_a_tone_within_a_limit_that_is_over_leaves_silence() -> None:
    buzzing = Buzzing().ready()
    with pytest.raises(OSError):
        buzzing.run(buzzing.clock.wait_for(buzzing.buzzer.tone(440, 5000), 100))
    assert (buzzing.chip.sounding, buzzing.chip.heard) == (0, [(440, 100)])


def test_a_second_tone_at_the_same_time_is_refused_and_the_first_one_ends_as_asked_for() -> None:
    buzzing = Buzzing().ready()

    async def both() -> None:
        first = asyncio.create_task(buzzing.buzzer.tone(440, 100))
        await buzzing.time.sleep_ms(50)
        with pytest.raises(DeviceError) as refused:
            await buzzing.buzzer.tone(880, 100)
        assert refused.value.code == E_BUSY
        await first

    buzzing.run(both())
    assert buzzing.chip.heard == [(440, 100)]


@pytest.mark.parametrize("again", [False, True])
def test_a_device_that_is_disabled_while_it_sounds_is_silent_at_once(again: bool) -> None:
    buzzing = Buzzing().ready()

    def disable() -> None:
        buzzing.buzzer.disable()
        assert buzzing.chip.sounding == 0

    async def program() -> None:
        await buzzing.during(buzzing.buzzer.tone(440, 1000), 100, disable)
        if again:
            await buzzing.buzzer.enable()
            await buzzing.buzzer.tone(880, 10)

    buzzing.run(program())
    assert buzzing.chip.heard == [(440, 100)] + [(880, 10)] * again
    assert buzzing.chip.sounding == 0


def test_bring_up_silences_what_a_crash_left_sounding() -> None:
    buzzing = Buzzing()
    buzzing.machine.PWM(buzzing.machine.Pin(PIN))
    assert buzzing.chip.sounding == 5000
    buzzing.start()
    buzzing.ready()
    assert buzzing.chip.sounding == 0


def test_a_reset_silences_it_too() -> None:
    buzzing = Buzzing()
    buzzing.machine.PWM(buzzing.machine.Pin(PIN))
    buzzing.time.advance(30)
    buzzing.bench.watchdog_reset()
    assert (buzzing.chip.sounding, buzzing.chip.heard) == (0, [(5000, 30)])


@pytest.mark.parametrize(("level", "heard"), [(1, []), (2, [(2000, 200)]), (3, [(2000, 200)])])
def test_health_cannot_judge_and_sounds_above_the_internal_level(level: int, heard: list[tuple[int, int]]) -> None:
    buzzing = Buzzing().ready()
    health = buzzing.run(buzzing.buzzer.check_health(level))
    assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "no_feedback")
    assert buzzing.chip.heard == heard


def test_a_broken_piezo_is_not_heard_and_nothing_else_tells() -> None:
    buzzing = Buzzing().ready()
    buzzing.chip.fault("silent")
    buzzing.run(buzzing.buzzer.tone(440, 100))
    assert buzzing.chip.heard == []
    assert buzzing.run(buzzing.buzzer.check_health(1)).cause == "no_feedback"


def test_a_piezo_that_breaks_while_it_sounds_is_heard_until_then() -> None:
    buzzing = Buzzing().ready()
    buzzing.run(buzzing.during(buzzing.buzzer.tone(440, 100), 40, lambda: buzzing.chip.fault("silent")))
    assert (buzzing.chip.sounding, buzzing.chip.heard) == (0, [(440, 40)])


def test_direct_current_and_what_no_ear_hears_make_no_sound() -> None:
    buzzing = Buzzing()
    pwm = buzzing.machine.PWM(PIN, freq=440, duty_u16=65535)
    assert buzzing.chip.sounding == 0
    pwm.duty_u16(1)
    assert buzzing.chip.sounding == 440
    pwm.freq(40000)
    assert buzzing.chip.sounding == 0


def test_a_microcontroller_without_a_free_pwm_is_no_hardware() -> None:
    buzzing = Buzzing()

    def none_left(pin: object, **settings: int) -> None:
        raise RuntimeError("out of PWM channels")

    buzzer = Buzzer(none_left, buzzing.machine.Pin(PIN), buzzing.clock)
    buzzer.open()
    buzzer.claim()
    assert buzzing.error_of(buzzer.enable()).code == E_NOHARDWARE


# The virtual PWM.


def test_the_virtual_pwm_keeps_to_the_ranges_of_the_esp32() -> None:
    pwm = Buzzing().machine.PWM(PIN, freq=1000, duty_u16=0)
    assert (pwm.freq(), pwm.duty_u16()) == (1000, 0)
    for call, value in ((pwm.freq, 0), (pwm.freq, 40_000_001), (pwm.duty_u16, -1), (pwm.duty_u16, 65_536)):
        with pytest.raises(ValueError):
            call(value)
    pwm.deinit()
    with pytest.raises(RuntimeError):
        pwm.duty_u16(0)


def test_a_pwm_on_a_pin_to_which_nothing_is_wired_reaches_nobody() -> None:
    buzzing = Buzzing()
    buzzing.machine.PWM(47)
    assert buzzing.chip.sounding == 0


PROGRAM = """
import asyncio, json, time
import machine
from hal.drivers.buzzer import Buzzer
from hal.drivers.system_clock import SystemClock

clock = SystemClock(time, machine.RTC(), asyncio.sleep_ms)
machine.PWM(machine.Pin(48), freq=1000, duty_u16=100)  # a program that crashed
time.sleep_ms(20)
buzzer = Buzzer(machine.PWM, machine.Pin(48), clock)

async def main():
    buzzer.open()
    buzzer.claim()
    await buzzer.enable()
    await buzzer.tone(440, 60)
    task = asyncio.create_task(buzzer.tone(880, 5000))
    await clock.sleep_ms(60)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    health = await buzzer.check_health(1)
    buzzer.disable()
    print(json.dumps([health.outcome, health.cause]))

asyncio.run(main())
"""


@pytest.mark.needs("micropython")
def test_tones_are_heard_and_silenced_from_micropython(tmp_path: Path) -> None:
    bench = Bench(BOARD)
    status, said = asyncio.run(run_joined(micropython_binary(), bench, tmp_path, PROGRAM, heap="128k"))
    assert status == 0, said
    assert json.loads(said.splitlines()[-1]) == ["not-run", "no_feedback"]
    chip = chip_of(bench)
    assert chip.sounding == 0
    assert [frequency_hz for frequency_hz, _ in chip.heard] == [1000, 440, 880]
    assert all(duration_ms >= 15 for _, duration_ms in chip.heard) and chip.heard[2][1] < 4000
