"""The printer model by itself: it takes the byte stream as printers do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_sim.chips.escpos_printer import EscposPrinterChip, Feed, Raster, TextLine


class Line:
    def __init__(self) -> None:
        self.said = bytearray()
        self.chip = EscposPrinterChip(lambda: 0, 384)
        self.chip.send = self.said.extend

    def write(self, data: bytes) -> bytes:
        """What the printer says to it."""
        self.said.clear()
        self.chip.receive(data)
        return bytes(self.said)


@pytest.mark.parametrize(("number", "answer"), [(1, 0x12), (2, 0x12), (3, 0x12), (4, 0x12)])
def test_a_healthy_printer_answers_each_query_with_the_fixed_bits_alone(number: int, answer: int) -> None:
    assert Line().write(bytes([0x10, 0x04, number])) == bytes([answer])


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        ("paper_out", b"\x1a\x32\x12\x7e"),
        ("near_end", b"\x12\x12\x12\x1e"),
        ("cover_open", b"\x1a\x16\x12\x12"),
        ("cutter_jam", b"\x1a\x52\x1a\x12"),
        ("head_broken", b"\x1a\x52\x32\x12"),
        ("overheated", b"\x1a\x52\x52\x12"),
        ("partial_status", b"\x12\x12"),
        ("silent", b""),
    ],
)
def test_each_fault_shows_in_the_bits_of_the_command_reference(fault: str, answers: bytes) -> None:
    line = Line()
    line.chip.fault(fault)
    assert line.write(b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04") == answers


def test_a_printer_without_the_command_answers_no_query() -> None:
    said = bytearray()
    chip = EscposPrinterChip(lambda: 0, 384, answers_status=False)
    chip.send = said.extend
    chip.receive(b"\x10\x04\x01text\n\x10\x04\x04")
    assert not said
    assert chip.slip().text() == "text\n"


def test_a_query_is_answered_off_line_and_in_the_middle_of_an_image() -> None:
    line = Line()
    assert line.write(b"\x1dv0\x00\x01\x00\x03\x00\x10\x04\x01") == b"\x12"
    assert line.chip.slip().bitmaps() == [Raster(8, bytearray(b"\x10\x04\x01"))]
    line.chip.fault("paper_out")
    assert line.write(b"text\n\x10\x04\x01") == b"\x1a"


def test_commands_may_arrive_byte_by_byte() -> None:
    stream = b"\x1b@\x1ba\x01\x1bE\x01\x1d!\x11Title\n\x1b@plain\n\x1dv0\x00\x02\x00\x02\x00\xff\x00\x00\xff\x1bd\x02\x1dV\x41\x10tail\n"
    whole, split = Line(), Line()
    whole.write(stream)
    for byte in stream:
        split.write(bytes([byte]))
    assert split.chip.paper == whole.chip.paper
    assert whole.chip.cut_slips[0].items == [
        TextLine("Title", bold=True, width=2, height=2, align=1),
        TextLine("plain"),
        Raster(16, bytearray(b"\xff\x00\x00\xff")),
        Feed(2),
    ]
    assert whole.chip.slip().text() == "tail\n"


def test_a_long_line_wraps_at_the_width_of_the_paper() -> None:
    line = Line()
    line.write(b"x" * 40 + b"\n")
    assert [item.text for item in line.chip.paper if isinstance(item, TextLine)] == ["x" * 32, "x" * 8]


def test_a_line_that_just_fits_is_one_line() -> None:
    line = Line()
    line.write(b"x" * 32 + b"\ny\n")
    assert [item.text for item in line.chip.paper if isinstance(item, TextLine)] == ["x" * 32, "y"]


def test_letters_are_of_font_a_and_thicker_where_they_are_bold() -> None:
    line = Line()
    line.write(b"Hi\n\x1bE\x01Hi\n")
    picture = line.chip.picture()
    plain, bold = picture.crop((0, 0, 24, 24)), picture.crop((0, 30, 24, 54))
    inked = [{(x, y) for y in range(24) for x in range(24) if text.getpixel((x, y)) == 0} for text in (plain, bold)]
    assert inked[1] == inked[0] | {(x + 1, y) for x, y in inked[0]}
    assert all({(x - 1, y), (x + 1, y)} & inked[0] for x, y in inked[0]), "no stroke is thinner than the pen"


@pytest.mark.parametrize(
    "command",
    [
        b"\x1dk\x04123\x00",
        b"\x1dk\x49\x03ABC",
        b"\x1d(k\x03\x001C\x04",
        b"\x1b*\x21\x02\x00abcdef",
        b"\x1bD\x08\x10\x00",
        b"\x1d8L\x03\x00\x00\x00abc",
        b"\x1bW12345678",
        b"\x1bp\x00\x19\x19",
        b"\x1ct\x1c.",
        b"\x10\x05\x02",
    ],
)
def test_a_command_that_prints_nothing_here_takes_its_parameters_with_it(command: bytes) -> None:
    line = Line()
    line.write(command + b"after\n")
    assert line.chip.slip().text() == "after\n"


@pytest.mark.parametrize("command", [b"\x1dV\x00", b"\x1dV\x31", b"\x1dV\x41\x10", b"\x1dV\x42\x00", b"\x1bi", b"\x1bm"])
def test_each_form_of_the_cut_cuts(command: bytes) -> None:
    line = Line()
    line.write(b"one\n" + command + b"two\n")
    assert [slip.text() for slip in [*line.chip.cut_slips, line.chip.slip()]] == ["one\n", "two\n"]


def test_an_unknown_command_leaves_its_parameters_as_text() -> None:
    line = Line()
    line.write(b"\x1b\x8aQR\n")
    assert line.chip.slip().text() == "QR\n"


@given(st.lists(st.sampled_from(b"\x10\x04\x05\x14\x1b\x1c\x1dv0VkaJ@!(8LD*\x00\x01\x02\x41\xffab\n"), max_size=200).map(bytes))
def test_any_stream_is_taken_and_a_query_is_answered_after_it(stream: bytes) -> None:
    line = Line()
    line.write(stream)
    assert line.write(b"\x00\x00\x10\x04\x01")[-1:] == b"\x12"


def test_a_long_command_that_is_not_obeyed_does_not_fill_the_buffer_for_ever() -> None:
    line = Line()
    line.write(b"\x1d8L" + (10000).to_bytes(4, "little"))
    for _ in range(10):
        line.write(bytes(1000))
    line.write(b"after\n")
    assert line.chip.slip().text() == "after\n"
    assert line.chip.lost_bytes == 0


def test_off_line_the_buffer_keeps_4_kb_and_prints_them_when_the_paper_is_loaded() -> None:
    line = Line()
    line.chip.fault("paper_out")
    line.write(b"kept\n")
    line.write(bytes(5000))
    assert line.chip.paper == []
    assert line.chip.lost_bytes == 5000 + 5 - 4096
    line.chip.load_paper()
    assert line.chip.slip().text() == "kept\n"


def test_power_up_forgets_half_a_line_and_half_an_image() -> None:
    line = Line()
    line.write(b"half")
    line.chip.power_up()
    line.write(b"\x1dv0\x00\x01\x00\x05\x00\xff")
    line.chip.power_up()
    line.write(b"whole\n")
    assert line.chip.slip().text() == "whole\n"


def test_automatic_status_comes_with_each_change_once_it_is_switched_on() -> None:
    line = Line()
    assert line.write(b"\x1da\x0f") == b"\x10\x00\x00\x00"
    line.said.clear()
    line.chip.fault("cover_open")
    assert bytes(line.said) == b"\x38\x00\x00\x00"


def test_the_picture_shows_the_dots_of_an_image_and_the_ink_of_text() -> None:
    line = Line()
    line.write(b"\x1dv0\x00\x01\x00\x02\x00\x80\x01")
    picture = line.chip.picture()
    assert picture.size == (384, 2)
    assert [(x, y) for y in range(2) for x in range(384) if picture.getpixel((x, y)) == 0] == [(0, 0), (7, 1)]
    line.write(b"\x1dV\x00Hi\n")
    picture = line.chip.picture()
    black = [x for y in range(picture.height) for x in range(384) if picture.getpixel((x, y)) == 0]
    assert black and max(black) < 24  # two cells of 12 dots
