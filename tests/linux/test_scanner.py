"""Scanners of a Linux machine: one that types as a keyboard does, and one on a serial line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import struct
import termios
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.phases import FAIL, PASS, Result
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.drivers.linux.evdev_scanner import CHARACTERS, EvdevScanner
from hal.drivers.linux.serial_port import SerialPort
from hal.drivers.serial_scanner import SerialScanner
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOHARDWARE, E_TIMEOUT, DeviceError
from hal.hal import Hal
from hal.scanner import CONTRACT
from host_sim.linux.input_device import InputDevice
from host_sim.linux.scanner_port import US_KEYBOARD, ScannerPort, WedgeScanner
from tests.linux.support import bring_up, real_clock

EVENT = struct.Struct("@LLHHi")
SYN = (0, 0, 0)
DROPPED = (0, 3, 0)
A, B, SHIFT, ENTER, CTRL = 30, 48, 42, 28, 29
PATIENCE_S = 20.0
WAIT_MS = 20000


def run(program: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(program, 60))


@contextlib.asynccontextmanager
async def wedge_scanner(folder: Path, *faults: str) -> AsyncIterator[tuple[WedgeScanner, EvdevScanner]]:
    folder.mkdir(exist_ok=True)
    model = WedgeScanner(folder)
    for name in faults:
        model.fault(name)
    await model.start()
    scanner = EvdevScanner(device=str(model.section()["device"]), clock=real_clock())
    try:
        yield model, scanner
    finally:
        scanner.close()
        await model.stop()


@contextlib.asynccontextmanager
async def wedge(folder: Path, *faults: str) -> AsyncIterator[tuple[WedgeScanner, EvdevScanner]]:
    async with wedge_scanner(folder, *faults) as (model, scanner):
        await bring_up(scanner)
        yield model, scanner


@contextlib.asynccontextmanager
async def serial_scanner(folder: Path, *faults: str, answers: bool = True) -> AsyncIterator[tuple[ScannerPort, SerialScanner]]:
    folder.mkdir(exist_ok=True)
    model = ScannerPort(folder, answers_revision=answers)
    for name in faults:
        model.fault(name)
    await model.start()
    section = model.section()
    port = SerialPort(str(section["device"]), int(section["baudrate"]))
    scanner = SerialScanner(port, real_clock(), answers_revision=bool(section["answers_revision"]))
    try:
        yield model, scanner
    finally:
        port.close()
        await model.stop()


@contextlib.asynccontextmanager
async def serial(folder: Path, *faults: str, answers: bool = True) -> AsyncIterator[tuple[ScannerPort, SerialScanner]]:
    async with serial_scanner(folder, *faults, answers=answers) as (model, scanner):
        await bring_up(scanner)
        yield model, scanner


BOTH = pytest.mark.parametrize("kind", [wedge, serial])
BEFORE: Any = {wedge: wedge_scanner, serial: serial_scanner}


async def shown(model: Any, scanner: Any, code: str, timeout_ms: int = WAIT_MS) -> str | None:
    """What is read of a code that is held to the scanner as soon as it waits for one."""
    scanning = asyncio.create_task(scanner.scan(timeout_ms))
    await asyncio.sleep(0)
    model.present(code)
    text: str | None = await scanning
    return text


class Holder:
    """A person who holds a code to the scanner when told to."""

    def __init__(self, model: Any, code: str = "6901234567892") -> None:
        self.model = model
        self.code = code

    def show(self, page: str, **values: object) -> None:
        asyncio.get_running_loop().call_soon(self.model.present, self.code)

    async def ask(self, page: str, **values: object) -> int:
        raise AssertionError(page)

    async def key(self, timeout_ms: int) -> str:
        raise AssertionError

    async def look(self, colour: int, timeout_ms: int) -> None:
        raise AssertionError


async def examined(model: Any, scanner: Any, phase: str) -> Result:
    devices: Any = Hal("test", "", real_clock(), None, None, scanner=scanner)  # type: ignore[arg-type]
    return await run_phase(Subject(devices, person=Holder(model)), phase_named(phase, devices))


# Both.


def test_the_drivers_keep_the_contract() -> None:
    assert CONTRACT.missing(EvdevScanner("/dev/null", real_clock())) == []
    assert CONTRACT.missing(SerialScanner(SerialPort("/dev/null", 9600), real_clock())) == []


@BOTH
@pytest.mark.parametrize("code", ["1", "6901234567892", "https://example.org/A?b=C#d&e=%20", "x" * 512])
def test_a_code_arrives_as_its_text(tmp_path: Path, kind: Any, code: str) -> None:
    async def program() -> None:
        async with kind(tmp_path) as (model, scanner):
            assert await shown(model, scanner, code) == code
            assert await scanner.scan(20) is None

    run(program())


@BOTH
def test_no_code_is_none_after_the_time(tmp_path: Path, kind: Any) -> None:
    async def program() -> None:
        async with kind(tmp_path) as (_, scanner):
            clock = real_clock()
            begun_ms = clock.monotonic_ms()
            assert await scanner.scan(150) is None
            assert 145 <= clock.monotonic_ms() - begun_ms < 5000
            for timeout_ms in (0, 600001):
                with pytest.raises(DeviceError) as error:
                    await scanner.scan(timeout_ms)
                assert error.value.code == E_ILLEGAL

    run(program())


@BOTH
def test_too_long_a_code_is_garbled(tmp_path: Path, kind: Any) -> None:
    async def program() -> None:
        async with kind(tmp_path) as (model, scanner):
            with pytest.raises(DeviceError) as error:
                await shown(model, scanner, "x" * 513)
            assert (error.value.code, error.value.cause) == (E_FAILURE, "garbled_answer")
            if isinstance(model, ScannerPort):
                return
            assert await shown(model, scanner, "y") == "y"

    run(program())


@BOTH
@pytest.mark.parametrize("name", ["unplugged", "no_permission"])
def test_a_scanner_that_is_not_there_at_the_start_is_found_by_a_later_self_test(tmp_path: Path, kind: Any, name: str) -> None:
    async def program() -> None:
        async with BEFORE[kind](tmp_path, name) as (model, scanner):
            with pytest.raises(DeviceError) as error:
                await bring_up(scanner)
            assert error.value.cause == model.FAULTS[name].cause
            with pytest.raises(DeviceError) as error:
                await scanner.scan(10)
            assert error.value.code == E_DISABLED
            result = await examined(model, scanner, "scanner")
            assert (result.outcome, result.cause) == (FAIL, model.FAULTS[name].cause)
            assert result.detail == f"{model.place} " + ("is not there" if name == "unplugged" else "may be used by user root")
            model.fault(name, on=False)
            assert (await examined(model, scanner, "scanner")).outcome == PASS
            assert await shown(model, scanner, "BACK") == "BACK"

    run(program())


@BOTH
@pytest.mark.parametrize("name", ["unplugged", "no_permission"])
def test_a_scanner_that_goes_says_so_and_is_found_again_at_the_next_use(tmp_path: Path, kind: Any, name: str) -> None:
    async def program() -> None:
        async with kind(tmp_path) as (model, scanner):
            assert await shown(model, scanner, "FIRST") == "FIRST"
            first = model.place.resolve()
            scanning = asyncio.create_task(scanner.scan(WAIT_MS))
            await asyncio.sleep(0)
            model.fault(name)
            with pytest.raises(DeviceError) as error:
                await scanning
            assert error.value.cause in ("unplugged", model.FAULTS[name].cause)  # at first all that is seen is that it went
            with pytest.raises(DeviceError) as error:
                await scanner.scan(WAIT_MS)
            assert error.value.cause == model.FAULTS[name].cause
            health = await scanner.check_health()
            assert (health.outcome, health.cause) == (HEALTH_FAIL, model.FAULTS[name].cause)
            model.fault(name, on=False)
            assert model.place.resolve() != first or isinstance(model, ScannerPort)  # a number of a terminal's may come again
            assert await shown(model, scanner, "SECOND") == "SECOND"
            assert (await scanner.check_health()).outcome == HEALTH_SUCCESS

    run(program())


@BOTH
@pytest.mark.parametrize("at_start", [True, False])
def test_every_fault_is_found_with_its_cause(tmp_path: Path, kind: Any, at_start: bool) -> None:
    """By the internal check, or by a code that a person holds to it."""

    async def one(name: str) -> None:
        async with BEFORE[kind](tmp_path / name, *[name] * at_start) as (model, scanner):
            with contextlib.suppress(DeviceError):  # it is in the health
                await bring_up(scanner)
            if not at_start:
                assert (await examined(model, scanner, "scanner")).outcome == PASS
                model.fault(name)
            result = await examined(model, scanner, "scanner")
            if result.outcome == PASS:
                result = await with_a_code(model, scanner)
            assert (result.outcome in (FAIL, "timeout"), result.cause) == (True, model.FAULTS[name].cause), name
            assert model.FAULTS[name].component == ""

    async def with_a_code(model: Any, scanner: Any) -> Result:
        try:
            code = await shown(model, scanner, "CODE", 500)
        except DeviceError as error:
            return Result("scanner.code", "scanner", FAIL, error.code, cause=error.cause)
        return Result("scanner.code", "scanner", "timeout", E_TIMEOUT, cause="no_code") if code is None else Result("", "", PASS)

    async def program() -> None:
        model = WedgeScanner if kind is wedge else ScannerPort
        await asyncio.gather(*map(one, model.FAULTS))

    run(program())


@BOTH
def test_a_sound_scanner_passes_with_a_person(tmp_path: Path, kind: Any) -> None:
    async def program() -> None:
        async with kind(tmp_path) as (model, scanner):
            assert (await examined(model, scanner, "scanner")).outcome == PASS
            result = await examined(model, scanner, "scanner.code")
            assert (result.outcome, result.detail) == (PASS, "6901234567892")

    run(program())


@BOTH
def test_no_file_stays_open(tmp_path: Path, kind: Any) -> None:
    """Of a scanner that comes and goes, one is open at most."""

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def program() -> None:
        async with kind(tmp_path) as (model, scanner):
            before = open_files()
            for _ in range(4):
                await scanner.enable()
                model.fault("unplugged")
                with pytest.raises(DeviceError):
                    await scanner.scan(10)
                model.fault("unplugged", on=False)
                assert await scanner.scan(10) is None
            assert open_files() == before

    run(program())


# One that types.


class Typed:
    """Keys into a FIFO, as a test wants them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "event"
        os.mkfifo(self.path)
        self.file = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.scanner = EvdevScanner(str(self.path), real_clock())

    def send(self, *events: tuple[int, int, int]) -> None:
        data = b"".join(EVENT.pack(1760000000, 0, *event) for event in events)
        assert os.write(self.file, data) == len(data)

    def strike(self, *codes: int) -> None:
        self.send(*[event for code in codes for event in ((1, code, 1), SYN, (1, code, 0), SYN)])

    async def scanned(self, timeout_ms: int, *codes: int) -> str | None:
        """What is read of keys that are struck once the scan has begun."""
        scanning = asyncio.create_task(self.scanner.scan(timeout_ms))
        await asyncio.sleep(0)
        self.strike(*codes)
        return await scanning


@contextlib.asynccontextmanager
async def typed(folder: Path) -> AsyncIterator[Typed]:
    keys = Typed(folder)
    try:
        await bring_up(keys.scanner)
        yield keys
    finally:
        keys.scanner.close()
        os.close(keys.file)


def test_all_printable_ascii_is_read_from_a_us_keyboard(tmp_path: Path) -> None:
    printable = "".join(map(chr, range(0x20, 0x7F)))

    async def program() -> None:
        async with wedge(tmp_path) as (model, scanner):
            assert await shown(model, scanner, printable) == printable
            assert await shown(model, scanner, "a\tb") == "a\tb"

    assert set(printable) <= set(US_KEYBOARD)
    run(program())


def test_the_keypads_digits_and_enter_are_as_good(tmp_path: Path) -> None:
    async def program() -> None:
        async with typed(tmp_path) as keys:
            assert await keys.scanned(1000, 69, 79, 80, 81, 75, 76, 77, 71, 72, 73, 82, 83, 98, 55, 74, 78, 69, 96) == "1234567890./*-+"

    run(program())


def test_a_code_that_nobody_asked_for_is_not_read(tmp_path: Path) -> None:
    async def program() -> None:
        async with wedge(tmp_path) as (model, scanner):
            model.present("OLD")
            async with asyncio.timeout(PATIENCE_S):
                while not model.idle:
                    await asyncio.sleep(0.002)
            assert await scanner.scan(150) is None
            assert await shown(model, scanner, "NEW") == "NEW"

    run(program())


def test_the_rest_of_a_code_that_began_before_is_no_code(tmp_path: Path) -> None:
    async def program() -> None:
        async with typed(tmp_path) as keys:
            keys.strike(A, A)
            assert await keys.scanned(200, B, ENTER) is None
            keys.strike(A)  # and one that has no end at all is forgotten
            scanning = asyncio.create_task(keys.scanner.scan(2000))
            clock = real_clock()
            begun_ms = clock.monotonic_ms()
            while clock.monotonic_ms() - begun_ms < 150:
                await asyncio.sleep(0.005)
            keys.strike(B, ENTER)
            assert await scanning == "b"

    run(program())


def test_of_two_codes_at_once_the_first_is_read_and_the_second_is_not_kept(tmp_path: Path) -> None:
    async def program() -> None:
        async with typed(tmp_path) as keys:
            assert await keys.scanned(1000, A, ENTER, B, ENTER, ENTER, A) == "a"
            assert await keys.scanned(200, B, ENTER) is None  # the second had begun again
            assert await keys.scanned(1000, ENTER, B, ENTER) == "b"

    run(program())


def test_shift_counts_from_when_it_goes_down_until_all_of_it_is_up(tmp_path: Path) -> None:
    async def program() -> None:
        async with typed(tmp_path) as keys:
            scanning = asyncio.create_task(keys.scanner.scan(1000))
            await asyncio.sleep(0)
            keys.send((1, SHIFT, 1), SYN, (1, 54, 1), SYN)
            keys.strike(A)
            keys.send((1, SHIFT, 0), SYN)
            keys.strike(A)
            keys.send((1, 54, 0), SYN)
            keys.strike(A, ENTER)
            assert await scanning == "AAa"

    run(program())


def test_a_key_that_the_kernel_repeats_is_one_character(tmp_path: Path) -> None:
    async def program() -> None:
        async with typed(tmp_path) as keys:
            scanning = asyncio.create_task(keys.scanner.scan(1000))
            await asyncio.sleep(0)
            keys.send((1, A, 1), SYN, (1, A, 2), (0, 0, 1), (1, A, 2), (0, 0, 1), (1, A, 0), SYN)
            keys.strike(ENTER)
            assert await scanning == "a"

    run(program())


@pytest.mark.parametrize(
    ("codes", "cause"),
    [((A, CTRL, B, ENTER), "garbled_answer"), ((CTRL,), "garbled_answer"), ((A, B), "no_suffix"), ((A, 59, ENTER), "garbled_answer")],
)
def test_what_is_no_code_is_told_by_its_cause(tmp_path: Path, codes: tuple[int, ...], cause: str) -> None:
    async def program() -> None:
        async with typed(tmp_path) as keys:
            with pytest.raises(DeviceError) as error:
                await keys.scanned(200, *codes)
            assert (error.value.code, error.value.cause) == (E_FAILURE, cause)
            assert await keys.scanned(1000, ENTER, B, ENTER) == "b"

    run(program())


def test_a_code_of_which_keys_were_lost_is_garbled(tmp_path: Path) -> None:
    async def program() -> None:
        async with typed(tmp_path) as keys:
            scanning = asyncio.create_task(keys.scanner.scan(1000))
            await asyncio.sleep(0)
            keys.strike(A)
            keys.send(DROPPED, (1, B, 1), SYN)
            keys.strike(A, ENTER)
            with pytest.raises(DeviceError) as error:
                await scanning
            assert error.value.cause == "garbled_answer"
            assert await keys.scanned(1000, B, ENTER) == "b"

    run(program())


def test_a_code_that_has_begun_in_time_is_read_to_its_end(tmp_path: Path) -> None:
    async def program() -> None:
        async with wedge(tmp_path) as (model, scanner):
            long = "0123456789" * 20  # more than its time
            assert await shown(model, scanner, long, 100) == long

    run(program())


@given(text=st.text(alphabet=sorted(US_KEYBOARD), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_of_a_us_keyboard_is_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    async def program() -> None:
        async with wedge(tmp_path_factory.mktemp("wedge")) as (model, scanner):
            assert await shown(model, scanner, text) == text

    run(program())


@given(data=st.binary(max_size=600))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_stop_the_reader_or_give_a_character_that_is_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    characters = {character for pair in CHARACTERS.values() for character in pair}

    async def program() -> None:
        async with typed(tmp_path_factory.mktemp("wedge")) as keys:
            scanning = asyncio.create_task(keys.scanner.scan(10))
            await asyncio.sleep(0)
            os.write(keys.file, data + bytes(-len(data) % EVENT.size))
            try:
                text = await scanning
            except DeviceError as error:
                assert error.cause in ("garbled_answer", "no_suffix")
            else:
                assert text is None or (text and set(text) <= characters)

    run(program())


def test_a_wedge_types_as_the_kernel_tells(tmp_path: Path) -> None:
    """Scan code, key and report, for each way of each key."""

    async def program() -> None:
        model = WedgeScanner(tmp_path)
        assert isinstance(model, InputDevice)
        await model.start()
        file = os.open(model.place, os.O_RDONLY | os.O_NONBLOCK)
        model.present("A")
        async with asyncio.timeout(PATIENCE_S):
            while not model.idle:
                await asyncio.sleep(0.002)
        events = [event[2:] for event in EVENT.iter_unpack(os.read(file, 65536))]
        assert events == [
            (4, 4, 0x700E1), (1, 42, 1), SYN, (4, 4, 0x70004), (1, 30, 1), SYN,
            (4, 4, 0x70004), (1, 30, 0), SYN, (4, 4, 0x700E1), (1, 42, 0), SYN,
            (4, 4, 0x70028), (1, 28, 1), SYN, (4, 4, 0x70028), (1, 28, 0), SYN,
        ]  # fmt: skip
        os.close(file)
        await model.stop()
        assert not model.place.exists()

    run(program())


# One on a serial line.


def test_the_light_is_on_while_a_code_is_waited_for(tmp_path: Path) -> None:
    async def program() -> None:
        async with serial(tmp_path) as (model, scanner):
            lights = [model.light]
            scanning = asyncio.create_task(scanner.scan(WAIT_MS))
            async with asyncio.timeout(PATIENCE_S):
                while not model.light:
                    await asyncio.sleep(0.002)
            model.present("\u652f\u4ed8")
            assert await scanning == "\u652f\u4ed8"
            assert [*lights, model.light] == [False, False]
            model.present("HELD")  # and one that was there before the light
            assert await scanner.scan(WAIT_MS) == "HELD"

    run(program())


def test_a_scanner_that_knows_no_query_is_not_judged_by_its_silence(tmp_path: Path) -> None:
    async def program() -> None:
        async with serial(tmp_path, answers=False) as (_, scanner):
            health = await scanner.check_health()
            assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "no_answer")

    run(program())


def until(holds: Callable[[], bool]) -> None:
    """The kernel hands over what a line carries in its own time."""
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s


@contextlib.contextmanager
def port_on_a_line(folder: Path) -> Any:
    other, line = os.openpty()
    os.set_blocking(other, False)
    (folder / "line").symlink_to(os.ttyname(line))
    port = SerialPort(str(folder / "line"), 19200, "printer")
    try:
        yield port, other, line
    finally:
        port.close()
        os.close(other)
        os.close(line)


def test_a_port_has_the_calls_of_a_uart_and_none_waits(tmp_path: Path) -> None:
    with port_on_a_line(tmp_path) as (port, other, line):
        buffer = bytearray(4)
        assert (port.read(10), port.readinto(buffer), port.any()) == (None, None, 0)
        os.write(other, b"\x00\x03\r\n\xff12")
        until(lambda: port.any() == 7)
        assert port.readinto(buffer) == 4
        assert buffer == b"\x00\x03\r\n"
        assert port.readinto(memoryview(buffer)[:1]) == 1
        assert buffer == b"\xff\x03\r\n"
        assert port.read(10) == b"12"
        assert port.write(memoryview(b"\x16T\r")) == 3
        until(lambda: bool(select.select([other], [], [], 0)[0]))
        assert os.read(other, 10) == b"\x16T\r"
        speeds = termios.tcgetattr(line)[4:6]
        assert speeds == [termios.B19200, termios.B19200]


def test_a_line_that_takes_no_more_gives_none_and_takes_again(tmp_path: Path) -> None:
    with port_on_a_line(tmp_path) as (port, other, _):
        sent = 0
        for _ in range(1000):
            taken = port.write(bytes(4096))
            if taken is None:
                break
            sent += taken
        else:
            raise AssertionError("the line never filled")
        received = 0
        while received < sent:
            until(lambda: bool(select.select([other], [], [], 0)[0]))
            received += len(os.read(other, 65536))
        until(lambda: port.write(b"1") == 1)


def test_a_port_is_of_one_program_alone(tmp_path: Path) -> None:
    with port_on_a_line(tmp_path) as (port, _, _):
        port.any()
        with pytest.raises(DeviceError, match="another program holds") as error:
            SerialPort(str(tmp_path / "line"), 9600).any()
        assert error.value.cause == "no_permission"


def test_a_file_that_is_no_serial_port_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="not configure port") as error:
        SerialPort(str(tmp_path / "file"), 9600).any()
    assert (error.value.code, error.value.cause) == (E_NOHARDWARE, "")
    with pytest.raises(ValueError, match="baudrate 9601 is none of"):
        SerialPort("/dev/null", 9601)


@pytest.mark.parametrize("call", [lambda port: port.any(), lambda port: port.read(1), lambda port: port.write(b"1")])
def test_each_call_says_that_the_line_went(tmp_path: Path, call: Any) -> None:
    other, line = os.openpty()
    port = SerialPort(os.ttyname(line), 9600, "printer")
    assert port.any() == 0
    os.close(other)
    os.close(line)
    with pytest.raises(DeviceError) as error:
        call(port)
    assert (error.value.kind, error.value.code, error.value.cause) == ("printer", E_NOHARDWARE, "unplugged")
