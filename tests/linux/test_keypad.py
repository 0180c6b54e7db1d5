"""Keypads of a Linux machine: kernel events, and the keys of a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import grp
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.phases import FAIL, PASS, SKIP, Result
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.drivers.linux.device_file import unusable
from hal.drivers.linux.evdev_keypad import CODES, EvdevKeypad
from hal.drivers.linux.polled_keypad import NAMES, PolledKeypad
from hal.drivers.linux.tty_keypad import TtyKeypad
from hal.errors import E_DISABLED, E_FAILURE, E_NOHARDWARE, DeviceError
from hal.hal import Hal
from hal.keypad import CONTRACT
from host_sim.linux.input_device import KEYS, REPEAT_DELAY_S, KeypadDevice
from tests.linux.support import bring_up, real_clock

EVENT = struct.Struct("@LLHHi")
SYN = (0, 0, 0)
DROPPED = (0, 3, 0)
PATIENCE_S = 20.0


def run(program: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(program, 60))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.002)


async def read_all(keypad: PolledKeypad) -> list[str]:
    """What has been pressed."""
    keys = []
    while (key := await keypad.read(1)) is not None:
        keys.append(key)
    return keys


@contextlib.asynccontextmanager
async def keypad_device(folder: Path, *faults: str) -> AsyncIterator[KeypadDevice]:
    folder.mkdir(exist_ok=True)
    device = KeypadDevice(folder)
    for name in faults:
        device.fault(name)
    await device.start()
    try:
        yield device
    finally:
        await device.stop()


def evdev_keypad(device: KeypadDevice) -> EvdevKeypad:
    section = device.section()
    assert set(section) == {"device"}
    return EvdevKeypad(device=str(section["device"]), clock=real_clock())


@contextlib.asynccontextmanager
async def evdev(folder: Path, *faults: str) -> AsyncIterator[tuple[KeypadDevice, EvdevKeypad]]:
    async with keypad_device(folder, *faults) as device:
        keypad = evdev_keypad(device)
        await bring_up(keypad)
        try:
            yield device, keypad
        finally:
            keypad.close()


class Bytes:
    """A FIFO into which a test writes what a kernel would."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "event"
        os.mkfifo(self.path)
        self.file = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def write(self, data: bytes) -> None:
        assert os.write(self.file, data) == len(data)

    def send(self, *events: tuple[int, int, int]) -> None:
        self.write(b"".join(EVENT.pack(1760000000, 0, *event) for event in events))

    def close(self) -> None:
        os.close(self.file)
        self.path.unlink()


@contextlib.asynccontextmanager
async def fed(folder: Path, keys: str = "") -> AsyncIterator[tuple[Bytes, EvdevKeypad]]:
    wire = Bytes(folder)
    keypad = EvdevKeypad(str(wire.path), real_clock(), keys)
    try:
        await bring_up(keypad)
        yield wire, keypad
    finally:
        keypad.close()
        wire.close()


def press(code: int) -> tuple[tuple[int, int, int], ...]:
    return ((1, code, 1), SYN)


def release(code: int) -> tuple[tuple[int, int, int], ...]:
    return ((1, code, 0), SYN)


# Keys as kernel events.


def test_the_drivers_keep_the_contract() -> None:
    assert CONTRACT.missing(EvdevKeypad("/dev/null", real_clock())) == []
    assert CONTRACT.missing(TtyKeypad(clock=real_clock(), device="/dev/null")) == []


def test_nothing_is_opened_or_read_before_bring_up(tmp_path: Path) -> None:
    async def program() -> None:
        for keypad in (EvdevKeypad(str(tmp_path / "none"), real_clock()), TtyKeypad(clock=real_clock(), device=str(tmp_path / "none"))):
            with pytest.raises(DeviceError) as error:
                await keypad.read(1)
            assert error.value.code == E_DISABLED

    run(program())


def test_each_key_is_read_once_by_its_name(tmp_path: Path) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (device, keypad):
            assert keypad.keys == NAMES
            assert sorted(device.keys) == sorted(keypad.keys)
            for key in device.keys:
                device.tap(key)
                assert await keypad.read(2000) == key
            await until(lambda: device.idle)
            assert await read_all(keypad) == []

    run(program())


def test_every_code_of_a_key_is_that_key(tmp_path: Path) -> None:
    async def program() -> None:
        async with fed(tmp_path) as (wire, keypad):
            for name, codes in CODES.items():
                for code in codes:
                    wire.send(*press(code), *release(code))
                    assert await keypad.read(1) == name
            wire.send(*press(30), *release(30), *press(69), *release(69))  # KEY_A, KEY_NUMLOCK
            assert await keypad.read(1) is None

    run(program())


# What Linux gives of a USB keypad with a NumLock of its own, written by hand after the kernel's hid-input: scan code of the HID usage, key,
# report; "1", then Enter held for so long that it repeats once (its report has the value 1), then "0".
RECORDED = [
    (4, 4, 0x70053), (1, 69, 1), (0, 0, 0), (4, 4, 0x70053), (1, 69, 0), (0, 0, 0), (0x11, 0, 1), (0, 0, 0),
    (4, 4, 0x70059), (1, 79, 1), (0, 0, 0), (4, 4, 0x70059), (1, 79, 0), (0, 0, 0),
    (4, 4, 0x70058), (1, 96, 1), (0, 0, 0), (1, 96, 2), (0, 0, 1), (4, 4, 0x70058), (1, 96, 0), (0, 0, 0),
    (4, 4, 0x70062), (1, 82, 1), (0, 0, 0), (4, 4, 0x70062), (1, 82, 0), (0, 0, 0),
]  # fmt: skip


def test_the_events_of_a_usb_keypad_are_its_keys(tmp_path: Path) -> None:
    async def program() -> None:
        async with fed(tmp_path) as (wire, keypad):
            wire.send(*RECORDED)
            assert await read_all(keypad) == ["1", "enter", "0"]

    run(program())


@given(cuts=st.lists(st.integers(0, len(RECORDED) * EVENT.size), max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_that_come_in_pieces_are_the_same_keys(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    async def program() -> None:
        async with fed(tmp_path_factory.mktemp("events")) as (wire, keypad):
            data = b"".join(EVENT.pack(0, 0, *event) for event in RECORDED)
            keys = []
            places = [0, *sorted(cuts), len(data)]
            for begin, end in zip(places[:-1], places[1:], strict=True):
                if begin < end:
                    wire.write(data[begin:end])
                keys += await read_all(keypad)
            assert keys == ["1", "enter", "0"]

    run(program())


@given(data=st.binary(max_size=600))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_stop_the_reader_or_give_a_key_that_is_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    async def program() -> None:
        async with fed(tmp_path_factory.mktemp("events")) as (wire, keypad):
            wire.write(data)
            assert set(await read_all(keypad)) <= set(NAMES)
            wire.write(bytes(-len(data) % EVENT.size))  # the rest of the last event
            wire.send(SYN, *press(79))
            assert (await read_all(keypad))[-1:] == ["1"]

    run(program())


@given(events=st.lists(st.tuples(st.sampled_from([0, 1, 4]), st.sampled_from([0, 2, 28, 30, 79]), st.integers(-1, 3)), max_size=20))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_key_is_what_was_pressed_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int]]) -> None:
    async def program() -> None:
        async with fed(tmp_path_factory.mktemp("events")) as (wire, keypad):
            names = {2: "1", 28: "enter", 79: "1"}
            pressed = [names[code] for type, code, value in events if type == 1 and value == 1 and code in names]
            if events:
                wire.send(*events)
            assert await read_all(keypad) == pressed[-8:]

    run(program())


def test_what_is_pressed_while_nobody_reads_is_kept_the_newest_eight(tmp_path: Path) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (device, keypad):
            typed = ["1", "1", "2", "9", "0", "clear", "enter", "enter", "help"]
            for key in typed:
                device.tap(key)
            await until(lambda: device.idle)
            assert await read_all(keypad) == typed[1:]

    run(program())


def test_no_key_gives_nothing_when_the_time_is_over(tmp_path: Path) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (_, keypad):
            clock = real_clock()
            begun_ms = clock.monotonic_ms()
            assert await keypad.read(100) is None
            assert 95 <= clock.monotonic_ms() - begun_ms < 5000

    run(program())


def test_what_was_pressed_before_bring_up_is_not_read(tmp_path: Path) -> None:
    async def program() -> None:
        async with keypad_device(tmp_path) as device:
            device.tap("enter")
            await until(lambda: device.idle)
            device.press("5")
            keypad = evdev_keypad(device)
            await bring_up(keypad)
            device.release("5")
            device.tap("6")
            assert await keypad.read(1000) == "6"
            device.tap("7")
            device.tap("8")
            await until(lambda: device.idle)
            assert await keypad.read(1000) == "7"
            await keypad.enable()
            assert await read_all(keypad) == []
            keypad.close()

    run(program())


def test_however_much_waits_at_bring_up_none_of_it_is_read(tmp_path: Path) -> None:
    async def program() -> None:
        wire = Bytes(tmp_path)
        for _ in range(10):
            wire.send(*[(4, 4, 0x70059), SYN] * 60)
        wire.send(*press(28), *release(28), *press(79))
        keypad = EvdevKeypad(str(wire.path), real_clock())
        await bring_up(keypad)
        assert await keypad.read(1) is None
        assert (await keypad.check_health()).detail == "1"  # and is still down
        keypad.close()
        wire.close()

    run(program())


def test_a_key_held_down_is_read_once_however_often_the_kernel_repeats_it(tmp_path: Path) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (device, keypad):
            device.press("5")
            assert await keypad.read(1000) == "5"
            assert await keypad.read(round(REPEAT_DELAY_S * 1000) + 200) is None
            device.release("5")
            device.tap("5")
            assert await keypad.read(1000) == "5"
            await until(lambda: device.idle)
            assert await read_all(keypad) == []

    run(program())


def test_events_that_were_lost_leave_no_key_down_and_none_invented(tmp_path: Path) -> None:
    async def program() -> None:
        async with fed(tmp_path) as (wire, keypad):
            wire.send(*press(79))
            # The release of "1" was thrown away; what comes up to the next report is a rest of something.
            wire.send(DROPPED, (1, 80, 1), SYN, *press(81), *release(81))
            assert await read_all(keypad) == ["1", "3"]
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS

    run(program())


def test_a_keypad_that_nobody_reads_for_long_goes_on_with_what_comes_then(tmp_path: Path) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (device, keypad):
            for _ in range(1000):
                device.press("5")
                device.release("5")
            device.press("7")
            found = await read_all(keypad)
            assert (set(found), found[-1]) == ({"5", "7"}, "7")  # the oldest are lost
            device.release("7")
            device.tap("8")
            assert await keypad.read(1000) == "8"
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS

    run(program())


# An event device's own requests. A kernel without keyboards has nobody to ask: its part is played here.


class Kernel:
    """Answers ioctl as evdev does, with the numbers that a C program gives for linux/input.h."""

    GRAB, KEY, BIT = 0x40044590, 0x80604518, 0x80604521

    def __init__(self) -> None:
        self.has = {79, 80, 81, 96, 1, 30}
        self.down: set[int] = set()
        self.grabbed = 0
        self.errno = {self.GRAB: 0, self.KEY: 0, self.BIT: 0}

    def ioctl(self, file: int, request: int, argument: Any) -> int:
        if self.errno[request]:
            raise OSError(self.errno[request], os.strerror(self.errno[request]))
        if request == self.GRAB:
            assert argument == 1
            self.grabbed += 1
            return 0
        assert len(argument) == 96
        for code in self.has if request == self.BIT else self.down:
            argument[code // 8] |= 1 << code % 8
        return len(argument)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr("hal.drivers.linux.event_device.fcntl.ioctl", kernel.ioctl)
    return kernel


def test_the_kernels_numbers_are_those_of_its_header() -> None:
    def request(direction: int, number: int, size: int) -> int:  # _IOC of asm-generic/ioctl.h; 'E' is evdev's
        return direction << 30 | size << 16 | ord("E") << 8 | number

    assert request(1, 0x90, struct.calcsize("i")) == Kernel.GRAB
    assert request(2, 0x18, 0x300 // 8) == Kernel.KEY
    assert request(2, 0x20 + 1, 0x300 // 8) == Kernel.BIT


def test_the_keys_are_those_that_the_device_has_and_it_is_grabbed(tmp_path: Path, kernel: Kernel) -> None:
    async def program() -> None:
        async with fed(tmp_path) as (wire, keypad):
            assert keypad.keys == ("1", "2", "3", "enter", "cancel")
            assert kernel.grabbed == 1
            wire.send(*press(79))
            assert await read_all(keypad) == ["1"]

    run(program())


def test_of_the_keys_that_a_device_claims_those_that_are_listed_count(tmp_path: Path, kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="no key 'F1'; there are: 1 2 3"):
        EvdevKeypad("/dev/input/none", real_clock(), keys="1 F1")

    async def program() -> None:
        async with fed(tmp_path, keys="2 1 0") as (_, keypad):
            assert keypad.keys == ("1", "2")

    run(program())


def test_a_device_without_a_single_key_of_a_keypad_is_none(tmp_path: Path, kernel: Kernel) -> None:
    kernel.has = {0x110, 0x111}  # a mouse

    async def program() -> None:
        with pytest.raises(DeviceError, match="has none of the keys of a keypad") as error:
            async with fed(tmp_path):
                pass
        assert error.value.code == E_NOHARDWARE

    run(program())


def test_a_device_that_another_program_has_grabbed_may_not_be_used(tmp_path: Path, kernel: Kernel) -> None:
    kernel.errno[kernel.GRAB] = errno.EBUSY

    async def program() -> None:
        with pytest.raises(DeviceError, match="another program holds") as error:
            async with fed(tmp_path):
                pass
        assert error.value.cause == "no_permission"

    run(program())


def test_a_device_that_goes_while_it_is_asked_is_unplugged(tmp_path: Path, kernel: Kernel) -> None:
    async def program() -> None:
        async with fed(tmp_path) as (wire, keypad):
            kernel.errno[kernel.KEY] = errno.ENODEV
            wire.send(DROPPED, SYN)
            assert await keypad.read(1) is None
            health = await keypad.check_health()
            assert (health.outcome, health.cause) == (HEALTH_FAIL, "unplugged")
            kernel.errno[kernel.KEY] = 0
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS

    run(program())


def test_a_key_that_is_down_at_bring_up_is_stuck_and_not_pressed(tmp_path: Path, kernel: Kernel) -> None:
    kernel.down = {80, 30}

    async def program() -> None:
        async with fed(tmp_path) as (wire, keypad):
            assert await read_all(keypad) == []
            health = await keypad.check_health()
            assert (health.cause, health.detail) == ("key_stuck", "2")
            wire.send(*release(80))
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS

    run(program())


def test_after_lost_events_the_device_is_asked_what_is_down(tmp_path: Path, kernel: Kernel) -> None:
    async def program() -> None:
        async with fed(tmp_path) as (wire, keypad):
            wire.send(*press(79))
            assert await read_all(keypad) == ["1"]
            kernel.down = {81}
            wire.send(DROPPED, (1, 80, 1))
            assert await read_all(keypad) == []  # not before the report
            wire.send(SYN)
            assert await read_all(keypad) == ["3"]
            health = await keypad.check_health()
            assert (health.cause, health.detail) == ("key_stuck", "3")

    run(program())


# Faults, and coming and going.


def test_every_stuck_key_is_found_and_named_from_the_start_and_while_it_runs(tmp_path: Path) -> None:
    async def one(key: str, at_start: bool) -> None:
        name = "stuck_" + key
        folder = tmp_path / f"{key}_{at_start}"
        async with keypad_device(folder, *[name] * at_start) as device:
            for _ in range(1 + at_start):  # whether the program sees it go down, or was started anew and sees it repeated
                keypad = evdev_keypad(device)
                await bring_up(keypad)
            if not at_start:
                assert (await keypad.check_health()).outcome == HEALTH_SUCCESS
                device.fault(name)
            health = await keypad.check_health()
            assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, device.FAULTS[name].cause, E_FAILURE), (key, at_start)
            assert health.detail == key
            device.fault(name, on=False)
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS
            keypad.close()

    async def program() -> None:
        await asyncio.gather(*[one(key, at_start) for key in KEYS for at_start in (True, False)])

    run(program())


def test_a_key_that_a_finger_presses_during_the_check_is_not_stuck_and_not_lost(tmp_path: Path) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (device, keypad):
            check = asyncio.create_task(keypad.check_health())
            await asyncio.sleep(0)  # it has begun
            device.press("4")
            health = await check
            assert (health.outcome, health.measurements) == (HEALTH_SUCCESS, {"keys_down": 0})
            assert await keypad.read(1) == "4"

    run(program())


class Presser:
    """A person who is shown what to do, and can do no more than press keys."""

    def __init__(self, device: KeypadDevice, keypad: PolledKeypad) -> None:
        self.device = device
        self.keypad = keypad
        self.pages: list[str] = []

    def show(self, page: str, **values: object) -> None:
        if page not in self.pages:
            for key in self.device.keys:
                self.device.tap(key)
        self.pages.append(page)

    async def ask(self, page: str, **values: object) -> int:
        raise AssertionError(page)

    async def key(self, timeout_ms: int) -> str:
        return await self.keypad.read(min(timeout_ms, 500)) or ""

    async def look(self, colour: int, timeout_ms: int) -> None:
        raise AssertionError(colour)


async def examined(device: KeypadDevice, keypad: EvdevKeypad, phase: str) -> Result:
    devices: Any = Hal("test", "", real_clock(), None, None, keypad=keypad)  # type: ignore[arg-type]
    return await run_phase(Subject(devices, person=Presser(device, keypad)), phase_named(phase, devices))


def test_every_dead_key_is_found_by_a_person_and_no_check_guesses(tmp_path: Path) -> None:
    async def one(key: str) -> None:
        async with evdev(tmp_path / key, "dead_" + key) as (device, keypad):
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS
            result = await examined(device, keypad, "keypad.keys")
            assert (result.outcome, result.cause, result.detail) == (FAIL, device.FAULTS["dead_" + key].cause, key)

    async def program() -> None:
        await asyncio.gather(*map(one, KEYS))

    run(program())


@pytest.mark.parametrize("habits", [[], ["numlock"]])
def test_a_sound_keypad_passes_and_what_it_cannot_show_is_left_out_with_the_reason(tmp_path: Path, habits: list[str]) -> None:
    async def program() -> None:
        async with evdev(tmp_path, *habits) as (device, keypad):
            assert (await examined(device, keypad, "keypad")).outcome == PASS
            assert (await examined(device, keypad, "keypad.keys")).outcome == PASS
            together = await examined(device, keypad, "keypad.together")
            assert (together.outcome, together.detail) == (SKIP, "the keypad does not tell which keys are down")

    run(program())


@pytest.mark.parametrize("name", ["unplugged", "no_permission"])
def test_a_keypad_that_is_not_there_at_the_start_is_found_by_a_later_self_test(tmp_path: Path, name: str) -> None:
    async def program() -> None:
        async with keypad_device(tmp_path, name) as device:
            keypad = evdev_keypad(device)
            with pytest.raises(DeviceError) as error:
                await bring_up(keypad)
            assert error.value.cause == device.FAULTS[name].cause
            result = await examined(device, keypad, "keypad")
            assert (result.outcome, result.cause) == (FAIL, device.FAULTS[name].cause)
            assert result.error == ("E_NOHARDWARE" if name == "unplugged" else "E_FAILURE")
            assert result.detail == f"{device.place} " + ("is not there" if name == "unplugged" else "may be used by user root")
            device.fault(name, on=False)
            assert (await examined(device, keypad, "keypad")).outcome == PASS
            device.tap("3")
            assert await keypad.read(1000) == "3"
            keypad.close()

    run(program())


@pytest.mark.parametrize("name", ["unplugged", "no_permission"])
def test_a_keypad_that_goes_gives_no_key_and_is_found_again_where_it_comes_back(tmp_path: Path, name: str) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (device, keypad):
            first = device.place.resolve()
            device.press("1")
            assert await keypad.read(1000) == "1"
            device.fault(name)
            device.tap("2")
            assert await keypad.read(30) is None
            result = await examined(device, keypad, "keypad")
            assert (result.outcome, result.cause) == (FAIL, device.FAULTS[name].cause)
            assert keypad.enabled
            device.release("1")
            await until(lambda: device.idle)
            device.fault(name, on=False)
            assert device.place.resolve() != first
            assert await keypad.read(1) is None
            device.tap("3")
            assert await keypad.read(1000) == "3"
            assert (await examined(device, keypad, "keypad")).outcome == PASS

    run(program())


def test_a_check_finds_a_keypad_again_by_itself(tmp_path: Path) -> None:
    async def program() -> None:
        async with evdev(tmp_path) as (device, keypad):
            device.fault("unplugged")
            assert (await keypad.check_health()).cause == "unplugged"
            device.fault("unplugged", on=False)
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS

    run(program())


def test_a_file_that_is_no_device_is_said_to_be_gone(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    async def program() -> None:
        with pytest.raises(DeviceError) as error:
            await bring_up(EvdevKeypad(str(tmp_path / "file"), real_clock()))
        assert error.value.cause == "unplugged"

    run(program())


def test_the_group_that_may_use_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "event0"
    file.touch(0o640)
    file.chmod(0o640)
    error = unusable("keypad", str(file), OSError(errno.EACCES, ""))
    assert (error.cause, error.detail) == ("no_permission", f"{file} may be used by group {grp.getgrgid(file.stat().st_gid).gr_name}")
    error = unusable("keypad", str(file / "below"), OSError(errno.EPERM, ""))
    assert (error.cause, error.detail) == ("no_permission", f"{file}/below may be used by others")


# The keys of a terminal.


class Line:
    """A pseudo-terminal, found under a name that stays."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.person, self.terminal = os.openpty()
        place.unlink(missing_ok=True)
        place.symlink_to(os.ttyname(self.terminal))

    def type(self, data: bytes) -> None:
        assert os.write(self.person, data) == len(data)

    async def typed(self, data: bytes) -> None:
        """Type it, and wait until the terminal's end has it: the kernel hands it over in its own time."""
        waiting = self._waiting() + len(data)
        self.type(data)
        await until(lambda: self._waiting() == waiting)

    def _waiting(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self.terminal, termios.FIONREAD, bytes(4)))[0])

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self.terminal)

    def hang_up(self) -> None:
        os.close(self.person)
        os.close(self.terminal)


@contextlib.asynccontextmanager
async def tty(folder: Path) -> AsyncIterator[tuple[Line, TtyKeypad]]:
    line = Line(folder / "tty")
    keypad = TtyKeypad(device=str(line.place), clock=real_clock())
    try:
        await bring_up(keypad)
        yield line, keypad
    finally:
        keypad.close()
        with contextlib.suppress(OSError):  # a test may have hung up
            line.hang_up()


TYPED = {
    **{str(digit).encode(): str(digit) for digit in range(10)},
    b"\r": "enter",
    b"\n": "enter",
    b"\x1b": "cancel",
    b"\x7f": "clear",
    b"\x08": "clear",
    b"\x1b[3~": "clear",
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"*": "star",
    b"#": "hash",
    b"?": "help",
    b"\x1bOP": "help",
    b"\x1b[[A": "help",
    b"\x1b[11~": "help",
}


def test_each_key_of_a_terminal_is_read_by_its_name(tmp_path: Path) -> None:
    async def program() -> None:
        async with tty(tmp_path) as (line, keypad):
            assert set(TYPED.values()) == set(keypad.keys)
            for data, key in TYPED.items():
                line.type(data)
                assert await keypad.read(2000) == key, data
                assert await keypad.read(1) is None

    run(program())


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"1\x1b[A2", ["1", "up", "2"]),
        (b"\x1b5", ["cancel", "5"]),
        (b"\x1b\x1b\x1b[B", ["cancel", "cancel", "down"]),
        (b"\x1b[15~\x1b[C\x1b[1;5A\x1b[<0;3;4M7", ["7"]),  # F5, right, Ctrl-up, a mouse
        (b"\x1b[12\r3", ["enter", "3"]),  # a sequence that is cut off
        (b"\x1b[[B\x1bOQ\xc3\xa4ab\x00\x01", []),
        (b"\x1b[" + b"1" * 40 + b"~9", ["9"]),
        (b"\x13\x11\x1a\x1c8", ["8"]),  # Ctrl-S, -Q, -Z and -\ stop nothing
    ],
)
def test_sequences_are_told_from_keys(tmp_path: Path, typed: bytes, keys: list[str]) -> None:
    async def program() -> None:
        async with tty(tmp_path) as (line, keypad):
            line.type(typed)
            for key in keys:
                assert await keypad.read(2000) == key
            line.type(b"#")
            assert await keypad.read(2000) == "hash"

    run(program())


class HandClock:
    """Time that goes by only while somebody waits."""

    def __init__(self) -> None:
        self.now_ms = 0

    def monotonic_ms(self) -> int:
        return self.now_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        self.now_ms += duration_ms
        await asyncio.sleep(0)


def test_an_arrow_that_comes_in_pieces_is_an_arrow_and_no_cancel(tmp_path: Path) -> None:
    async def program() -> None:
        line = Line(tmp_path / "tty")
        clock: Any = HandClock()
        keypad = TtyKeypad(device=str(line.place), clock=clock)
        await bring_up(keypad)
        for data, found in ((b"\x1b", None), (b"[", None), (b"A", "up")):
            await line.typed(data)
            assert await keypad.read(40) == found
        await line.typed(b"\x1b[")  # nothing follows
        assert await keypad.read(60) is None
        await line.typed(b"A1")
        assert await keypad.read(10) == "1"
        await line.typed(b"\x1b")
        assert await keypad.read(40) is None
        assert await keypad.read(20) == "cancel"
        keypad.close()
        line.hang_up()

    run(program())


@given(data=st.binary(max_size=300))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_stop_the_terminals_reader_or_give_a_key_that_is_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    async def program() -> None:
        async with tty(tmp_path_factory.mktemp("tty")) as (line, keypad):
            line.type(data.replace(b"*", b"") + b"\r*")
            found: list[str] = []
            while found[-1:] != ["star"]:
                key = await keypad.read(2000)
                assert key is not None and key in NAMES
                found.append(key)

    run(program())


def test_keys_come_at_once_and_unseen_and_the_settings_come_back(tmp_path: Path) -> None:
    async def program() -> None:
        async with tty(tmp_path) as (line, keypad):
            keypad.disable()
            before = line.settings()
            assert before[3] & termios.ECHO
            for _ in range(2):
                await keypad.enable()
            line.type(b"1")
            assert await keypad.read(1000) == "1"
            os.set_blocking(line.person, False)
            with pytest.raises(BlockingIOError):  # no echo
                os.read(line.person, 1)
            after = line.settings()
            assert after[1] == before[1]  # what is written to it looks as before
            assert not after[0] & termios.IXON
            assert not after[3] & termios.ECHO
            assert [after[6][place] for place in (termios.VSUSP, termios.VQUIT)] == [b"\0", b"\0"]
            assert after[6][termios.VINTR] == before[6][termios.VINTR] == b"\x03"
            await line.typed(b"rm -r")
            keypad.disable()
            assert line.settings() == before
            await line.typed(b"\n")
            assert os.read(line.terminal, 100) == b"\n"  # what was typed for the agent is nobody's command

    run(program())


def test_what_was_typed_before_bring_up_is_not_read(tmp_path: Path) -> None:
    async def program() -> None:
        async with tty(tmp_path) as (line, keypad):
            keypad.disable()
            await line.typed(b"\r5\r")
            await keypad.enable()
            assert await read_all(keypad) == []

    run(program())


PROGRAM = """
import asyncio, time
from hal.drivers.linux.tty_keypad import TtyKeypad

class Clock:
    def monotonic_ms(self):
        return time.monotonic_ns() // 1000000

    async def sleep_ms(self, duration_ms):
        await asyncio.sleep(duration_ms / 1000)

async def main():
    keypad = TtyKeypad(clock=Clock())
    keypad.open()
    keypad.claim()
    await keypad.enable()
    print("ready", flush=True)
    assert await keypad.read(20000) == "1"
    raise SystemExit(3)

asyncio.run(main())
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    person, terminal = os.openpty()
    yield person, terminal
    os.close(person)
    os.close(terminal)


@pytest.mark.parametrize(("typed", "code"), [(b"1", 3), (b"5", 1), (b"\x03", -2)])
def test_a_program_that_ends_leaves_the_terminal_as_it_was(terminal: tuple[int, int], typed: bytes, code: int) -> None:
    """By its own end, by an error that nobody caught, and by Ctrl-C."""
    person, end = terminal
    before = termios.tcgetattr(end)

    def at_this_terminal() -> None:
        os.login_tty(os.dup(end))
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests in the background ignores it

    program = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=Path(__file__).parent.parent.parent, preexec_fn=at_this_terminal)
    try:
        said = b""
        while b"ready" not in said:
            said += os.read(person, 1000)
        assert termios.tcgetattr(end) != before
        os.write(person, typed)
        assert program.wait(30) == code
        assert termios.tcgetattr(end) == before
    finally:
        program.kill()
        program.wait()


async def repeated(line: Line, key: bytes, period_s: float) -> None:
    while True:
        line.type(key)
        await asyncio.sleep(period_s)


def test_a_key_that_the_terminal_repeats_all_the_time_is_stuck(tmp_path: Path) -> None:
    async def check(keypad: TtyKeypad, line: Line, key: bytes, period_s: float) -> Health:
        typing = asyncio.create_task(repeated(line, key, period_s))
        try:
            return await keypad.check_health()
        finally:
            typing.cancel()

    async def program() -> None:
        async with tty(tmp_path) as (line, keypad):
            health = await check(keypad, line, b"\x1b[B", 0.033)
            assert (health.outcome, health.cause, health.detail) == (HEALTH_FAIL, "key_stuck", "down")
            await read_all(keypad)
            assert (await check(keypad, line, b"6", 10)).outcome == HEALTH_SUCCESS  # a person presses it
            assert await keypad.read(1) == "6"
            assert (await check(keypad, line, b"6", 0.4)).outcome == HEALTH_SUCCESS  # and again
            await read_all(keypad)
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS

    run(program())


def test_a_terminal_that_hangs_up_gives_no_key_and_is_found_again(tmp_path: Path) -> None:
    async def program() -> None:
        async with tty(tmp_path) as (line, keypad):
            line.type(b"\x1b")
            await asyncio.sleep(0)
            line.hang_up()
            assert await keypad.read(30) is None
            health = await keypad.check_health()
            assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "unplugged", E_NOHARDWARE)
            again = Line(line.place)
            assert await keypad.read(30) is None
            again.type(b"4")
            assert await keypad.read(1000) == "4"
            assert (await keypad.check_health()).outcome == HEALTH_SUCCESS
            keypad.close()
            assert again.settings()[3] & termios.ECHO
            again.hang_up()

    run(program())


@pytest.mark.parametrize(("name", "cause"), [("none", "unplugged"), ("forbidden", "no_permission"), ("file", "")])
def test_a_terminal_that_cannot_be_opened_says_why(tmp_path: Path, name: str, cause: str) -> None:
    (tmp_path / "forbidden").symlink_to("/proc/sys/net/ipv4/route/flush")
    (tmp_path / "file").touch()

    async def program() -> None:
        keypad = TtyKeypad(device=str(tmp_path / name), clock=real_clock())
        with pytest.raises(DeviceError) as error:
            await bring_up(keypad)
        assert error.value.cause == cause
        assert (await keypad.check_health()).cause == (cause or "bring_up")

    run(program())


def test_no_file_stays_open(tmp_path: Path) -> None:
    """Of a keypad that comes and goes, one is open at most."""

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def program() -> None:
        async with keypad_device(tmp_path) as device:
            keypad = evdev_keypad(device)
            line = Line(tmp_path / "tty")
            other = TtyKeypad(device=str(line.place), clock=real_clock())
            before = open_files()
            for each in (keypad, other):
                await bring_up(each)
            for _ in range(5):
                for each in (keypad, other):
                    await each.enable()
                device.fault("unplugged")
                await keypad.read(1)
                device.fault("unplugged", on=False)
                await keypad.read(1)
            assert open_files() == before + 2
            for each in (keypad, other):
                each.close()
            assert open_files() == before
            line.hang_up()

    run(program())
