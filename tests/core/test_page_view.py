"""Pages on a display that keeps the contract and on nothing else: where things stand, what is cut, and which colours are used."""

from firmware_agent.screens.font import Font
from firmware_agent.screens.page import TONES, Page
from firmware_agent.screens.page_view import PageView, overflow
from hal.display import CONTRACT
from hal.errors import E_ILLEGAL, DeviceError
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
    assert display.has_text(font, "b" * 30, 8, 42)
    assert overflow(page, 320, 240, font) == []


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
    assert overflow(page, 320, 240, font) == []
    assert display.has_text(font, "line 0", 8, 16)
    assert display.has_text(font, "line 11", 8, 16 * 12)
    assert display.has_text(font, "1 Go", 8, 16 * 13)
    assert display.has_text(font, "foot", 8, 16 * 14)


def test_a_body_that_does_not_fit_is_cut_with_an_ellipsis_and_the_choices_stay():
    page = Page("p", "T", ["项%d" % number for number in range(30)], [("1", "Go")], "foot")
    display, font = _drawn(page)
    assert display.has_text(font, "项11…", 8, 16 * 12)
    assert display.has_text(font, "1 Go", 8, 16 * 13)
    assert overflow(page, 320, 240, font) == ["p: body of 30 rows, 12 are free"]


def test_a_full_last_row_makes_room_for_its_ellipsis():
    page = Page("p", "T", ["字" * 19] * 30, [], "foot")
    display, font = _drawn(page)
    assert display.has_text(font, "字" * 18 + "…", 8, 16 * 13)


def test_a_title_a_choice_and_a_footer_too_wide_are_cut_and_told():
    page = Page("p", "题" * 30, [], [("1", "c" * 50)], "f" * 50)
    display, font = _drawn(page)
    assert display.has_text(font, "题" * 18 + "…", 8, 0)
    assert display.has_text(font, "f" * 37 + "…", 8, 240 - 16)
    told = overflow(page, 320, 240, font)
    assert [sentence.split(" is ")[0] for sentence in told] == ["p: title", "p: footer", "p: choice 1"]


def test_more_choices_than_rows_are_told():
    page = Page("p", "T", [], [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d")], "foot")
    font = Font()
    assert overflow(page, 128, 64, font) == ["p: 4 choices, 2 rows are free"]
    _drawn(page, 128, 64)


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
