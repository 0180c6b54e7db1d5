"""The clock of a Linux machine: believed as far as it deserves, a signed time above it, and told when somebody has set it."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from hal.clock import CONTRACT, TRUST_FLOOR, TRUST_NONE, TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.drivers.linux.linux_clock import LinuxClock, Machine, kernel_status
from hal.errors import DeviceError
from tests.linux.support import bring_up

NOON = 1_750_000_000  # in June 2025
LATER = 1_800_000_000
LONG_AGO = 946_684_800  # 2000
HOUR_S = 3600
STA_UNSYNC = 0x40


class Here(Machine):
    """A machine whose kernel's files are in a folder, and whose time is moved by hand. rtc_s: None for no real-time clock."""

    def __init__(self, folder: Path, wall_s: int = NOON, synchronised: bool = False, rtc_s: int | None = None) -> None:
        self.folder = folder
        self.now_s = wall_s
        self.now_ms = 1000
        self.unsynchronised = not synchronised
        self.refuses = 0
        self.rtc_runs = True
        self._rtc = folder / "rtc"
        self._rtc.mkdir()
        super().__init__(str(self._rtc), str(folder / "synchronized"), self._kernel_status)
        self.shows = rtc_s
        if rtc_s is not None:
            for name, sets in (("rtc0", "0"), ("rtc1", "1")):
                (self._rtc / name).mkdir()
                (self._rtc / name / "hctosys").write_text(f"{sets}\n")
                (self._rtc / name / "since_epoch").write_text("0\n")
            self._show()

    def pass_by(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self.now_s = self.now_s + milliseconds // 1000
        if self.shows is not None and self.rtc_runs:
            self.shows += milliseconds // 1000
            self._show()

    async def sleep_ms(self, duration_ms: int) -> None:
        self.now_ms += duration_ms
        if self.now_ms % 1000 < duration_ms:
            self.now_ms -= duration_ms
            self.pass_by(1000)
        await asyncio.sleep(0)

    def lose_rtc(self) -> None:
        (self._rtc / "rtc1" / "since_epoch").unlink()

    def _show(self) -> None:
        (self._rtc / "rtc1" / "since_epoch").write_text(f"{self.shows}\n")

    def _kernel_status(self) -> int:
        if self.refuses:
            raise OSError(self.refuses, "refused")
        return STA_UNSYNC if self.unsynchronised else 0

    def ticks_ms(self) -> int:
        return self.now_ms

    def wall_s(self) -> int:
        return self.now_s


def booted(machine: Here, floor_s: int = 0) -> LinuxClock:
    clock = LinuxClock(machine, machine.sleep_ms)
    if floor_s:
        clock.raise_floor(floor_s)
    asyncio.run(bring_up(clock))
    return clock


def health(clock: LinuxClock) -> Health:
    return asyncio.run(clock.check_health(1))


def judged(clock: LinuxClock) -> tuple[str, str]:
    found = health(clock)
    return found.outcome, found.cause


def test_the_driver_keeps_the_contract() -> None:
    assert CONTRACT.missing(LinuxClock()) == []
    assert LinuxClock().part == "linux_clock"


# Whether the machine's clock is believed.


def test_a_clock_that_the_kernel_says_is_synchronised_is_believed(tmp_path: Path) -> None:
    clock = booted(Here(tmp_path, synchronised=True))
    assert (clock.trust, clock.wall_s()) == (TRUST_SET, NOON)
    assert judged(clock) == (HEALTH_SUCCESS, "")


def test_a_clock_that_nobody_has_set_is_not(tmp_path: Path) -> None:
    clock = booted(Here(tmp_path))
    assert (clock.trust, clock.wall_s()) == (TRUST_NONE, 0)
    assert judged(clock) == (HEALTH_NOT_RUN, "not_set")


def test_a_clock_that_nobody_has_set_runs_from_the_floor(tmp_path: Path) -> None:
    machine = Here(tmp_path, wall_s=LATER)
    clock = booted(machine, floor_s=NOON)
    machine.pass_by(60_000)
    assert (clock.trust, clock.wall_s()) == (TRUST_FLOOR, NOON + 60)


def test_where_a_sandbox_hides_the_kernels_clock_the_file_of_the_time_service_tells(tmp_path: Path) -> None:
    machine = Here(tmp_path, synchronised=True)
    machine.refuses = errno.EPERM
    clock = booted(machine)
    assert clock.trust == TRUST_NONE
    (tmp_path / "synchronized").touch()
    assert judged(clock) == (HEALTH_SUCCESS, "")
    assert (clock.trust, clock.wall_s()) == (TRUST_SET, machine.now_s)


def test_a_kernel_that_fails_otherwise_is_an_answer_that_is_missing(tmp_path: Path) -> None:
    machine = Here(tmp_path)
    clock = booted(machine)
    machine.refuses = errno.EIO
    assert judged(clock) == (HEALTH_FAIL, "no_answer")


def test_a_clock_that_is_synchronised_only_after_the_start_is_believed_from_then_on(tmp_path: Path) -> None:
    machine = Here(tmp_path, wall_s=LONG_AGO)
    clock = booted(machine, floor_s=NOON)
    assert clock.trust == TRUST_FLOOR
    machine.now_s, machine.unsynchronised = LATER, False
    assert judged(clock) == (HEALTH_SUCCESS, "")
    assert (clock.trust, clock.wall_s()) == (TRUST_SET, machine.now_s)


def test_a_real_time_clock_with_a_battery_is_believed(tmp_path: Path) -> None:
    clock = booted(Here(tmp_path, rtc_s=NOON))
    assert (clock.trust, clock.wall_s()) == (TRUST_SET, NOON)
    assert judged(clock) == (HEALTH_SUCCESS, "")


def test_that_the_network_sets_a_real_time_clock_right_is_no_jump(tmp_path: Path) -> None:
    machine = Here(tmp_path, rtc_s=NOON)
    clock = booted(machine)
    machine.now_s += HOUR_S
    machine.unsynchronised = False
    assert judged(clock) == (HEALTH_SUCCESS, "")
    assert clock.wall_s() == machine.now_s


# A signed time.


def test_a_signed_time_is_right_and_the_machines_clock_stays_as_it_is(tmp_path: Path) -> None:
    machine = Here(tmp_path)
    clock = booted(machine)
    clock.set_wall(LATER)
    machine.pass_by(60_000)
    assert (clock.trust, clock.wall_s()) == (TRUST_SET, LATER + 60)
    assert judged(clock) == (HEALTH_SUCCESS, "")
    assert machine.now_s < NOON + 120


def test_a_signed_time_stays_right_when_the_network_sets_the_machine(tmp_path: Path) -> None:
    machine = Here(tmp_path)
    clock = booted(machine)
    clock.set_wall(LATER)
    machine.now_s, machine.unsynchronised = NOON + HOUR_S, False
    assert judged(clock) == (HEALTH_SUCCESS, "")
    assert clock.wall_s() - LATER < 60


def test_the_floor_holds_against_a_machine_that_is_behind(tmp_path: Path) -> None:
    clock = booted(Here(tmp_path, synchronised=True), floor_s=LATER)
    assert (clock.trust, clock.wall_s()) == (TRUST_FLOOR, LATER)


# What is told.


@pytest.mark.parametrize("step_s", [-HOUR_S, HOUR_S])
def test_a_clock_that_somebody_has_set_has_jumped_and_the_ticks_go_on(tmp_path: Path, step_s: int) -> None:
    machine = Here(tmp_path, rtc_s=NOON)
    clock = booted(machine)
    machine.now_s += step_s
    machine.pass_by(60_000)
    found = health(clock)
    assert (found.outcome, found.cause) == (HEALTH_FAIL, "jumped")
    assert abs(found.measurements["drift_s"] - step_s) <= 3
    assert abs(clock.wall_s() - NOON - 60) <= 3


def test_a_jump_under_a_signed_time_is_told_and_leaves_the_time_right(tmp_path: Path) -> None:
    machine = Here(tmp_path)
    clock = booted(machine)
    clock.set_wall(LATER)
    machine.now_s += HOUR_S
    assert judged(clock) == (HEALTH_FAIL, "jumped")
    machine.pass_by(60_000)
    assert judged(clock) == (HEALTH_FAIL, "jumped")  # until the next start
    assert abs(clock.wall_s() - LATER - 60) <= 3


@pytest.mark.parametrize("rtc_s", [0, LONG_AGO])
def test_a_battery_that_did_not_keep_the_time_is_told(tmp_path: Path, rtc_s: int) -> None:
    machine = Here(tmp_path, wall_s=LONG_AGO, rtc_s=rtc_s)
    clock = booted(machine)
    assert clock.trust == TRUST_NONE
    assert judged(clock) == (HEALTH_FAIL, "time_lost")


def test_an_empty_battery_is_told_though_the_network_has_set_the_clock(tmp_path: Path) -> None:
    clock = booted(Here(tmp_path, synchronised=True, rtc_s=LONG_AGO))
    assert clock.trust == TRUST_SET
    assert judged(clock) == (HEALTH_FAIL, "time_lost")


def test_a_battery_clock_behind_the_floor_has_lost_its_time(tmp_path: Path) -> None:
    clock = booted(Here(tmp_path, rtc_s=NOON), floor_s=LATER)
    assert clock.trust == TRUST_FLOOR
    assert judged(clock) == (HEALTH_FAIL, "time_lost")


def test_a_real_time_clock_that_stands_still_is_told(tmp_path: Path) -> None:
    machine = Here(tmp_path, rtc_s=NOON)
    clock = booted(machine)
    machine.rtc_runs = False
    assert judged(clock) == (HEALTH_FAIL, "stopped")


def test_a_real_time_clock_that_no_longer_answers_is_told(tmp_path: Path) -> None:
    machine = Here(tmp_path, rtc_s=NOON)
    clock = booted(machine)
    machine.lose_rtc()
    assert judged(clock) == (HEALTH_FAIL, "no_answer")
    assert clock.wall_s() >= NOON


# This machine.


def test_registers_that_hold_no_time_are_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Here(tmp_path, rtc_s=NOON)

    def read(path: str) -> str:
        if path.endswith("since_epoch"):
            raise OSError(errno.EINVAL, "Invalid argument")  # the kernel's rtc_valid_tm refuses them
        return "1"

    monkeypatch.setattr("hal.drivers.linux.linux_clock._read", read)
    assert machine.rtc_s() == 0


def test_the_kernel_tells_the_state_of_its_clock() -> None:
    """adjtimex(2) on this machine; any program may ask, a sandbox may forbid it."""
    try:
        status = kernel_status()
    except OSError as error:
        assert error.errno in (errno.EPERM, errno.ENOSYS)
    else:
        assert 0 <= status < 0x10000  # STA_CLK, the highest that is defined, is 0x8000


def test_the_clock_of_this_machine_waits_and_counts() -> None:
    clock = LinuxClock()

    async def program() -> Health:
        await bring_up(clock)
        begun_ms = clock.monotonic_ms()
        await clock.sleep_ms(60)
        assert clock.monotonic_ms() - begun_ms >= 60
        with pytest.raises(OSError, match="timeout"):
            await clock.wait_for(asyncio.Event().wait(), 20)
        return await clock.check_health(1)

    found = asyncio.run(program())
    assert found.cause in ("", "not_set", "time_lost"), found.detail
    assert found.measurements["passed_ms"] < 1000


def test_a_signed_time_below_the_floor_changes_nothing(tmp_path: Path) -> None:
    clock = booted(Here(tmp_path, synchronised=True), floor_s=NOON)
    clock.set_wall(NOON - 1)
    assert clock.wall_s() == NOON


def test_a_machine_that_answers_nothing_at_the_start_is_asked_again(tmp_path: Path) -> None:
    machine = Here(tmp_path, synchronised=True)
    machine.refuses = errno.EIO
    clock = LinuxClock(machine, machine.sleep_ms)
    with pytest.raises(DeviceError):
        asyncio.run(bring_up(clock))
    machine.refuses = 0
    asyncio.run(clock.enable())
    assert clock.trust == TRUST_SET
