"""DS3231 by Maxim: a clock that runs on its battery while the terminal has no power. Source: data sheet 19-5170, rev. 10."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from host_sim.chips.faces import Fault, I2cChip
from host_sim.whole_file import write_whole

SECONDS, MINUTES, HOURS, DAY, DATE, MONTH, YEAR = range(7)
CONTROL = 0x0E
STATUS = 0x0F
AGING = 0x10
TEMPERATURE = 0x11
REGISTERS = 0x13  # the pointer goes from the last to the first

CONTROL_AT_RESET = 0x1C
STOPS_ON_BATTERY = 0x80  # control: EOSC
STATUS_AT_RESET = 0x88
STOPPED = 0x80  # status: OSF
BUSY = 0x04  # status: BSY
CLEARED_ONLY = 0x83  # status: OSF, A2F, A1F can be written to 0 and not to 1
ROOM_TEMPERATURE = bytes([25, 0])
TWELVE_HOURS = 0x40
AFTERNOON = 0x20
CENTURY = 0x80

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_AT_RESET = datetime(2000, 1, 1, tzinfo=UTC)
JUMP_S = 3 * 3600
RATE_PPM = 5  # the chip's aging over ten years


class Ds3231Chip(I2cChip):
    """As it comes from its maker: not set. `set_time` is what is done in the works."""

    FAULTS = {
        "no_answer": Fault("the chip is dead: nobody acknowledges", "no_answer"),
        "battery_empty": Fault("the battery is empty: the time is gone after the next power cut", "time_lost"),
        "lost": Fault("the time is gone now: it runs from 2000-01-01, and says so", "time_lost"),
        "jumps": Fault("the time goes three hours ahead, once, as the fault comes", "jumped"),
        "stopped": Fault("the crystal stands still: it shows the same second for ever", "stopped"),
    }
    BREAK_IN_SERVICE = frozenset({"jumps"})
    HABITS = {
        "slow": "runs slow by 5 ppm, half a second a day",
        "fast": "runs fast by 5 ppm, half a second a day",
        "busy": "is busy measuring its temperature, whenever it is asked",
    }

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self._pointer = 0
        self._file: Path | None = None
        self._reset()

    def _reset(self) -> None:
        """Neither supply nor battery: as at the first power-up."""
        self._registers = bytearray(REGISTERS)  # those of the time are not kept here
        self._registers[CONTROL] = CONTROL_AT_RESET
        self._registers[STATUS] = STATUS_AT_RESET
        self._registers[TEMPERATURE : TEMPERATURE + 2] = ROOM_TEMPERATURE
        self._twelve_hours = False
        self._day_offset = 0  # what day of the week is called 1 is the user's affair
        self._run_from(TIME_AT_RESET)

    def keep(self, file: Path) -> None:
        """It has run on its battery since the file was written."""
        self._file = None
        if file.exists():
            kept = json.loads(file.read_bytes())
            self._registers = bytearray.fromhex(kept["registers"])
            self._twelve_hours, self._day_offset = kept["twelve_hours"], kept["day_offset"]
            self._run_from(datetime.fromisoformat(kept["shown"]) + timedelta(seconds=max(0.0, time.time() - kept["at"])))
        self._file = file
        self._changed()

    def _changed(self) -> None:
        """Something that outlasts the power, but for the time that passes."""
        if self._file is not None:
            facts = {"registers": self._registers.hex(), "twelve_hours": self._twelve_hours, "day_offset": self._day_offset}
            write_whole(self._file, json.dumps(facts | {"shown": self._now().isoformat(), "at": time.time()}).encode())

    def power_up(self) -> None:
        self._pointer = 0
        if self.has("battery_empty"):
            self._reset()
        elif self._registers[CONTROL] & STOPS_ON_BATTERY:
            self._registers[STATUS] |= STOPPED
        self._changed()

    def fault(self, name: str, on: bool = True) -> None:
        now = self._now()
        super().fault(name, on)
        self._run_from(now)  # at the rate that is right from here on
        if name == "lost" and on:
            self._reset()
        if name == "jumps" and on:
            self.jump(JUMP_S)
        if name == "stopped" and on:
            self._registers[STATUS] |= STOPPED
        self._changed()

    # Back face.

    def set_time(self, wall_s: int) -> None:
        """The clock is set, seconds since 1970 UTC, 2000..2199, and good."""
        self._run_from(EPOCH + timedelta(seconds=wall_s))
        self._registers[STATUS] &= ~STOPPED
        self._changed()

    def wall_s(self) -> int:
        """What it shows, seconds since 1970 UTC."""
        return (self._now() - EPOCH) // timedelta(seconds=1)

    def jump(self, seconds: int) -> None:
        """What it shows goes ahead by so much, or behind."""
        self._run_from(self._now() + timedelta(seconds=seconds))
        self._changed()

    # The time.

    def _now(self) -> datetime:
        passed_ms = 0 if self.has("stopped") else self.now_ms() - self._since_ms
        ppm = RATE_PPM * (self.has("fast") - self.has("slow"))
        return self._since + timedelta(microseconds=passed_ms * 1000 + passed_ms * ppm // 1000)

    def _run_from(self, moment: datetime) -> None:
        self._since = moment
        self._since_ms = self.now_ms()

    def _time_registers(self) -> bytearray:
        now = self._now()
        hours = _bcd(now.hour)
        if self._twelve_hours:
            hours = TWELVE_HOURS | (AFTERNOON if now.hour >= 12 else 0) | _bcd(now.hour % 12 or 12)
        day = (now.weekday() + self._day_offset) % 7 + 1
        month = _bcd(now.month) | (CENTURY if now.year // 100 % 2 else 0)
        return bytearray([_bcd(now.second), _bcd(now.minute), hours, day, _bcd(now.day), month, _bcd(now.year % 100)])

    def _set_registers(self, shown: bytearray, seconds_written: bool) -> None:
        """Take a time. An illogical one has an undefined effect: here it has none."""
        hours = shown[HOURS]
        twelve = bool(hours & TWELVE_HOURS)
        hour = _binary(hours & 0x1F) % 12 + (12 if hours & AFTERNOON else 0) if twelve else _binary(hours & 0x3F)
        year = 2000 + (100 if shown[MONTH] & CENTURY else 0) + _binary(shown[YEAR])
        try:
            moment = datetime(
                year,
                _binary(shown[MONTH] & 0x1F),
                _binary(shown[DATE] & 0x3F),
                hour,
                _binary(shown[MINUTES] & 0x7F),
                _binary(shown[SECONDS] & 0x7F),
                tzinfo=UTC,
            )
        except ValueError:
            return
        self._twelve_hours = twelve
        self._day_offset = ((shown[DAY] & 0x07) - 1 - moment.weekday()) % 7
        part_of_second = timedelta(0) if seconds_written else timedelta(microseconds=self._now().microsecond)
        self._run_from(moment + part_of_second)  # writing the seconds begins a whole one

    # Bus face.

    def write(self, data: bytes) -> None:
        if self.has("no_answer"):
            raise self.absent()
        if not data:
            return
        self._pointer = data[0] % REGISTERS
        shown = self._time_registers()
        written = set()
        for byte in data[1:]:
            if self._pointer <= YEAR:
                shown[self._pointer] = byte
                written.add(self._pointer)
            elif self._pointer == STATUS:
                kept = self._registers[STATUS] & CLEARED_ONLY
                self._registers[STATUS] = (kept & byte) | (byte & 0x08)
            elif self._pointer < TEMPERATURE:
                self._registers[self._pointer] = byte
            self._pointer = (self._pointer + 1) % REGISTERS
        if written:
            self._set_registers(shown, SECONDS in written)
        if self.has("stopped"):
            self._registers[STATUS] |= STOPPED
        if len(data) > 1:
            self._changed()

    def read(self, length: int) -> bytes:
        if self.has("no_answer"):
            raise self.absent()
        registers = self._time_registers() + self._registers[YEAR + 1 :]  # of one moment, however long the reading
        if self.has("busy"):
            registers[STATUS] |= BUSY
        data = bytes(registers[(self._pointer + index) % REGISTERS] for index in range(length))
        self._pointer = (self._pointer + length) % REGISTERS
        return data


def _bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


def _binary(bcd: int) -> int:
    return (bcd >> 4) * 10 + (bcd & 0x0F)
