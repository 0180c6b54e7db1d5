"""Pages on a display that keeps the contract and on nothing else: where things stand, what is cut, and which colours are used."""

import asyncio

from firmware_agent.flows.ui import Ui
from firmware_agent.screens.font import Font
from firmware_agent.screens.page import TONES, Page
from firmware_agent.screens.page_view import MORE_ABOVE, MORE_BELOW, PageView, lay_out
from firmware_agent.texts import load
from hal.display import CONTRACT
from hal.errors import E_ILLEGAL, E_NOHARDWARE, DeviceError
from tests.core.parts import Time, clock
from tests.core.support import raises


class MemoryDisplay:
    """Keeps hal/display.py at level 1, the refusals included. Pixels are numbers of the two colours of each drawing."""

    def __init__(self, width_px, height_px):
        self.level = 1
        self.width_px = width_px
        self.height_px = height_px
        self.bits = bytearray(width_px * height_px // 8)
        self.colours = [None] * height_px  # (ink, paper) of each row of pixels

    def fill(self, colour):
        raise AssertionError("a page is drawn row by row: filling first would flicker")

    def draw_bitmap(self, x_px, y_px, width_px, height_px, bits, ink, paper):
        if x_px % 8 or width_px % 8 or x_px + width_px > self.width_px or y_px < 0 or y_px + height_px > self.height_px:
            raise DeviceError(E_ILLEGAL, "display", "outside")
        assert len(bits) == width_px // 8 * height_px
        assert (x_px, width_px) == (0, self.width_px)
        start = y_px * width_px // 8
        self.bits[start : start + len(bits)] = bits
        for row in range(y_px, y_px + height_px):
            self.colours[row] = (ink, paper)

    def glyph_at(self, x_px, y_px, width_px):
        row_bytes = self.width_px // 8
        rows = b""
        for row in range(y_px, y_px + 16):
            start = row * row_bytes + x_px // 8
            rows += bytes(self.bits[start : start + width_px // 8])
        return rows

    def has_text(self, font, text, x_px, y_px):
        for character in text:
            width_px, rows = font.glyph(character)
            if self.glyph_at(x_px, y_px, width_px) != rows:
                return False
            x_px += width_px
        return True


def _drawn(page, width_px=320, height_px=240):
    display = MemoryDisplay(width_px, height_px)
    font = Font()
    PageView(display, font).draw(page)
    return display, font


class Small:
    """A page on a display of four rows of fourteen narrow characters."""

    def __init__(self, page):
        self.display = MemoryDisplay(128, 64)
        self.font = Font()
        self.view = PageView(self.display, self.font)
        self.view.draw(page)

    def shows(self, *rows):
        """Whether the four rows are these, from the left margin, each with the mark that is given with it, or none."""
        return all([self._is_row(index, text) for index, text in enumerate(rows)])

    def _is_row(self, index, text):
        mark = text[-1] if text[-1:] in (MORE_ABOVE, MORE_BELOW) else " "
        text = text[:-1].rstrip() if mark != " " else text
        spaces = " " * (14 - self.font.width_px(text) // 8)
        return self.display.has_text(self.font, text + spaces + mark, 8, 16 * index)


def _fits(page, width_px=320, height_px=240):
    row_px, rows = lay_out(page, width_px, height_px, Font())
    return len(rows) == height_px // row_px


def _luminance(colour):
    """Relative luminance of WCAG 2.2."""
    parts = []
    for shift in (16, 8, 0):
        value = (colour >> shift & 0xFF) / 255
        parts.append(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_the_display_of_these_tests_keeps_the_contract():
    names = CONTRACT.levels[1]
    display = MemoryDisplay(320, 240)
    assert [name for name in names if not hasattr(display, name)] == []
    raises(DeviceError, display.draw_bitmap, 4, 0, 8, 1, b"\x00", 0, 0)


def test_title_is_above_body_above_choices_above_footer():
    page = Page("p", "终端已停用", ["Since: 2026-11-20"], [("1", "继续"), ("2", "No")], "ENTER: confirm")
    display, font = _drawn(page)
    assert display.has_text(font, "终端已停用", 8, 2)
    assert display.has_text(font, "Since: 2026-11-20", 8, 22)
    assert display.has_text(font, "1 继续", 8, 182)
    assert display.has_text(font, "2 No", 8, 202)
    assert display.has_text(font, "ENTER: confirm", 8, 222)


def test_every_row_of_pixels_is_drawn():
    for width, height in ((320, 240), (128, 64), (240, 135), (48, 48)):
        display, _ = _drawn(Page("p", "T", ["line"], [("1", "Go")], "foot"), width, height)
        assert None not in display.colours, (width, height)


def test_the_title_bar_is_in_reverse():
    display, _ = _drawn(Page("p", "T", ["line"]))
    title_ink, title_paper = display.colours[0]
    body_ink, body_paper = display.colours[25]
    assert _luminance(title_ink) > _luminance(title_paper)
    assert _luminance(body_ink) < _luminance(body_paper)


def test_each_tone_has_a_title_bar_of_its_own():
    papers = []
    for tone in TONES:
        papers.append(_drawn(Page("p", "T", tone=tone))[0].colours[0][1])
    assert len(set(papers)) == len(TONES)


def test_ink_stands_out_from_paper_in_every_tone():
    for tone in TONES:
        display, _ = _drawn(Page("p", "T", ["line"], [("1", "Go")], "foot", tone))
        for ink, paper in set(display.colours):
            low, high = sorted((_luminance(ink), _luminance(paper)))
            assert (high + 0.05) / (low + 0.05) >= 7, (tone, ink, paper)  # WCAG 2.2, 1.4.6


def test_a_tone_that_does_not_exist_is_refused():
    raises(ValueError, Page, "p", "T", (), (), "", "loud")


def test_what_follows_a_tab_stands_at_the_right_edge():
    display, font = _drawn(Page("p", "T", ["打印机\tfail"]))
    assert display.has_text(font, "打印机", 8, 22)
    assert display.has_text(font, "fail", 320 - 8 - 32, 22)


def test_a_tab_line_too_long_for_one_row_is_wrapped():
    page = Page("p", "T", ["a" * 30 + "\t" + "b" * 30])
    display, font = _drawn(page)
    assert display.has_text(font, "b" * 30, 320 - 8 - 240, 42)
    assert _fits(page)


def test_what_follows_a_tab_is_not_broken_for_what_stands_before_it():
    small = Small(Page("p", "T", ["5 安全芯片\t通过"]))
    assert small.shows("T", "5 安全芯片", " " * 10 + "通过", "")


def test_a_page_with_more_lines_is_set_closer():
    lines = ["line %d" % number for number in range(10)]
    display, font = _drawn(Page("p", "T", lines, [("1", "Go")], "foot"))
    assert display.has_text(font, "line 9", 8, 18 * 10 + 1)
    assert display.has_text(font, "1 Go", 8, 18 * 11 + 1)
    assert display.has_text(font, "foot", 8, 240 - 18 + 1)
    assert None not in display.colours


def test_a_page_with_many_lines_is_set_solid():
    lines = ["line %d" % number for number in range(12)]
    page = Page("p", "T", lines, [("1", "Go")], "foot")
    display, font = _drawn(page)
    assert _fits(page)
    assert display.has_text(font, "line 0", 8, 16)
    assert display.has_text(font, "line 11", 8, 16 * 12)
    assert display.has_text(font, "1 Go", 8, 16 * 13)
    assert display.has_text(font, "foot", 8, 16 * 14)


def test_a_page_that_does_not_fit_is_cut_nowhere_and_scrolled_to_its_end():
    page = Page("p", "T", ["项%d" % number for number in range(30)], [("1", "Go")], "foot")
    display = MemoryDisplay(320, 240)
    font = Font()
    view = PageView(display, font)
    view.draw(page)
    assert not _fits(page)
    assert display.has_text(font, "T", 8, 0) and display.has_text(font, "项13", 8, 16 * 14)
    assert display.has_text(font, MORE_BELOW, 312, 16 * 14) and display.has_text(font, " ", 312, 0)
    view.scroll(1)
    assert display.has_text(font, "项13", 8, 0) and display.has_text(font, "项27", 8, 16 * 14)
    assert display.has_text(font, MORE_BELOW, 312, 16 * 14) and display.has_text(font, MORE_ABOVE, 312, 0)
    view.scroll(1)
    assert display.has_text(font, "1 Go", 8, 16 * 13) and display.has_text(font, "foot", 8, 16 * 14)
    assert display.has_text(font, " ", 312, 16 * 14) and display.has_text(font, MORE_ABOVE, 312, 0)


def test_a_title_a_choice_and_a_footer_too_wide_are_wrapped():
    page = Page("p", "题" * 30, [], [("1", "c" * 30 + " " + "d" * 30)], "f" * 30 + " " + "g" * 30)
    display, font = _drawn(page)
    assert display.has_text(font, "题" * 19, 8, 2) and display.has_text(font, "题" * 11, 8, 22)
    assert display.colours[0] == display.colours[22] and display.colours[22] != display.colours[42]
    assert display.has_text(font, "1 " + "c" * 30, 8, 162) and display.has_text(font, "d" * 30, 8, 182)
    assert display.has_text(font, "f" * 30, 8, 202) and display.has_text(font, "g" * 30, 8, 222)


LONG = Page("p", "Terminal suspended", ["Since: today", "停用原因：违规操作"], [("1", "Start recovery"), ("2", "No")], "foot")


def test_a_small_display_shows_a_long_page_through_a_window():
    small = Small(LONG)
    assert small.shows("Terminal", "suspended", "Since: today", "停用原因：违规" + MORE_BELOW)
    small.view.scroll(1)
    assert small.shows("停用原因：违规" + MORE_ABOVE, "操作", "1 Start", "recovery" + MORE_BELOW)
    small.view.scroll(1)
    assert small.shows("操作" + MORE_ABOVE, "1 Start", "recovery", "2 No")
    assert small.display.colours[0] == small.display.colours[15]
    assert small.display.colours[0] != small.display.colours[16]


def test_scrolling_up_comes_back_to_the_title():
    small = Small(LONG)
    for _ in range(3):
        small.view.scroll(1)
    for _ in range(3):
        small.view.scroll(-1)
    assert small.shows("Terminal", "suspended", "Since: today", "停用原因：违规" + MORE_BELOW)
    assert small.display.colours[31] == small.display.colours[0] != small.display.colours[32]


def test_a_page_that_is_all_seen_does_not_move():
    small = Small(Page("p", "T", ["one"], [("1", "Go")]))
    before = bytes(small.display.bits)
    small.display.bits[:] = bytes(len(small.display.bits))
    small.view.scroll(1)
    small.view.scroll(-1)
    assert not any(small.display.bits), "nothing is drawn"
    small.view.draw(Page("p", "T", ["one"], [("1", "Go")]))
    assert bytes(small.display.bits) == before


def test_a_view_that_has_drawn_nothing_does_not_scroll():
    view = PageView(MemoryDisplay(128, 64), Font())
    view.scroll(1)


def test_a_page_that_stays_is_drawn_where_the_one_before_it_was_scrolled_to():
    small = Small(LONG)
    small.view.scroll(1)
    seen = bytes(small.display.bits)
    again = Page(LONG.name, LONG.title, LONG.lines, LONG.choices, LONG.footer, LONG.tone, stays=True)
    small.view.draw(again)
    assert bytes(small.display.bits) == seen
    small.view.draw(Page("other", LONG.title, LONG.lines, stays=True))
    assert small.shows("Terminal", "suspended", "Since: today", "停用原因：违规" + MORE_BELOW)


def test_another_page_begins_at_its_top():
    small = Small(LONG)
    small.view.scroll(1)
    small.view.draw(LONG)
    assert small.shows("Terminal", "suspended", "Since: today", "停用原因：违规" + MORE_BELOW)


def test_a_small_display_gives_up_the_footer_for_the_rest_of_the_page():
    small = Small(Page("p", "T", ["one", "two"], [("1", "Go")], "foot"))
    assert small.shows("T", "one", "two", "1 Go")
    assert Small(Page("p", "T", ["one"], [("1", "Go")], "foot")).shows("T", "one", "1 Go", "foot")


def test_a_long_page_on_a_display_of_six_rows_ends_with_its_footer():
    page = Page("p", "T", ["one", "two", "three", "four"], [("1", "Go")], "foot")
    assert lay_out(page, 128, 96, Font())[1][-1][1] == "foot"
    assert len(lay_out(page, 128, 96, Font())[1]) == 7


def test_choices_stand_at_the_bottom_of_a_small_display():
    assert Small(Page("p", "T", [], [("1", "Go")])).shows("T", "", "", "1 Go")


def test_a_scrolled_page_is_drawn_on_every_row_of_pixels():
    for width, height in ((128, 64), (240, 135), (48, 48)):
        display = MemoryDisplay(width, height)
        view = PageView(display, Font())
        view.draw(Page("p", "T", ["line %d" % number for number in range(20)]))
        display.colours[:] = [None] * height
        view.scroll(1)
        assert None not in display.colours, (width, height)


def test_drawing_again_leaves_nothing_of_the_page_before():
    display = MemoryDisplay(320, 240)
    font = Font()
    view = PageView(display, font)
    page = Page("p", "T", ["short"], [("1", "Go")], "foot")
    view.draw(page)
    first = bytes(display.bits)
    view.draw(Page("q", "停用" * 9, ["字" * 200], [("1", "W" * 30), ("2", "W" * 30)], "W" * 30))
    assert bytes(display.bits) != first
    view.draw(page)
    assert bytes(display.bits) == first


class Fingers:
    """A keypad on which these keys are pressed, one after the other; then nobody is there."""

    enabled = True

    def __init__(self, keys):
        self.left = list(keys)

    async def read(self, timeout_ms):
        return self.left.pop(0) if self.left else None


class Counter:
    """The devices that a Ui asks for."""

    printer = None

    def __init__(self, keys):
        self.clock = clock()
        self.display = MemoryDisplay(128, 64)
        self.display.enabled = True
        self.keypad = Fingers(keys)


def _asked(page, keys, further_keys=()):
    """The answer, and what is on the display after it."""
    counter = Counter(keys)
    answer = asyncio.run(Ui(counter, None, print).ask(page, lambda: not counter.keypad.left, further_keys))
    return answer, bytes(counter.display.bits)


def test_up_and_down_scroll_a_page_that_asks_and_answer_nothing():
    below = Small(LONG)
    below.view.scroll(1)
    assert _asked(LONG, ["down"]) == ("", bytes(below.display.bits))
    assert _asked(LONG, ["down", "down", "up", "up"]) == ("", bytes(Small(LONG).display.bits))


def test_a_choice_is_taken_wherever_the_window_stands():
    below = Small(LONG)
    below.view.scroll(1)
    assert _asked(LONG, ["down", "1", "down"]) == ("1", bytes(below.display.bits))


def test_a_page_with_a_meaning_of_its_own_for_down_is_not_scrolled_by_it():
    page = Page("p", LONG.title, LONG.lines, [("down", "Next"), ("1", "Go")])
    assert _asked(page, ["down"]) == ("down", bytes(Small(page).display.bits))
    assert _asked(LONG, ["up"], ("up",))[0] == "up"


def test_who_holds_the_texts_reads_on_in_the_new_language_when_it_changes():
    ui = Ui(Counter([]), load("en"), print)
    held = ui.texts
    for language, text in (("zh-CN", "\u8425\u4e1a\u4e2d"), ("zh-CN", "\u8425\u4e1a\u4e2d"), ("en", "In service")):
        ui.speak(language)
        assert held.language == language and held.get("idle.title") == text == ui.texts.get("idle.title")
    raises(ValueError, ui.speak, "fr")
    assert held.language == "en" and held.get("idle.title") == "In service"
    held.close()


class Loose(MemoryDisplay):
    """A display whose plug is out while these pages are drawn, counted from 1."""

    def __init__(self, first, last):
        super().__init__(128, 64)
        self.enabled = True
        self.pages = 0
        self._out = range(first, last + 1)

    def draw_bitmap(self, x_px, y_px, width_px, height_px, bits, ink, paper):
        if y_px == 0:
            self.pages += 1
            if self.pages in self._out:
                raise DeviceError(E_NOHARDWARE, "display", "gone", cause="unplugged")
        super().draw_bitmap(x_px, y_px, width_px, height_px, bits, ink, paper)


def _shown_for(display, duration_ms):
    """What a Ui says while it shows LONG on that display for so long."""
    time = Time()
    counter = Counter([])
    counter.clock = clock(time)
    counter.keypad = None
    counter.display = display
    lines = []
    time.run(Ui(counter, None, lines.append).ask(LONG, lambda: counter.clock.monotonic_ms() >= duration_ms))
    return lines


def test_a_display_that_is_plugged_in_again_gets_the_page_and_its_loss_is_said_once():
    display = Loose(1, 3)
    assert _shown_for(display, 10000) == ["display display: E_NOHARDWARE: gone"]
    assert display.pages == 4
    assert bytes(display.bits) == bytes(Small(LONG).display.bits)


def test_a_display_that_was_not_there_at_the_start_gets_the_page_when_it_is():
    display = Loose(0, 0)
    display.enabled = False
    assert _shown_for(display, 5000) == [] and display.pages == 0
    display.enabled = True
    _shown_for(display, 5000)
    assert display.pages == 1


class CharacterDisplay:
    """A display with characters of its own, of any size at any time; its pixels are for pictures alone."""

    width_px = 16
    height_px = 8

    def __init__(self, columns, rows):
        self.resize(columns, rows)

    def resize(self, columns, rows):
        self.columns = columns
        self.rows = rows
        self.lines = [None] * rows
        self.papers = [None] * rows

    def draw_bitmap(self, x_px, y_px, width_px, height_px, bits, ink, paper):
        raise AssertionError("a page is text where there are characters")

    def draw_row(self, row, text, ink, paper):
        assert 0 <= row < self.rows
        self.lines[row] = text
        self.papers[row] = paper


def test_a_page_on_a_display_with_characters_is_text_row_by_row():
    display = CharacterDisplay(20, 6)
    PageView(display, Font()).draw(Page("p", "终端已停用", ["Since\t今天", "停用原因：违规操作"], [("1", "继续")], "foot"))
    assert [line.strip() for line in display.lines] == ["终端已停用", "Since         今天", "停用原因：违规操作", "", "1 继续", "foot"]
    assert len(set(display.papers)) == 3


def test_characters_are_scrolled_with_the_marks_in_the_last_column():
    display = CharacterDisplay(16, 4)
    view = PageView(display, Font())
    view.draw(LONG)
    assert display.lines == [" Terminal      ", " suspended     ", " Since: today  ", " 停用原因：违规" + MORE_BELOW]
    view.scroll(1)
    assert display.lines == [" 停用原因：违规" + MORE_ABOVE, " 操作          ", " 1 Start       ", " recovery      " + MORE_BELOW]


def test_scrolling_on_a_display_of_another_size_begins_the_page_anew():
    display = CharacterDisplay(16, 4)
    view = PageView(display, Font())
    view.draw(LONG)
    view.scroll(1)
    display.resize(30, 14)
    view.scroll(-1)
    rows = ["Terminal suspended", "Since: today", "停用原因：违规操作"] + [""] * 8 + ["1 Start recovery", "2 No", "foot"]
    assert [line.strip() for line in display.lines] == rows
    display.resize(30, 14)
    view.scroll(1)
    assert display.lines == [None] * 14, "all of it is seen"


def test_a_page_is_drawn_on_a_display_that_is_larger_now():
    display = MemoryDisplay(128, 64)
    font = Font()
    view = PageView(display, font)
    view.draw(LONG)
    display.__init__(320, 240)
    view.draw(LONG)
    assert display.has_text(font, "Terminal suspended", 8, 2) and None not in display.colours
