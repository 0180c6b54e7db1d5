"""Printers at a Linux terminal's ports: the driver on python-escpos, against the printer model behind TCP and behind a serial line."""

from __future__ import annotations

import asyncio
import errno
import grp
import os
import shutil
import socket
import tty
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import usb.backend.libusb0  # type: ignore[import-untyped]
import usb.backend.libusb1  # type: ignore[import-untyped]
import usb.backend.openusb  # type: ignore[import-untyped]

from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.phases import FAIL, PASS
from firmware_agent.selftest.plans import phase_named
from firmware_agent.selftest.subject import Subject
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.drivers import escpos
from hal.drivers.linux import python_escpos
from hal.drivers.linux.python_escpos import EscposNetwork, EscposSerial, EscposUsb, LibraryPrinter
from hal.errors import (
    CH_EXTERNAL,
    E_DISABLED,
    E_EXTENDED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOHARDWARE,
    E_NOSERVICE,
    E_OFFLINE,
    E_TIMEOUT,
    EPTR_COVER_OPEN,
    EPTR_REC_EMPTY,
    DeviceError,
)
from hal.hal import Hal
from hal.printer import CONTRACT
from host_sim.chips.escpos_printer import EscposPrinterChip, Feed, Slip
from host_sim.linux import printer_port
from host_sim.linux.printer_port import LOOPBACK, NetworkPrinterPort, PrinterPort, SerialPrinterPort
from tests.hal.test_escpos import Printing
from tests.linux.support import bring_up, real_clock

LIMIT_S = 10
FILL = bytes(48 * 24) + b"\x1b@"  # what bring-up sends
QUERIES = b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04"
NOBODY = 65534
PORTS = [NetworkPrinterPort, SerialPrinterPort]
PLACE_LOST = {NetworkPrinterPort: (E_OFFLINE, "offline"), SerialPrinterPort: (E_NOHARDWARE, "unplugged")}

Program = Callable[[Any, LibraryPrinter], Awaitable[None]]
any_port = pytest.mark.parametrize("kind", PORTS)


def driver_of(port: PrinterPort, **facts: Any) -> LibraryPrinter:
    """By the keys of its section, as the board does it."""
    driver: Any = {"escpos_network": EscposNetwork, "escpos_serial": EscposSerial}[port.part]
    printer: LibraryPrinter = driver(clock=real_clock(), **{**port.section(), **facts})
    return printer


def on(kind: type[PrinterPort], folder: Path, program: Program, at_boot: str = "", **facts: Any) -> None:
    """Run the program with a port and the printer at it, brought up; at_boot: a fault that is there before that, and may keep it down."""

    async def run() -> None:
        port = kind(folder)
        if at_boot:
            port.fault(at_boot)
        await port.start()
        printer = driver_of(port, **facts)
        try:
            if at_boot:
                await try_to_bring_up(printer)
            else:
                await bring_up(printer)
            await asyncio.wait_for(program(port, printer), LIMIT_S)
        finally:
            printer.close()
            await port.stop()

    asyncio.run(run())


async def try_to_bring_up(printer: LibraryPrinter) -> None:
    try:
        await bring_up(printer)
    except DeviceError:
        assert printer.bring_up_error is not None


async def until(holds: Callable[[], bool]) -> None:
    """What was sent arrives when it arrives."""
    async with asyncio.timeout(LIMIT_S):
        while not holds():
            await asyncio.sleep(0.002)


async def error_of(call: Awaitable[object]) -> DeviceError:
    with pytest.raises(DeviceError) as error:
        await call
    return error.value


def tapped(port: PrinterPort) -> bytearray:
    """Every byte that arrives from now on."""
    arrived = bytearray()
    receive = port.printer.receive

    def tap(data: bytes) -> None:
        arrived.extend(data)
        receive(data)

    port.printer.receive = tap  # type: ignore[method-assign]
    return arrived


def pattern(width_dots: int, height_dots: int) -> bytes:
    """Every value of a byte, and the bytes of a status query among them."""
    row_bytes = width_dots // 8
    bits = bytearray((x * 7 + y * 31) % 256 for y in range(height_dots) for x in range(row_bytes))
    bits[row_bytes : row_bytes + 3] = b"\x10\x04\x04"
    return bytes(bits)


# The contract.


@any_port
def test_the_driver_keeps_the_contract(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        assert CONTRACT.missing(printer) == []
        assert (printer.part, printer.level, printer.width_dots, printer.columns) == (port.part, 3, 384, 32)

    on(kind, tmp_path, program)


@any_port
def test_what_arrives_is_byte_by_byte_what_the_command_reference_says(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def run() -> None:
        port = kind(tmp_path)
        await port.start()
        arrived = tapped(port)
        printer = driver_of(port)
        bits = pattern(384, 25)
        try:
            await bring_up(printer)
            await printer.print_text("Total 12.00\nThank you\n")
            await printer.feed(3)
            await printer.print_bitmap(384, 25, bits)
            await printer.cut()
            await until(lambda: len(port.cut_slips) == 1)
        finally:
            printer.close()
            await port.stop()
        strips = b"\x1dv0\x00\x30\x00\x18\x00" + bits[: 48 * 24] + b"\x1dv0\x00\x30\x00\x01\x00" + bits[48 * 24 :]
        wanted = [FILL, b"Total 12.00\nThank you\n", b"\x1bd\x03", strips, b"\x1dV\x42\x00"]
        assert bytes(arrived) == QUERIES.join(wanted)

    asyncio.run(run())


@any_port
def test_a_receipt_is_on_the_paper_dot_by_dot(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        bits = pattern(384, 1000)
        await printer.print_text("first\n")
        await printer.print_bitmap(384, 1000, memoryview(bits))
        await printer.feed(2)
        await printer.cut()
        await until(lambda: len(port.cut_slips) == 1)
        slip = port.last_slip()
        assert slip.text() == "first\n"
        assert [bytes(image.bits) for image in slip.bitmaps()] == [bits]
        assert slip.items[-1] == Feed(2)
        assert port.lost_bytes == 0

    on(kind, tmp_path, program)


@any_port
def test_text_that_is_not_ascii_becomes_question_marks_and_never_a_command(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        await printer.print_text("a\x1bVb\x1d\x00\u4e2d\x7f\u20ac\u00e9\n")
        await until(lambda: bool(port.slip().items))
        assert port.slip().text() == "a?Vb??????\n"
        assert port.cut_slips == []

    on(kind, tmp_path, program)


@any_port
def test_what_does_not_fit_is_refused_and_nothing_is_sent(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        await printer.status()
        arrived = tapped(port)
        assert (await error_of(printer.print_bitmap(392, 1, bytes(49)))).code == E_ILLEGAL
        assert (await error_of(printer.print_bitmap(384, 2, bytes(95)))).code == E_ILLEGAL
        assert (await error_of(printer.feed(256))).code == E_ILLEGAL
        await printer.status()
        assert bytes(arrived) == QUERIES

    on(kind, tmp_path, program)


def test_nothing_is_touched_before_enable(tmp_path: Path) -> None:
    async def run() -> None:
        printer = EscposSerial(str(tmp_path / "nowhere"), real_clock(), width_dots=384)
        printer.open()
        printer.claim()
        assert (await error_of(printer.print_text("x\n"))).code == E_DISABLED
        assert (await error_of(printer.check_health())).code == E_DISABLED

    asyncio.run(run())


# Status and health.


def on_a_uart(fault: str, at_boot: bool) -> Health:
    """What hal/drivers/escpos.py finds on a microcontroller's board."""
    wired = Printing(answers_status=True)
    if not at_boot:
        wired.ready()
    wired.chip.fault(fault)
    if at_boot:
        wired.ready()
    health: Health = wired.run(wired.printer.check_health(CH_EXTERNAL))
    return health


@pytest.mark.parametrize(("kind", "at_boot"), [(NetworkPrinterPort, True), (SerialPrinterPort, False)])
@pytest.mark.parametrize("fault", sorted(EscposPrinterChip.FAULTS))
def test_every_fault_is_told_as_it_is_on_a_uart(
    kind: type[PrinterPort], fault: str, at_boot: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_escpos, "_NETWORK_ANSWER_MS", escpos.ANSWER_MS)  # silence is long enough as it is
    wanted = on_a_uart(fault, at_boot)

    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        port.fault(fault)
        health = await printer.check_health(CH_EXTERNAL)
        assert (health.outcome, health.cause, health.error, health.detail) == (wanted.outcome, wanted.cause, wanted.error, wanted.detail)
        named = port.FAULTS[fault].cause
        assert health.cause == (named if named != "not_readable" else "")

    on(kind, tmp_path, program, at_boot=fault if at_boot else "")


@any_port
@pytest.mark.parametrize("habit", sorted(EscposPrinterChip.HABITS))
def test_a_talkative_printer_prints_all_and_is_healthy(kind: type[PrinterPort], habit: str, tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        bits = pattern(384, 100)
        for number in range(10):
            await printer.print_text(f"line {number}\n")
        await printer.print_bitmap(384, 100, bits)
        assert (await printer.check_health()).outcome == HEALTH_SUCCESS
        assert port.slip().text().count("\n") == 10
        assert port.slip().bitmaps()[0].bits == bits

    on(kind, tmp_path, program, at_boot=habit)


@any_port
@pytest.mark.parametrize(
    ("fault", "code", "extended"),
    [
        ("paper_out", E_EXTENDED, EPTR_REC_EMPTY),
        ("cover_open", E_EXTENDED, EPTR_COVER_OPEN),
        ("cutter_jam", E_FAILURE, 0),
        ("overheated", E_FAILURE, 0),
        ("busy_for_ever", E_OFFLINE, 0),
    ],
)
def test_what_stops_printing_is_raised_before_anything_is_printed(
    kind: type[PrinterPort], fault: str, code: int, extended: int, tmp_path: Path
) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        await printer.status()  # what bring-up sent has arrived before its answers
        port.fault(fault)
        arrived = tapped(port)
        error = await error_of(printer.print_text("never\n"))
        assert (error.code, error.extended, error.cause) == (code, extended, port.FAULTS[fault].cause)
        assert bytes(arrived) == QUERIES

    on(kind, tmp_path, program)


@any_port
def test_paper_that_runs_out_in_the_middle_is_told_and_a_new_roll_goes_on(kind: type[PrinterPort], tmp_path: Path) -> None:
    class Short(EscposPrinterChip):
        """Its roll ends after 30 rows of the image."""

        def _raster_rows(self) -> int:
            used = super()._raster_rows()
            if self.slip().bitmaps() and self.slip().bitmaps()[0].height_dots >= 30 and not new_roll:
                self.fault("paper_out")
            return used

    new_roll: list[bool] = []

    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        short = Short(port.now_ms, 384)
        short.send = port.printer.send
        port.printer = short
        bits = pattern(384, 72)
        await printer.print_bitmap(384, 72, bits)
        error = await error_of(printer.cut())
        assert (error.code, error.extended, error.cause) == (E_EXTENDED, EPTR_REC_EMPTY, "paper_out")
        assert 30 <= short.slip().bitmaps()[0].height_dots < 72
        new_roll.append(True)
        port.load_paper()
        short.fault("paper_out", False)
        await printer.cut()
        await until(lambda: len(port.cut_slips) == 1)
        assert port.cut_slips[0].bitmaps()[0].bits == bits

    on(kind, tmp_path, program)


def test_answers_that_a_network_delivers_late_are_no_noise(tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        for _ in range(4):
            health = await printer.check_health(CH_EXTERNAL)
            assert (health.outcome, health.cause) == (HEALTH_SUCCESS, ""), health.detail
        assert health.measurements["status_answers"] == 4

    on(NetworkPrinterPort, tmp_path, program, at_boot="late_answers")


def test_an_answer_that_comes_later_than_any_should_does_not_spoil_those_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printer_port, "LATE_S", 1.0)  # beyond the driver's patience

    class OnceLate(NetworkPrinterPort):
        def _send_late(self) -> None:
            self.fault("late_answers", False)
            super()._send_late()

    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        for place in range(4):
            assert isinstance(port, OnceLate)
            port._sent = place  # the fifth answer from there on is late: each place of the round
            port.fault("late_answers")
            health = await printer.check_health()
            assert (health.outcome, health.cause) == (HEALTH_SUCCESS, ""), (place, health.detail)
            assert not port.has("late_answers")

    on(OnceLate, tmp_path, program)


@any_port
def test_a_printer_that_never_answers_is_printed_on_and_is_no_fault_where_nobody_knows(
    kind: type[PrinterPort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_escpos, "_NETWORK_ANSWER_MS", 100)

    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        await printer.print_text("all the same\n")
        await until(lambda: port.slip().text() == "all the same\n")
        health = await printer.check_health()
        assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "no_status")

    on(kind, tmp_path, program, at_boot="silent", answers_status=False)


@any_port
def test_what_comes_after_an_answer_is_not_taken_for_the_next_one(kind: type[PrinterPort], tmp_path: Path) -> None:
    class Late(EscposPrinterChip):
        """With each answer comes another, as one does that was given up."""

        def _say_status(self, number: int) -> None:
            super()._say_status(number)
            self.send(b"\x7a")  # as an answer to DLE EOT 2 it would say: paper out; to 3: overheated

    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        late = Late(port.now_ms, 384)
        late.send = lambda data: said.extend(data)
        said = bytearray()

        def receive(data: bytes) -> None:
            late.receive(data)
            port.printer.send(bytes(said))  # in one piece
            said.clear()

        port.printer.receive = receive  # type: ignore[method-assign]
        assert (await printer.check_health()).outcome == HEALTH_SUCCESS

    on(kind, tmp_path, program)


@any_port
def test_xoff_holds_the_line_until_xon(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        await printer.status()
        port.printer.send(b"\x13")
        arrived = tapped(port)
        printing = asyncio.create_task(printer.print_text("held\n"))
        await until(lambda: bytes(arrived) == QUERIES)
        assert not (await asyncio.wait([printing], timeout=0.3))[0]
        assert bytes(arrived) == QUERIES
        port.printer.send(b"\x11")
        await printing
        await until(lambda: port.slip().text() == "held\n")

    on(kind, tmp_path, program)


@any_port
def test_a_silent_printer_holds_up_nobody_else(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.005)

        other = asyncio.create_task(others())
        begun = asyncio.get_running_loop().time()
        assert (await printer.check_health()).cause == "no_answer"
        waited_s = asyncio.get_running_loop().time() - begun
        other.cancel()
        assert waited_s < 3  # the limit of its phase
        assert turns > 40

    on(kind, tmp_path, program, at_boot="silent")


# Lost, and found again.


@any_port
def test_a_printer_that_is_not_there_at_start_is_found_by_the_next_self_test(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        code, cause = PLACE_LOST[kind]
        phase = phase_named("printer", subject_of(printer).hal)
        result = await run_phase(subject_of(printer), phase)
        assert (result.outcome, result.cause, result.code) == (FAIL, cause, code)
        port.fault("unplugged", False)
        result = await run_phase(subject_of(printer), phase)
        assert (result.outcome, result.cause) == (PASS, "")
        await printer.print_text("found\n")
        await until(lambda: port.slip().text() == "found\n")

    on(kind, tmp_path, program, at_boot="unplugged")


def subject_of(printer: LibraryPrinter) -> Subject:
    nothing: Any = None
    return Subject(Hal("test", "test", real_clock(), nothing, nothing, printer=printer))


@any_port
def test_a_printer_that_is_unplugged_is_missed_and_found_again_at_the_next_use(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        for _ in range(2):
            await printer.print_text("before\n")
            await until(lambda: port.slip().text() == "before\n")
            port.tear_off()
            port.fault("unplugged")
            for call in (printer.print_text("away\n"), printer.cut(), printer.status()):
                error = await error_of(call)
                assert (error.code, error.cause) == PLACE_LOST[kind]
            health = await printer.check_health()
            assert (health.outcome, health.code, health.cause) == (HEALTH_FAIL, *PLACE_LOST[kind])
            assert health.cause == port.FAULTS["unplugged"].cause
            port.fault("unplugged", False)
        await printer.print_text("back\n")
        await until(lambda: port.slip().text() == "back\n")

    on(kind, tmp_path, program)


@any_port
def test_a_printer_that_was_unplugged_is_found_by_the_next_check(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        port.fault("unplugged")
        assert (await printer.check_health()).cause == PLACE_LOST[kind][1]
        port.fault("unplugged", False)
        assert (await printer.check_health()).outcome == HEALTH_SUCCESS

    on(kind, tmp_path, program)


@any_port
def test_a_plug_that_was_out_for_a_moment_costs_nothing(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        port.fault("unplugged")
        port.fault("unplugged", False)
        arrived = tapped(port)
        await printer.print_text("as if nothing had been\n")
        await until(lambda: port.slip().text() == "as if nothing had been\n")
        assert bytes(arrived) == FILL + QUERIES + b"as if nothing had been\n"

    on(kind, tmp_path, program)


@any_port
def test_a_plug_that_is_pulled_while_it_prints_is_told(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        arrived = tapped(port)
        printing = asyncio.create_task(printer.print_bitmap(384, 24 * 400, bytes(48 * 24 * 400)))
        await until(lambda: len(arrived) > 20000)
        port.fault("unplugged")
        error = await error_of(printing)
        assert (error.code, error.cause) == PLACE_LOST[kind]
        port.fault("unplugged", False)
        port.tear_off()
        port.printer.power_up()
        await printer.print_text("again\n")
        await until(lambda: port.slip().text() == "again\n")

    on(kind, tmp_path, program)


def test_a_connection_that_the_printer_closed_as_idle_is_made_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    async def program(port: NetworkPrinterPort, printer: LibraryPrinter) -> None:
        for number in range(3):
            port.drop_idle_caller()
            await printer.print_text(f"line {number}\n")
        await until(lambda: port.slip().text() == "line 0\nline 1\nline 2\n")

    on(NetworkPrinterPort, tmp_path, program)


def test_a_printer_that_never_answers_is_missed_when_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No query shows it: the connection does."""
    monkeypatch.setattr(python_escpos, "_NETWORK_ANSWER_MS", 100)

    async def program(port: NetworkPrinterPort, printer: LibraryPrinter) -> None:
        await printer.print_text("all the same\n")
        await until(lambda: port.slip().text() == "all the same\n")
        port.drop_idle_caller()
        await printer.print_text("and again\n")
        await until(lambda: port.slip().text() == "all the same\nand again\n")
        port.fault("unplugged")
        assert (await error_of(printer.print_text("x\n"))).cause == "offline"

    on(NetworkPrinterPort, tmp_path, program, at_boot="silent", answers_status=False)


@any_port
def test_an_image_that_a_power_cut_of_the_terminal_cut_off_does_not_swallow_the_next_receipt(
    kind: type[PrinterPort], tmp_path: Path
) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        port.printer.receive(b"\x1dv0\x00\x30\x00\x18\x00" + bytes(48 * 3))  # of 24 rows, three
        printer.disable()
        await printer.enable()
        await printer.print_text("after the power cut\n")
        await until(lambda: port.slip().text() == "after the power cut\n")

    on(kind, tmp_path, program)


@any_port
def test_a_call_that_is_cancelled_leaves_nothing_that_takes_the_next_answers(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        port.fault("silent")
        arrived = tapped(port)
        asking = asyncio.create_task(printer.status())
        await until(lambda: bool(arrived))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        port.fault("silent", False)
        for _ in range(5):
            assert (await printer.status()).online is True

    on(kind, tmp_path, program)


def test_a_second_caller_waits_until_the_first_has_gone(tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        second = driver_of(port)
        try:
            await bring_up(second)
            assert (await second.check_health()).cause == "no_answer"
            assert (await printer.check_health()).outcome == HEALTH_SUCCESS
            printer.disable()
            found = await second.check_health()
            while found.cause == "no_answer":  # limited by the program's own time
                found = await second.check_health()
            assert found.outcome == HEALTH_SUCCESS
        finally:
            second.close()

    on(NetworkPrinterPort, tmp_path, program)


def test_a_network_printer_that_was_switched_off_is_missed_by_the_kernel(tmp_path: Path) -> None:
    """A printer without power says no goodbye: probes find that out, and limit how long what was sent may wait."""

    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        way = printer._library_line._device
        assert way.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle_s, interval_s, probes = (way.getsockopt(socket.IPPROTO_TCP, option) for option in options)
        assert idle_s + interval_s * probes <= 15
        assert way.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20000

    on(NetworkPrinterPort, tmp_path, program)


# Ways that do not open, and lines that take no more.


def test_nobody_at_the_port_is_offline() -> None:
    async def run() -> None:
        with socket.socket() as place:
            place.bind((LOOPBACK, 0))
            printer = EscposNetwork(LOOPBACK, real_clock(), port=place.getsockname()[1], width_dots=384)
            error = await error_of(bring_up(printer))
            assert (error.code, error.cause) == (E_OFFLINE, "offline")
            assert error.detail == f"127.0.0.1 port {place.getsockname()[1]}: Connection refused"

    asyncio.run(run())


def test_an_address_that_gives_no_sign_is_offline_in_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_escpos, "_OPEN_MS", 200)

    async def run() -> None:
        with socket.socket() as deaf, socket.socket() as first:
            deaf.bind((LOOPBACK, 0))
            deaf.listen(0)
            first.connect(deaf.getsockname())  # fills the queue: the kernel drops who comes next
            printer = EscposNetwork(LOOPBACK, real_clock(), port=deaf.getsockname()[1], width_dots=384)
            error = await error_of(bring_up(printer))
            assert (error.code, error.cause) == (E_TIMEOUT, "offline")
            health = await printer.check_health()
            assert (health.outcome, health.cause) == (HEALTH_FAIL, "offline")

    asyncio.run(run())


@contextmanager
def deaf_network() -> Iterator[LibraryPrinter]:
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        place.bind((LOOPBACK, 0))
        place.listen(1)
        yield EscposNetwork(LOOPBACK, real_clock(), port=place.getsockname()[1], width_dots=384)


@contextmanager
def deaf_serial() -> Iterator[LibraryPrinter]:
    far_end, near_end = os.openpty()
    tty.setraw(near_end)
    yield EscposSerial(os.ttyname(near_end), real_clock(), width_dots=384)
    os.close(near_end)
    os.close(far_end)


@pytest.mark.parametrize("deaf", [deaf_network, deaf_serial])
def test_a_line_that_takes_no_more_is_offline_in_limited_time_and_holds_up_nobody(
    deaf: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escpos, "_HOLD_MS", 300)
    turns: list[int] = []

    async def others() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0.005)

    async def run(printer: LibraryPrinter) -> None:
        await bring_up(printer)
        other = asyncio.create_task(others())
        error = await error_of(printer.print_bitmap(384, 24 * 400, bytes(48 * 24 * 400)))
        other.cancel()
        assert (error.code, error.cause) == (E_TIMEOUT, "offline")
        assert len(turns) > 10
        printer.close()

    with deaf() as printer:
        asyncio.run(asyncio.wait_for(run(printer), LIMIT_S))


def test_a_held_line_is_told_within_the_time_of_its_check_each_time_and_used_again_when_it_is_free() -> None:
    async def run(device: str, near_end: int, far_end: int) -> None:
        printer = EscposSerial(device, real_clock(), width_dots=384)
        await bring_up(printer)
        refused = 0
        while refused < 20:  # the kernel goes on for a moment to move what was written out of the way
            try:
                os.write(near_end, bytes(1024))
                refused = 0
            except BlockingIOError:
                refused += 1
                await asyncio.sleep(0.005)
        for _ in range(2):
            health = await asyncio.wait_for(printer.check_health(), 3)
            assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "offline", E_TIMEOUT)
        with suppress(BlockingIOError):
            while True:
                os.read(far_end, 4096)
        await printer.print_text("free\n")
        arrived = bytearray()
        while not arrived.endswith(QUERIES + b"free\n"):
            await asyncio.sleep(0)
            with suppress(BlockingIOError):
                arrived += os.read(far_end, 4096)
        printer.close()

    far_end, near_end = os.openpty()
    tty.setraw(near_end)
    os.set_blocking(far_end, False)
    os.set_blocking(near_end, False)
    asyncio.run(asyncio.wait_for(run(os.ttyname(near_end), near_end, far_end), LIMIT_S))
    os.close(near_end)
    os.close(far_end)


def test_a_serial_line_that_takes_a_part_at_a_time_loses_nothing() -> None:
    async def run(device: str, far_end: int) -> None:
        printer = EscposSerial(device, real_clock(), width_dots=384)
        await bring_up(printer)
        bits = pattern(384, 2400)  # more than the kernel keeps
        strips = b"".join(b"\x1dv0\x00\x30\x00\x18\x00" + bits[top : top + 48 * 24] for top in range(0, len(bits), 48 * 24))
        printing = asyncio.create_task(printer.print_bitmap(384, 2400, bits))
        arrived = bytearray()
        while not arrived.endswith(strips):
            await asyncio.sleep(0)
            with suppress(BlockingIOError):
                arrived += os.read(far_end, 100)
        await printing
        assert bytes(arrived) == FILL + QUERIES + strips
        printer.close()

    far_end, near_end = os.openpty()
    tty.setraw(near_end)
    os.set_blocking(far_end, False)
    asyncio.run(asyncio.wait_for(run(os.ttyname(near_end), far_end), LIMIT_S))
    os.close(near_end)
    os.close(far_end)


def test_a_serial_device_that_is_not_there_is_unplugged(tmp_path: Path) -> None:
    async def run() -> None:
        device = str(tmp_path / "nowhere")
        printer = EscposSerial(device, real_clock(), width_dots=384)
        error = await error_of(bring_up(printer))
        assert (error.code, error.cause, error.detail) == (E_NOHARDWARE, "unplugged", f"{device} is not there")

    asyncio.run(run())


def test_a_file_that_is_no_serial_line_is_told_and_not_used(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "file").write_bytes(b"")
        error = await error_of(bring_up(EscposSerial(str(tmp_path / "file"), real_clock(), width_dots=384)))
        assert (error.code, error.cause) == (E_NOHARDWARE, "")  # nothing that a plug would mend
        assert (tmp_path / "file").read_bytes() == b""

    asyncio.run(run())


def test_a_serial_device_that_may_not_be_opened_names_the_group_that_may() -> None:
    async def run(device: str) -> None:
        printer = EscposSerial(device, real_clock(), width_dots=384)
        error = await error_of(bring_up(printer))
        assert (error.code, error.cause, error.detail) == (E_FAILURE, "no_permission", f"{device} may be used by group {group}")

    far_end, near_end = os.openpty()
    device = os.ttyname(near_end)
    os.chmod(device, 0o060)
    was_root = os.geteuid() == 0
    group = "dialout" if was_root else grp.getgrgid(os.stat(device).st_gid).gr_name
    try:
        if was_root:
            shutil.chown(device, group=group)
            os.seteuid(NOBODY)  # whom permissions concern
        asyncio.run(run(device))
    finally:
        if was_root:
            os.seteuid(0)
        os.close(near_end)
        os.close(far_end)


# USB, as far as a machine without a printer lets one see.


def test_a_usb_printer_that_is_not_there_is_unplugged() -> None:
    async def run() -> None:
        printer = EscposUsb(0xFFFE, 0xFFFD, real_clock(), width_dots=384)
        assert CONTRACT.missing(printer) == []
        error = await error_of(bring_up(printer))
        if usb.backend.libusb1.get_backend() is None:
            assert (error.code, error.cause) == (E_NOSERVICE, "service_down")
        else:
            assert (error.code, error.cause, error.detail) == (E_NOHARDWARE, "unplugged", "USB device fffe:fffd is not there")

    asyncio.run(run())


def test_a_machine_without_libusb_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in (usb.backend.libusb0, usb.backend.libusb1, usb.backend.openusb):
        monkeypatch.setattr(backend, "get_backend", lambda: None)

    async def run() -> None:
        error = await error_of(bring_up(EscposUsb(0xFFFE, 0xFFFD, real_clock(), width_dots=384)))
        assert (error.code, error.cause) == (E_NOSERVICE, "service_down")

    asyncio.run(run())


# Configuration.


def test_a_profile_says_how_wide_the_printer_is() -> None:
    printer = EscposNetwork("printer.shop", real_clock(), profile="TM-T88III")
    assert (printer.width_dots, printer.columns, printer.level) == (512, 42, 3)
    printer = EscposNetwork("printer.shop", real_clock(), profile="TM-P80-42col")  # 546 dots: only whole bytes can be sent
    assert (printer.width_dots, printer.columns) == (544, 42)


def test_what_is_given_overrides_the_profile() -> None:
    given = EscposNetwork("printer.shop", real_clock(), profile="TM-T88III", width_dots=384)
    assert (given.width_dots, given.columns) == (384, 32)
    given = EscposNetwork("printer.shop", real_clock(), profile="TM-T88III", columns=30)
    assert (given.width_dots, given.columns) == (512, 30)


def test_a_printer_without_raster_images_is_of_level_1() -> None:
    assert EscposSerial("/dev/ttyUSB0", real_clock(), profile="TM-U220").level == 1


def test_a_printer_without_a_cutter_feeds_to_its_edge(tmp_path: Path) -> None:
    async def program(port: PrinterPort, printer: LibraryPrinter) -> None:
        await printer.cut()
        await until(lambda: bool(port.paper))
        assert port.slip() == Slip(384, [Feed(4)])
        assert port.cut_slips == []

    on(NetworkPrinterPort, tmp_path, program, profile="POS-5890")


def test_a_profile_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="no profile 'TM-T88'; there are: .*TM-T88III, .*default"):
        EscposNetwork("printer.shop", real_clock(), profile="TM-T88")


def test_a_width_that_nobody_knows_has_to_be_given() -> None:
    with pytest.raises(ValueError, match="width_dots is needed, for the profile 'default' does not say it"):
        EscposNetwork("printer.shop", real_clock())


@pytest.mark.parametrize(
    "make",
    [
        lambda: EscposNetwork("", real_clock(), width_dots=384),
        lambda: EscposNetwork("printer..shop", real_clock(), width_dots=384),
        lambda: EscposNetwork("printer.shop", real_clock(), port=0, width_dots=384),
        lambda: EscposNetwork("printer.shop", real_clock(), width_dots=383),
        lambda: EscposNetwork("printer.shop", real_clock(), width_dots=384, columns=-1),
        lambda: EscposSerial("", real_clock(), width_dots=384),
        lambda: EscposSerial("/dev/ttyUSB0", real_clock(), baudrate=9601, width_dots=384),
        lambda: EscposUsb(0, 1, real_clock(), width_dots=384),
        lambda: EscposUsb(1, 0x10000, real_clock(), width_dots=384),
    ],
)
def test_values_that_can_never_work_are_refused_when_the_terminal_is_built(make: Callable[[], LibraryPrinter]) -> None:
    with pytest.raises(ValueError, match="printer: "):
        make()


# The port's own back face.


@any_port
def test_a_port_refuses_a_fault_that_it_does_not_have(kind: type[PrinterPort], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no fault 'on_fire'; it has: .*unplugged"):
        kind(tmp_path).fault("on_fire")


def test_a_network_printer_keeps_its_port_while_it_is_unplugged(tmp_path: Path) -> None:
    async def program(port: NetworkPrinterPort, printer: LibraryPrinter) -> None:
        before = port.section()["port"]
        port.fault("unplugged")
        with socket.socket() as caller:
            assert caller.connect_ex((LOOPBACK, port.port)) == errno.ECONNREFUSED
        port.fault("unplugged", False)
        assert port.section()["port"] == before

    on(NetworkPrinterPort, tmp_path, program)


@any_port
def test_after_stop_nothing_is_left_open(kind: type[PrinterPort], tmp_path: Path) -> None:
    async def run() -> None:
        before = open_files()
        port = kind(tmp_path)
        await port.start()
        assert open_files() - before
        await port.stop()
        assert not open_files() - before
        assert list(tmp_path.iterdir()) == []

    asyncio.run(run())


def open_files() -> set[tuple[str, str]]:
    """Number and what it is, of this process; but for those that the threads of other tests are just closing."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.add((number, os.readlink(f"/proc/self/fd/{number}")))
    return {(number, name) for number, name in found if not name.startswith("/proc")}
