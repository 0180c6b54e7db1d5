"""The ESC/POS driver against the printer model: what is on the paper, and what a failing printer is said to have."""

from __future__ import annotations

import asyncio

import pytest

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from hal.drivers.escpos import EscposPrinter
from hal.errors import (
    CH_EXTERNAL,
    CH_INTERNAL,
    E_DISABLED,
    E_EXTENDED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOHARDWARE,
    E_OFFLINE,
    E_TIMEOUT,
    EPTR_COVER_OPEN,
    EPTR_REC_EMPTY,
    DeviceError,
)
from hal.printer import CONTRACT
from host_sim.buses import UartLine
from host_sim.chips.escpos_printer import EscposPrinterChip, Feed, Raster, Slip, TextLine
from tests.hal.wired import TappedUart, Wired


class Printing(Wired):
    """answers_status: what the board knows of its printer."""

    def __init__(self, most: int = 1 << 16, answers_status: bool = False) -> None:
        super().__init__()
        chip = self.bench.chips["printer"]
        assert isinstance(chip, EscposPrinterChip)
        self.chip = chip
        self.uart_tap = TappedUart(self.uart("printer_line"), most)
        self.printer = EscposPrinter(self.uart_tap, 384, 32, self.clock, answers_status)

    def ready(self) -> Printing:
        self.bring_up(self.printer)
        self.uart_tap.sent.clear()
        return self


def diagonal(width_dots: int, height_dots: int) -> bytes:
    rows = bytearray(width_dots // 8 * height_dots)
    for y in range(height_dots):
        x = y % width_dots
        rows[y * (width_dots // 8) + x // 8] |= 0x80 >> x % 8
    return bytes(rows)


def test_the_driver_keeps_the_contract() -> None:
    assert CONTRACT.missing(Printing().printer) == []


def test_bring_up_fills_a_cut_off_strip_and_initialises() -> None:
    wired = Printing()
    wired.bring_up(wired.printer)
    assert bytes(wired.uart_tap.sent) == bytes(48 * 24) + b"\x1b@"
    assert wired.chip.paper == []


def test_text_is_asked_for_status_first_and_printed() -> None:
    wired = Printing().ready()
    wired.run(wired.printer.print_text("Total 12.00\nThank you\n"))
    assert bytes(wired.uart_tap.sent) == b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04Total 12.00\nThank you\n"
    assert wired.chip.slip().text() == "Total 12.00\nThank you\n"


def test_no_text_can_be_a_command() -> None:
    wired = Printing().ready()
    wired.run(wired.printer.print_text("a\x1bVb\x1d\x00\u4e2d\x7f\n"))
    assert wired.chip.slip().text() == "a?Vb????\n"
    assert wired.chip.cut_slips == []


def test_feed_and_cut_are_the_bytes_of_the_command_reference() -> None:
    wired = Printing().ready()
    wired.run(wired.printer.feed(3))
    wired.run(wired.printer.cut())
    assert b"\x1bd\x03" in wired.uart_tap.sent
    assert bytes(wired.uart_tap.sent).endswith(b"\x1dV\x42\x00")
    assert wired.chip.cut_slips == [Slip(384, [Feed(3)])]


@pytest.mark.parametrize("lines", [-1, 256])
def test_a_feed_out_of_range_is_refused(lines: int) -> None:
    wired = Printing().ready()
    assert wired.error_of(wired.printer.feed(lines)).code == E_ILLEGAL


@pytest.mark.parametrize("height", [1, 23, 24, 25, 100])
def test_a_bitmap_comes_out_dot_by_dot_whatever_its_strips(height: int) -> None:
    wired = Printing().ready()
    bits = diagonal(384, height)
    wired.run(wired.printer.print_bitmap(384, height, memoryview(bits)))
    assert wired.chip.slip().bitmaps() == [Raster(384, bytearray(bits))]


def test_a_strip_is_a_gs_v_0_of_at_most_24_rows() -> None:
    wired = Printing().ready()
    wired.run(wired.printer.print_bitmap(384, 25, bytes(48 * 25)))
    sent = bytes(wired.uart_tap.sent)[12:]
    assert sent == b"\x1dv0\x00\x30\x00\x18\x00" + bytes(48 * 24) + b"\x1dv0\x00\x30\x00\x01\x00" + bytes(48)


@pytest.mark.parametrize(("width", "height", "length"), [(392, 1, 49), (384, 2, 95), (0, 1, 0), (8, 0, 0)])
def test_a_bitmap_that_does_not_fit_is_refused(width: int, height: int, length: int) -> None:
    wired = Printing().ready()
    assert wired.error_of(wired.printer.print_bitmap(width, height, bytes(length))).code == E_ILLEGAL
    assert wired.chip.paper == []


def test_a_uart_that_takes_a_part_at_a_time_loses_nothing() -> None:
    wired = Printing(most=7).ready()
    bits = diagonal(384, 60)
    wired.run(wired.printer.print_bitmap(384, 60, bits))
    assert wired.chip.slip().bitmaps()[0].bits == bits


def test_a_long_write_lets_others_have_their_turn() -> None:
    """Where the UART's write blocks on a full buffer, an image must not hold the screen and the keys."""
    wired = Printing().ready()
    turns = []

    async def other() -> None:
        while True:
            turns.append(len(wired.uart_tap.sent))
            await wired.time.sleep_ms(0)

    async def both() -> None:
        task = asyncio.ensure_future(other())
        await wired.printer.print_bitmap(384, 24, bytes(48 * 24))
        task.cancel()

    wired.run(both())
    assert max(later - earlier for earlier, later in zip(turns, turns[1:], strict=False)) <= 160


def test_a_uart_that_takes_no_more_is_a_timeout_not_a_hang() -> None:
    wired = Printing().ready()
    wired.uart_tap.most = 0
    error = wired.error_of(wired.printer.print_text("x\n"))
    assert (error.code, error.cause) == (E_TIMEOUT, "offline")
    assert wired.time.now_ms() < 20000


def test_a_uart_that_takes_no_more_is_diagnosed_as_offline_at_boot_and_later() -> None:
    for at_boot in (True, False):
        wired = Printing() if at_boot else Printing().ready()
        wired.uart_tap.most = 0
        if at_boot:
            with pytest.raises(DeviceError):
                wired.bring_up(wired.printer)
        health = wired.run(wired.printer.check_health())
        assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "offline", E_TIMEOUT)


def test_an_image_cut_off_by_a_crash_does_not_swallow_the_next_receipt() -> None:
    wired = Printing()
    wired.uart("printer_line").write(b"\x1dv0\x00\x30\x00\x18\x00" + bytes(48 * 3))  # of 24 rows, three
    wired.bring_up(wired.printer)
    wired.run(wired.printer.print_text("after the crash\n"))
    assert wired.chip.slip().text() == "after the crash\n"
    assert [image.height_dots for image in wired.chip.slip().bitmaps()] == [24]


def test_a_query_hidden_in_an_image_is_not_taken_for_an_answer() -> None:
    """Printers obey DLE EOT in raster data too: each of these 48 says 'paper adequate' when nobody asked."""
    wired = Printing().ready()
    wired.run(wired.printer.print_bitmap(384, 3, b"\x10\x04\x04" * 48))
    wired.chip.fault("paper_out")
    assert wired.error_of(wired.printer.print_text("x\n")).extended == EPTR_REC_EMPTY
    assert wired.run(wired.printer.check_health()).cause == "paper_out"


STOPPING = [
    ("cover_open", E_EXTENDED, EPTR_COVER_OPEN, "cover_open"),
    ("paper_out", E_EXTENDED, EPTR_REC_EMPTY, "paper_out"),
    ("cutter_jam", E_FAILURE, 0, "cutter_jam"),
    ("overheated", E_FAILURE, 0, "overheated"),
    ("head_broken", E_FAILURE, 0, "unrecoverable"),
    ("busy_for_ever", E_OFFLINE, 0, "offline"),
]


@pytest.mark.parametrize(("fault", "code", "extended", "cause"), STOPPING)
def test_what_stops_printing_is_raised_and_diagnosed(fault: str, code: int, extended: int, cause: str) -> None:
    wired = Printing().ready()
    wired.chip.fault(fault)
    for program in (
        wired.printer.print_text("x\n"),
        wired.printer.print_bitmap(8, 1, b"\xff"),
        wired.printer.feed(1),
        wired.printer.cut(),
    ):
        error = wired.error_of(program)
        assert (error.code, error.extended, error.cause) == (code, extended, cause)
    for level in (CH_INTERNAL, CH_EXTERNAL):
        health = wired.run(wired.printer.check_health(level))
        assert (health.outcome, health.cause, health.code, health.extended) == (HEALTH_FAIL, cause, code, extended)
    wired.chip.fault(fault, on=False)
    wired.run(wired.printer.print_text("better\n"))
    assert wired.run(wired.printer.check_health()).outcome == HEALTH_SUCCESS
    assert wired.chip.slip().text() == "better\n"


@pytest.mark.parametrize(("fault", "code", "extended", "cause"), STOPPING)
def test_a_printer_that_is_stopped_at_boot_is_diagnosed_too(fault: str, code: int, extended: int, cause: str) -> None:
    wired = Printing()
    wired.chip.fault(fault)
    wired.bring_up(wired.printer)
    health = wired.run(wired.printer.check_health())
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, cause, code)


def test_the_head_of_the_error_list_is_the_cover_for_it_explains_the_rest() -> None:
    wired = Printing().ready()
    wired.chip.fault("cover_open")
    wired.chip.fault("paper_out")
    assert wired.run(wired.printer.check_health()).cause == "cover_open"


def test_near_end_is_said_and_does_not_stop_printing() -> None:
    wired = Printing().ready()
    wired.chip.fault("near_end")
    wired.run(wired.printer.print_text("x\n"))
    health = wired.run(wired.printer.check_health())
    assert (health.outcome, health.cause, health.measurements["paper_near_end"]) == (HEALTH_SUCCESS, "paper_near_end", 1)


def test_a_silent_printer_is_printed_on_and_its_health_is_unknown() -> None:
    wired = Printing().ready()
    wired.chip.fault("silent")
    wired.run(wired.printer.print_text("x\n"))
    health = wired.run(wired.printer.check_health())
    assert (health.outcome, health.cause) == (HEALTH_NOT_RUN, "no_status")
    status = wired.run(wired.printer.status())
    assert (status.online, status.cover_open, status.paper_out, status.cutter_error) == (None, None, None, None)
    assert wired.chip.slip().text() == "x\n"


def test_a_silent_printer_costs_its_waits_once_not_with_each_line() -> None:
    wired = Printing().ready()
    wired.chip.fault("silent")
    assert wired.duration_ms(wired.printer.print_text("1\n")) <= 4 * 160
    assert wired.duration_ms(wired.printer.print_text("2\n")) <= 10
    wired.chip.fault("silent", on=False)
    wired.chip.fault("paper_out")
    assert wired.run(wired.printer.check_health()).cause == "paper_out"  # a check asks anew
    assert wired.error_of(wired.printer.print_text("3\n")).extended == EPTR_REC_EMPTY


def test_a_printer_that_answers_some_queries_is_judged_by_those() -> None:
    wired = Printing().ready()
    wired.chip.fault("partial_status")
    status = wired.run(wired.printer.status())
    assert (status.online, status.paper_out) == (True, False)
    assert (status.cover_open, status.cutter_error, status.overheated) == (None, None, None)
    assert wired.duration_ms(wired.printer.print_text("x\n")) <= 10
    assert wired.run(wired.printer.check_health()).measurements["status_answers"] == 2
    wired.chip.fault("paper_out")
    assert wired.run(wired.printer.check_health()).cause == "paper_out"
    wired.chip.load_paper()
    wired.chip.fault("cover_open")
    assert wired.run(wired.printer.check_health()).cause == "offline"  # the query for the cover is not answered


@pytest.mark.parametrize("level", [CH_INTERNAL, CH_EXTERNAL])
def test_a_printer_that_by_the_boards_facts_answers_and_does_not_is_failed_and_still_printed_on(level: int) -> None:
    wired = Printing(answers_status=True).ready()
    wired.chip.fault("silent")
    wired.run(wired.printer.print_text("x\n"))
    assert wired.chip.slip().text() == "x\n"
    begun_ms = wired.time.now_ms()
    health = wired.run(wired.printer.check_health(level))
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)
    assert wired.time.now_ms() - begun_ms < 1500


@pytest.mark.parametrize(
    ("fault", "cause"), [("", "partial_status"), ("paper_out", "paper_out"), ("near_end", "partial_status"), ("cover_open", "offline")]
)
def test_a_printer_that_by_the_boards_facts_answers_four_queries_and_answers_two_is_failed(fault: str, cause: str) -> None:
    """What stops printing is the first cause even then."""
    wired = Printing(answers_status=True).ready()
    wired.chip.fault("partial_status")
    if fault:
        wired.chip.fault(fault)
    health = wired.run(wired.printer.check_health())
    assert (health.outcome, health.cause) == (HEALTH_FAIL, cause)
    assert health.measurements["status_answers"] == 2


def test_a_paper_white_for_a_cold_head_only_a_person_can_see() -> None:
    wired = Printing(answers_status=True).ready()
    wired.chip.fault("head_cold")
    assert wired.run(wired.printer.check_health(CH_EXTERNAL)).outcome == HEALTH_SUCCESS
    wired.run(wired.printer.print_bitmap(384, 24, b"\xff" * 48 * 24))
    assert wired.chip.slip().text() == "\n"
    assert not any(wired.chip.slip().bitmaps()[0].bits)


@pytest.mark.parametrize("answers_status", [True, False])
def test_noise_instead_of_answers_is_told_as_such(answers_status: bool) -> None:
    wired = Printing(answers_status=answers_status).ready()
    wired.chip.fault("garbled_line")
    health = wired.run(wired.printer.check_health())
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "garbled_answer", E_FAILURE)


def test_answers_that_come_and_go_are_garbled() -> None:
    class Fickle(EscposPrinterChip):
        asked = 0

        def _say_status(self, number: int) -> None:
            self.asked += 1
            if self.asked % 3:
                super()._say_status(number)

    wired = Printing().ready()
    wired.rewire("printer_line", Fickle(wired.time.now_ms, 384))
    health = wired.run(wired.printer.check_health())
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "garbled_answer", E_FAILURE)


def test_a_status_that_changes_between_two_queries_is_no_noise() -> None:
    class Opened(EscposPrinterChip):
        asked = 0

        def _say_status(self, number: int) -> None:
            self.asked += 1
            if self.asked == 5:
                self.fault("cover_open")
            super()._say_status(number)

    wired = Printing().ready()
    wired.rewire("printer_line", Opened(wired.time.now_ms, 384))
    assert wired.run(wired.printer.check_health()).cause == "cover_open"


@pytest.mark.parametrize("at_boot", [True, False])
@pytest.mark.parametrize("fault", sorted(UartLine.FAULTS))
def test_a_broken_line_is_failed_where_the_printer_should_answer(fault: str, at_boot: bool) -> None:
    wired = Printing(answers_status=True)
    if not at_boot:
        wired.ready()
    wired.bench.bus_fault("printer_line", fault)
    if at_boot:
        wired.ready()
    health = wired.run(wired.printer.check_health())
    assert health.outcome == HEALTH_FAIL
    assert health.cause == (UartLine.FAULTS[fault].cause)


def test_a_line_at_another_baud_rate_is_garbled_or_silent_but_never_good() -> None:
    wired = Printing().ready()
    wired.bench.bus_fault("printer_line", "garbage")
    health = wired.run(wired.printer.check_health())
    assert health.cause in ("garbled_answer", "no_status")


@pytest.mark.parametrize("stray", [b"\x13\x11", b"\x14\x00\x00\x00", b"\x00", b"\x6c"])
def test_flow_control_and_automatic_status_are_no_answers(stray: bytes) -> None:
    wired = Printing().ready()

    class Chatty(EscposPrinterChip):
        def _say_status(self, number: int) -> None:
            self.send(stray)
            super()._say_status(number)

    chip = Chatty(wired.time.now_ms, 384)
    wired.rewire("printer_line", chip)
    assert wired.run(wired.printer.check_health()).outcome == HEALTH_SUCCESS
    chip.fault("paper_out")
    assert wired.run(wired.printer.check_health()).cause == "paper_out"


@pytest.mark.parametrize("habit", sorted(EscposPrinterChip.HABITS))
def test_a_talkative_printer_prints_all_and_is_healthy(habit: str) -> None:
    wired = Printing(answers_status=True).ready()
    wired.chip.fault(habit)
    bits = diagonal(384, 100)
    for number in range(40):
        wired.run(wired.printer.print_text("line %d\n" % number))
    wired.run(wired.printer.print_bitmap(384, 100, bits))
    assert wired.chip.slip().text().count("\n") == 40
    assert wired.chip.slip().bitmaps()[0].bits == bits
    assert wired.run(wired.printer.check_health()).outcome == HEALTH_SUCCESS


def test_xoff_holds_the_line_until_xon() -> None:
    wired = Printing().ready()
    wired.chip.send(b"\x13")
    begun_ms = wired.time.now_ms()

    def released() -> None:
        assert wired.chip.slip().text() == ""
        wired.chip.send(b"\x11")

    wired.run(wired.during(wired.printer.print_text("held\n"), 700, released))
    assert wired.chip.slip().text() == "held\n"
    assert 700 <= wired.time.now_ms() - begun_ms < 800


def test_a_line_held_for_ever_is_offline_in_limited_time() -> None:
    wired = Printing().ready()
    wired.chip.send(b"\x13")
    begun_ms = wired.time.now_ms()
    error = wired.error_of(wired.printer.print_text("held\n"))
    assert (error.code, error.cause) == (E_OFFLINE, "offline")
    assert wired.time.now_ms() - begun_ms < 11000


def test_the_external_check_prints_a_line_and_looks_again() -> None:
    wired = Printing().ready()
    health = wired.run(wired.printer.check_health(CH_EXTERNAL))
    assert health.outcome == HEALTH_SUCCESS
    assert wired.chip.paper == [TextLine("PRINTER TEST 0123456789"), Feed(3)]


def test_the_internal_check_prints_nothing() -> None:
    wired = Printing().ready()
    wired.run(wired.printer.check_health(CH_INTERNAL))
    assert wired.chip.paper == []


@pytest.mark.parametrize("answers_status", [True, False])
def test_a_printer_that_dies_when_it_prints_fails_the_external_check(answers_status: bool) -> None:
    wired = Printing(answers_status=answers_status).ready()
    wired.chip.fault("power_lost_while_printing")
    assert wired.run(wired.printer.check_health()).outcome == HEALTH_SUCCESS
    health = wired.run(wired.printer.check_health(CH_EXTERNAL))
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, "no_answer", E_NOHARDWARE)
    assert wired.run(wired.printer.check_health()).outcome == (HEALTH_FAIL if answers_status else HEALTH_NOT_RUN)


def test_power_lost_in_an_image_leaves_half_of_it_and_a_printer_that_works_after() -> None:
    wired = Printing().ready()
    wired.chip.fault("power_lost_while_printing")
    wired.run(wired.printer.print_bitmap(384, 24, diagonal(384, 24)))
    assert wired.chip.slip().bitmaps()[0].height_dots == 8
    wired.chip.fault("power_lost_while_printing", on=False)
    wired.printer.disable()
    wired.run(wired.printer.enable())
    wired.run(wired.printer.print_text("again\n"))
    assert wired.chip.slip().text() == "again\n"


def test_a_dead_line_is_not_a_failed_printer_where_nobody_knows_whether_it_answers() -> None:
    wired = Printing()
    wired.bench.bus_fault("printer_line", "silence")
    wired.bring_up(wired.printer)
    assert wired.run(wired.printer.check_health()).outcome == HEALTH_NOT_RUN


def test_nothing_is_printed_before_enable() -> None:
    wired = Printing()
    assert wired.error_of(wired.printer.print_text("x\n")).code == E_DISABLED
    with pytest.raises(DeviceError):
        wired.run(wired.printer.check_health())
