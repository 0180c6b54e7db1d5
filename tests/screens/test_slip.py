"""Slips: Chinese on any printer that takes a raster, and what a printer of text only gives."""

import asyncio

import pytest

from firmware_agent.screens.font import Font
from firmware_agent.screens.slip import LINE_DOTS, SlipPrinter
from hal.errors import E_EXTENDED, EPTR_REC_EMPTY, DeviceError
from hal.printer import CONTRACT
from host_sim.reading import text_of_raster
from tools.texts import table


class PaperPrinter:
    """A printer of the given level that keeps what it printed, and runs out of paper after `paper_lines` calls."""

    def __init__(self, level: int, width_dots: int = 384, columns: int = 32, paper_lines: int = 1000) -> None:
        self.level = level
        self.columns = columns
        if level >= 2:
            self.width_dots = width_dots
        self.printed: list[object] = []
        self.paper_lines = paper_lines

    def _use_paper(self) -> None:
        if not self.paper_lines:
            raise DeviceError(E_EXTENDED, "printer", "no paper", EPTR_REC_EMPTY)
        self.paper_lines -= 1

    async def print_text(self, text: str) -> None:
        self._use_paper()
        assert text.isascii() and text.endswith("\n") and len(text) <= self.columns + 1
        self.printed.append(text)

    async def feed(self, lines: int) -> None:
        self.printed.append(("feed", lines))

    async def print_bitmap(self, width_dots: int, height_dots: int, bits: bytes) -> None:
        assert self.level >= 2
        self._use_paper()
        self.printed.append((width_dots, height_dots, bytes(bits)))

    async def cut(self) -> None:
        assert self.level >= 3
        self.printed.append("cut")


def printed(printer: PaperPrinter, lines: list[str], title: str = "") -> tuple[int, list[str]]:
    """How many lines could not be printed, and what stands on the slip in words."""
    font = Font()
    count = asyncio.run(SlipPrinter(printer, font).print_lines(lines, title))
    words: list[str] = []
    for item in printer.printed:
        if isinstance(item, tuple) and len(item) == 3:
            words += text_of_raster(*item, font)
        elif isinstance(item, str):
            words.append(item.rstrip("\n"))
        else:
            words.append("feed")
    return count, words


def test_the_printer_of_these_tests_has_what_its_level_asks_for():
    for level in (1, 2):
        for number in range(1, level + 1):
            assert [name for name in CONTRACT.levels[number] if not hasattr(PaperPrinter(level), name)] == []


def test_ascii_goes_as_text_and_chinese_as_raster():
    printer = PaperPrinter(3)
    assert printed(printer, ["Terminal 12345678", "终端号：12345678"]) == (0, ["Terminal 12345678", "终端号：12345678", "feed", "cut"])
    assert printer.printed[0] == "Terminal 12345678\n"
    assert printer.printed[1][:2] == (384, LINE_DOTS)


@pytest.mark.parametrize("texts", [table("en"), table("zh-CN")], ids=["en", "zh-CN"])
def test_every_text_is_read_back_from_the_slip(texts):
    for key, text in texts.items():
        line = text.replace("\t", " ")
        count, words = printed(PaperPrinter(2), [line])
        assert count == 0
        assert "".join(words[:-1]).replace(" ", "") == line.replace(" ", ""), key


def test_a_title_is_twice_as_large_and_read_back():
    printer = PaperPrinter(3)
    assert printed(printer, ["ok"], title="测试小票 Test") == (0, ["测试小票 Test", "ok", "feed", "cut"])
    assert printer.printed[0][:2] == (384, 2 * LINE_DOTS)


def test_rasters_that_follow_each_other_are_read_as_one_picture():
    printer = PaperPrinter(2)
    printed(printer, ["终端号：1", "时间：2"], title="测试小票")
    rasters = [item for item in printer.printed if len(item) == 3]
    height = sum(item[1] for item in rasters)
    assert text_of_raster(384, height, b"".join(item[2] for item in rasters), Font()) == ["测试小票", "终端号：1", "时间：2"]


def test_long_lines_are_wrapped_to_the_paper():
    assert printed(PaperPrinter(2, columns=10), ["one two three four"])[1] == ["one two", "three four", "feed"]
    assert printed(PaperPrinter(2, width_dots=64), ["终端已停用。"])[1] == ["终端已停", "用。", "feed"]


@pytest.mark.parametrize("width_dots", [384, 420, 512, 576])
def test_any_width_of_paper_is_printed_on(width_dots):
    assert printed(PaperPrinter(2, width_dots), ["终端已停用"], "标题".replace("标题", "测试"))[1] == ["测试", "终端已停用", "feed"]


def test_a_printer_of_text_only_says_what_it_could_not_print():
    count, words = printed(PaperPrinter(1), ["终端号：12345678", "Terminal"], title="测试")
    assert (count, words) == (2, ["??", "????12345678", "Terminal", "feed"])


def test_a_printer_without_cutter_is_not_asked_to_cut():
    assert printed(PaperPrinter(2), ["x"])[1] == ["x", "feed"]


def test_an_empty_line_is_an_empty_line():
    assert PaperPrinter(1).printed == []
    printer = PaperPrinter(1)
    printed(printer, ["", "a"])
    assert printer.printed[:2] == ["\n", "a\n"]


def test_paper_out_is_told_and_nothing_is_fed_or_cut_after_it():
    printer = PaperPrinter(3, paper_lines=1)
    with pytest.raises(DeviceError) as told:
        printed(printer, ["one", "二", "three"])
    assert told.value.extended == EPTR_REC_EMPTY
    assert printer.printed == ["one\n"]


def test_nothing_of_a_longer_line_is_left_on_the_next():
    assert printed(PaperPrinter(2), ["终端已停用停用", "停"], title="测试小票")[1][:3] == ["测试小票", "终端已停用停用", "停"]


def test_what_stands_on_both_sides_of_a_page_follows_itself_on_paper():
    printer = PaperPrinter(1)
    printed(printer, ["Application no.: 1\t", "Application no.: 1\t2026-11-22 10:00"])
    assert printer.printed[:2] == ["Application no.: 1\n", "Application no.: 1  2026-11-22\n"]
