"""The DS3231 driver against the chip's model: registers as the data sheet has them, the stop flag, and a bus that lies."""

from __future__ import annotations

import asyncio
import calendar
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.drivers.ds3231 import Ds3231
from hal.drivers.system_clock import SystemClock
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOHARDWARE, DeviceError
from host_sim.bench import Bench
from host_sim.chips.ds3231 import Ds3231Chip
from host_sim.microcontroller import micropython_binary
from tests.hal.wired import BOARD, Wired
from tests.simulation.joined import run_joined

NOON = 1_750_000_000  # 2025-06-15 15:06:40, a Sunday
NOON_FIELDS = (2025, 6, 15, 6, 15, 6, 40, 0)
NOON_REGISTERS = bytes.fromhex("40 06 15 07 15 06 25")


class Clocked(Wired):
    def __init__(self) -> None:
        super().__init__()
        self.chip = chip_of(self.bench)
        self.chip.set_time(NOON)
        self.rtc = Ds3231(self.i2c())

    def power_cut(self) -> None:
        """The power goes and comes back, and the program starts."""
        self.bench.power_cycle()
        self.rtc = Ds3231(self.i2c())

    def registers(self, first: int = 0, length: int = 7) -> bytes:
        data: bytes = self.i2c().readfrom_mem(104, first, length)
        return data

    def refused(self, fields: tuple[int, ...] | None = None) -> int:
        with pytest.raises(DeviceError) as refused:
            self.rtc.datetime(fields)
        assert refused.value.kind == "clock"
        return refused.value.code


def chip_of(bench: Bench) -> Ds3231Chip:
    chip = bench.chips["clock"]
    assert isinstance(chip, Ds3231Chip)
    return chip


def test_building_the_driver_touches_no_bus() -> None:
    wired = Wired()
    wired.bench.bus_fault("reader_bus", "stuck_line")
    assert not Ds3231(wired.i2c()).lost_power


def test_the_time_is_read_in_the_form_of_the_machines_rtc() -> None:
    clocked = Clocked()
    assert clocked.registers() == NOON_REGISTERS
    assert clocked.rtc.datetime() == NOON_FIELDS
    clocked.time.advance(20_000)
    assert clocked.rtc.datetime() == (2025, 6, 15, 6, 15, 7, 0, 0)


def test_the_time_is_set_as_the_data_sheet_has_it_and_the_stop_flag_cleared_last() -> None:
    clocked = Clocked()
    clocked.chip.fault("lost")
    assert clocked.rtc.datetime() == (2000, 1, 1, 5, 0, 0, 0, 0) and clocked.rtc.lost_power
    written: list[bytes] = []
    take = clocked.chip.write

    def tap(data: bytes) -> None:
        written.append(bytes(data))
        take(data)

    clocked.chip.write = tap  # type: ignore[method-assign]
    clocked.rtc.datetime(NOON_FIELDS)
    assert [data for data in written if len(data) > 1] == [b"\x00" + NOON_REGISTERS, b"\x0e\x1c", b"\x0f\x00"]
    assert clocked.registers(0x0F, 1) == b"\x00"
    assert clocked.chip.wall_s() == NOON


@given(st.integers(min_value=946_684_800, max_value=7_258_118_399))
def test_every_second_of_two_centuries_goes_to_the_chip_and_back(wall_s: int) -> None:
    clocked = Clocked()
    moment = datetime.fromtimestamp(wall_s, UTC)
    fields = (*moment.timetuple()[:3], moment.weekday(), *moment.timetuple()[3:6], 0)
    clocked.rtc.datetime(fields)
    assert clocked.chip.wall_s() == wall_s
    assert clocked.rtc.datetime() == fields


def test_the_century_bit_is_the_chips_own_at_the_turn() -> None:
    clocked = Clocked()
    clocked.rtc.datetime((2099, 12, 31, 3, 23, 59, 59, 0))
    assert clocked.registers()[5] == 0x12
    clocked.time.advance(1000)
    assert clocked.registers()[5] == 0x81
    assert clocked.rtc.datetime() == (2100, 1, 1, 4, 0, 0, 0, 0)


@pytest.mark.parametrize(("hours", "hour"), [(0x52, 0), (0x41, 1), (0x51, 11), (0x72, 12), (0x61, 13), (0x71, 23)])
def test_a_chip_left_in_twelve_hours_by_another_program_is_understood(hours: int, hour: int) -> None:
    clocked = Clocked()
    clocked.i2c().writeto_mem(104, 2, bytes([hours]))
    assert clocked.registers()[2] == hours
    assert clocked.rtc.datetime()[4] == hour  # type: ignore[index]
    clocked.rtc.datetime(NOON_FIELDS)
    assert clocked.registers() == NOON_REGISTERS


@pytest.mark.parametrize("year", [1970, 1999, 2200])
def test_a_year_that_the_chip_does_not_know_is_refused_and_nothing_written(year: int) -> None:
    clocked = Clocked()
    assert clocked.refused((year, 1, 1, 0, 0, 0, 0, 0)) == E_ILLEGAL
    assert clocked.chip.wall_s() == NOON


def test_the_battery_keeps_the_time_over_a_power_cut() -> None:
    clocked = Clocked()
    clocked.time.advance(60_000)
    clocked.power_cut()
    assert clocked.rtc.datetime() == (2025, 6, 15, 6, 15, 7, 40, 0)
    assert not clocked.rtc.lost_power


def test_an_empty_battery_loses_the_time_at_the_next_power_cut_and_says_so() -> None:
    clocked = Clocked()
    clocked.chip.fault("battery_empty")
    assert clocked.rtc.datetime() == NOON_FIELDS and not clocked.rtc.lost_power
    clocked.power_cut()
    assert clocked.rtc.datetime() == (2000, 1, 1, 5, 0, 0, 0, 0) and clocked.rtc.lost_power


def test_an_oscillator_that_another_program_stops_on_battery_runs_again_once_the_time_is_set() -> None:
    clocked = Clocked()
    clocked.i2c().writeto_mem(104, 0x0E, b"\x9c")
    clocked.power_cut()
    clocked.rtc.datetime()
    assert clocked.rtc.lost_power
    clocked.rtc.datetime(NOON_FIELDS)
    clocked.power_cut()
    clocked.rtc.datetime()
    assert not clocked.rtc.lost_power


def test_a_power_cut_between_time_and_flag_leaves_the_time_lost() -> None:
    clocked = Clocked()
    clocked.chip.fault("lost")
    take = clocked.chip.write

    def cut_after_the_time(data: bytes) -> None:
        if data[0] == 0x0F:
            raise clocked.chip.absent()
        take(data)

    clocked.chip.write = cut_after_the_time  # type: ignore[method-assign]
    assert clocked.refused(NOON_FIELDS) == E_NOHARDWARE
    clocked.chip.write = take  # type: ignore[method-assign]
    clocked.rtc.datetime()
    assert clocked.rtc.lost_power


def test_a_crystal_that_stands_still_does_not_take_the_time() -> None:
    clocked = Clocked()
    clocked.chip.fault("stopped")
    assert clocked.refused(NOON_FIELDS) == E_FAILURE
    assert clocked.rtc.lost_power


@pytest.mark.parametrize("habit", sorted(Ds3231Chip.HABITS))
def test_the_habits_of_a_good_chip_are_lived_with(habit: str) -> None:
    clocked = Clocked()
    clocked.chip.fault(habit)
    assert clocked.rtc.datetime() == NOON_FIELDS and not clocked.rtc.lost_power
    clocked.rtc.datetime(NOON_FIELDS)
    assert clocked.rtc.datetime() == NOON_FIELDS


@pytest.mark.parametrize("fault", ["no_acknowledge", "stuck_line", "silence"])
def test_a_bus_on_which_nobody_speaks_is_no_hardware(fault: str) -> None:
    clocked = Clocked()
    clocked.bench.bus_fault("reader_bus", fault)
    assert clocked.refused() == E_NOHARDWARE
    assert clocked.refused(NOON_FIELDS) == E_NOHARDWARE


def test_a_dead_chip_is_no_hardware() -> None:
    clocked = Clocked()
    clocked.chip.fault("no_answer")
    assert clocked.refused() == clocked.refused(NOON_FIELDS) == E_NOHARDWARE


@pytest.mark.parametrize("fault", ["flipped_bits", "garbage"])
def test_noise_is_never_taken_for_a_time(fault: str) -> None:
    clocked = Clocked()
    clocked.bench.bus_fault("reader_bus", fault)
    for _ in range(300):
        assert clocked.refused() == E_FAILURE


class Pages:
    """An I2C bus on which readings come from a list, the last one for ever."""

    def __init__(self, *pages: str) -> None:
        self.pages = [bytes.fromhex(page) for page in pages]

    def readfrom_mem_into(self, address: int, register: int, data: bytearray) -> None:
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        data[:] = page + bytes(7) + b"\x1c" + b"\x00"


def test_a_second_that_ends_between_two_readings_is_waited_out() -> None:
    rtc = Ds3231(Pages("59 59 23 07 31 12 25", "00 00 00 01 01 01 26"))
    assert rtc.datetime() == (2026, 1, 1, 0, 0, 0, 0, 0)


def test_a_reading_that_is_wrong_once_does_not_count() -> None:
    rtc = Ds3231(Pages("40 06 15 07 15 06 26", "40 06 15 07 15 06 25"))
    assert rtc.datetime() == NOON_FIELDS


@pytest.mark.parametrize(
    "page",
    [
        "60 06 15 07 15 06 25",
        "4a 06 15 07 15 06 25",
        "c0 06 15 07 15 06 25",
        "40 60 15 07 15 06 25",
        "40 06 24 07 15 06 25",
        "40 06 60 07 15 06 25",
        "40 06 53 07 15 06 25",
        "40 06 15 00 15 06 25",
        "40 06 15 0f 15 06 25",
        "40 06 15 07 00 06 25",
        "40 06 15 07 32 06 25",
        "40 06 15 07 15 00 25",
        "40 06 15 07 15 13 25",
        "40 06 15 07 15 66 25",
        "40 06 15 07 15 06 a0",
        "40 06 15 07 15 06 2a",
        "00 00 00 00 00 00 00",
    ],
)
def test_what_is_no_time_is_refused(page: str) -> None:
    with pytest.raises(DeviceError) as refused:
        Ds3231(Pages(page)).datetime()
    assert refused.value.code == E_FAILURE
    assert page in refused.value.detail


# The model's own ways.


def test_the_model_counts_its_registers_round_and_keeps_what_can_be_written() -> None:
    clocked = Clocked()
    clocked.i2c().writeto_mem(104, 0x12, b"\x77\x41")  # the temperature, which cannot be written, then the seconds
    assert clocked.registers(0x11, 3) == b"\x19\x00\x41"
    clocked.i2c().writeto_mem(104, 0x0F, b"\xff")
    assert clocked.registers(0x0F, 1) == b"\x08"  # flags are cleared only
    clocked.i2c().writeto_mem(104, 0x07, b"\x01\x02")
    assert clocked.registers(0x07, 2) == b"\x01\x02"


def test_the_model_takes_no_illogical_time() -> None:
    clocked = Clocked()
    clocked.i2c().writeto_mem(104, 4, b"\x31\x02")
    assert clocked.registers() == NOON_REGISTERS


def test_the_model_begins_a_whole_second_when_the_seconds_are_written() -> None:
    clocked = Clocked()
    clocked.time.advance(900)
    clocked.i2c().writeto_mem(104, 0, b"\x10")
    clocked.time.advance(900)
    assert clocked.registers()[0] == 0x10
    clocked.time.advance(100)
    assert clocked.registers()[0] == 0x11


@pytest.mark.parametrize(("habit", "gained_s"), [("slow", -43), ("fast", 43), ("busy", 0)])
def test_the_model_goes_wrong_by_five_parts_in_a_million(habit: str, gained_s: int) -> None:
    clocked = Clocked()
    clocked.chip.fault(habit)
    clocked.time.advance(100 * 86_400_000)
    assert clocked.chip.wall_s() - NOON - 100 * 86_400 in (gained_s, gained_s - 1)


PROGRAM = """
import asyncio, json, time
import machine
from hal.drivers.ds3231 import Ds3231
from hal.drivers.system_clock import SystemClock
from hal.errors import DeviceError

i2c = machine.I2C(0, scl=machine.Pin(9), sda=machine.Pin(8), freq=400000)
clock = SystemClock(time, Ds3231(i2c), asyncio.sleep_ms)

async def main():
    clock.open()
    clock.claim()
    found = {"part": clock.part}
    try:
        await clock.enable()
    except DeviceError as error:
        found["bring_up"] = error.name
    found["trust"] = clock.trust
    found["wall_s"] = clock.wall_s()
    health = await clock.check_health(1)
    found["health"] = [health.outcome, health.cause]
    clock.set_wall(4102444800)
    found["set_s"] = clock.wall_s()
    health = await clock.check_health(1)
    found["then"] = [health.outcome, health.cause]
    print(json.dumps(found))

asyncio.run(main())
"""


def on_micropython(folder: Path, prepare: Callable[[Bench], None]) -> tuple[dict[str, Any], Bench]:
    bench = Bench(BOARD)
    chip_of(bench).set_time(NOON)
    prepare(bench)
    status, said = asyncio.run(run_joined(micropython_binary(), bench, folder, PROGRAM, heap="128k"))
    assert status == 0, said
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert found.pop("part") == "ds3231"
    return found, bench


@pytest.mark.needs("micropython")
def test_a_good_clock_on_micropython(tmp_path: Path) -> None:
    found, bench = on_micropython(tmp_path, lambda bench: None)
    assert 0 <= found.pop("wall_s") - NOON < 60
    assert 0 <= found.pop("set_s") - 4_102_444_800 < 60
    assert found == {"trust": 2, "health": ["success", ""], "then": ["success", ""]}
    assert chip_of(bench).wall_s() >= 4_102_444_800


@pytest.mark.parametrize(
    ("fault", "trust", "health", "then"),
    [
        ("lost", 0, ["fail", "time_lost"], ["fail", "time_lost"]),
        ("stopped", 0, ["fail", "stopped"], ["fail", "stopped"]),
    ],
)
@pytest.mark.needs("micropython")
def test_a_broken_clock_gets_the_same_causes_on_micropython(
    fault: str, trust: int, health: list[str], then: list[str], tmp_path: Path
) -> None:
    found, _ = on_micropython(tmp_path, lambda bench: chip_of(bench).fault(fault))
    assert (found["trust"], found["health"], found["then"]) == (trust, health, then)
    assert found["wall_s"] < 60 and found["set_s"] >= 4_102_444_800


@pytest.mark.parametrize(
    ("fault", "name", "cause"),
    [("no_acknowledge", "E_NOHARDWARE", "no_answer"), ("silence", "E_NOHARDWARE", "no_answer"), ("garbage", "E_FAILURE", "garbled_answer")],
)
@pytest.mark.needs("micropython")
def test_a_bad_bus_gets_the_same_causes_on_micropython(fault: str, name: str, cause: str, tmp_path: Path) -> None:
    found, _ = on_micropython(tmp_path, lambda bench: bench.bus_fault("reader_bus", fault))
    assert (found["bring_up"], found["health"], found["then"]) == (name, ["fail", cause], ["fail", cause])
    assert found["trust"] == 0 and found["set_s"] >= 4_102_444_800


def test_the_microcontrollers_own_clock_is_kept_at_the_time_of_day_for_its_tls_library() -> None:
    clocked = Clocked()
    own = clocked.machine.RTC()
    clock = SystemClock(clocked.time, clocked.rtc, clocked.time.sleep_ms, own)
    clocked.bring_up(clock)
    assert _fields_s(own.datetime()) == clock.wall_s()
    clock.set_wall(clock.wall_s() + 3600)
    assert _fields_s(own.datetime()) == clock.wall_s()


def _fields_s(fields: Any) -> int:
    return calendar.timegm((fields[0], fields[1], fields[2], fields[4], fields[5], fields[6]))
