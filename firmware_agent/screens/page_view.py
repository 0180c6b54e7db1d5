"""Draws a page on any display that keeps the contract of hal/display.py, and tells what of a page does not fit.

The screen is divided into rows of equal height, each drawn whole from one strip of pixels: the title bar first, the body below it,
the choices just above the footer, the footer last.
"""

from firmware_agent.screens.font import HEIGHT_PX, NARROW_PX
from firmware_agent.screens.page import TONE_ALERT, TONE_GOOD, TONE_NORMAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.screens.font import Font
    from firmware_agent.screens.page import Page
    from hal.display import Display

MARGIN_PX = 8
_ROW_HEIGHTS_PX = (HEIGHT_PX + 4, HEIGHT_PX + 2, HEIGHT_PX)

# What a row is.
TITLE = 0
BODY = 1
CHOICE = 2
FOOTER = 3

# 0xRRGGBB. Contrast of each pair is at least 7 : 1 (WCAG 2.2, 1.4.6).
_PAPER = 0xFFFFFF
_INK = 0x111111
_FOOTER_PAPER = 0xE4E7EB
_ACCENTS = {TONE_NORMAL: 0x0B3C6F, TONE_ALERT: 0xA3001B, TONE_GOOD: 0x0B5722}


def row_heights_px(height_px: int) -> "tuple[int, ...]":
    """The heights that a row may have on a display of that height, best first: less air between the lines for a page that has many."""
    return _ROW_HEIGHTS_PX if height_px >= 10 * _ROW_HEIGHTS_PX[0] else (HEIGHT_PX,)


def row_tops(height_px: int, row_px: int) -> "list[int]":
    """The y of each row of that height, from the top; the last one stands on the bottom edge."""
    tops = [index * row_px for index in range(height_px // row_px)]
    tops[-1] = height_px - row_px
    return tops


def overflow(page: "Page", width_px: int, height_px: int, font: "Font") -> "list[str]":
    """What of `page` does not fit a display of that size, one sentence each; empty when all is shown."""
    return _lay_out(page, width_px, height_px, font)[2]


class PageView:
    """display: any that keeps the contract, of 48 x 48 pixels or more; holds one strip, a row of the display (800 bytes at 320 x 240)."""

    def __init__(self, display: "Display", font: "Font") -> None:
        self._display = display
        self._font = font
        self._strip = bytearray(display.width_px // 8 * row_heights_px(display.height_px)[0])

    def draw(self, page: "Page") -> None:
        """Show `page`. What does not fit is cut, with an ellipsis. Raises DeviceError as the display does."""
        height_px = self._display.height_px
        accent = _ACCENTS[page.tone]
        looks = {TITLE: (_PAPER, accent), BODY: (_INK, _PAPER), CHOICE: (accent, _PAPER), FOOTER: (_INK, _FOOTER_PAPER)}
        row_px, rows, _ = _lay_out(page, self._display.width_px, height_px, self._font)
        tops = row_tops(height_px, row_px)
        gap_top = tops[-2] + row_px
        if gap_top < tops[-1]:  # the rest of the height, which is no whole row
            self._draw_row(gap_top, tops[-1] - gap_top, "", _INK, _PAPER)
        for index, (kind, text) in enumerate(rows):
            ink, paper = looks[kind]
            self._draw_row(tops[index], row_px, text, ink, paper)

    def _draw_row(self, y_px: int, row_px: int, text: str, ink: int, paper: int) -> None:
        strip = self._strip
        for index in range(len(strip)):
            strip[index] = 0
        row_bytes = self._display.width_px // 8
        column = MARGIN_PX // 8
        offset = (row_px - HEIGHT_PX) // 2 * row_bytes
        for character in text:
            glyph_width_px, glyph = self._font.glyph(character)
            glyph_bytes = glyph_width_px // 8
            at = offset + column
            for index in range(0, len(glyph), glyph_bytes):
                strip[at] = glyph[index]
                if glyph_bytes == 2:
                    strip[at + 1] = glyph[index + 1]
                at += row_bytes
            column += glyph_bytes
        bits = memoryview(strip)[: row_bytes * row_px]
        self._display.draw_bitmap(0, y_px, self._display.width_px, row_px, bits, ink, paper)


def _lay_out(page: "Page", width_px: int, height_px: int, font: "Font") -> "tuple[int, list[tuple[int, str]], list[str]]":
    """The height of a row, kind and text of each row from the top, and what did not fit: with as much air as it fits with."""
    for row_px in row_heights_px(height_px):
        rows, problems = _set_rows(page, width_px, height_px // row_px, font)
        if not problems:
            break
    return row_px, rows, problems


def _set_rows(page: "Page", width_px: int, count: int, font: "Font") -> "tuple[list[tuple[int, str]], list[str]]":
    """`count` rows, and what of the page is not on them."""
    text_px = width_px - 2 * MARGIN_PX
    problems: list[str] = []

    def one_row(text: str, what: str) -> str:
        if font.width_px(text) > text_px:
            problems.append("%s: %s is %d px wide, %d fit: %s" % (page.name, what, font.width_px(text), text_px, text))
        return font.cut(text, text_px)

    rows = [(TITLE, one_row(page.title, "title"))]
    last = [(FOOTER, one_row(page.footer, "footer"))] if page.footer else []

    room = count - len(rows) - len(last)
    choices = [(CHOICE, one_row(key + " " + label, "choice " + key)) for key, label in page.choices]
    if len(choices) > room:
        problems.append("%s: %d choices, %d rows are free" % (page.name, len(choices), room))
        choices = choices[:room]

    room -= len(choices)
    body = []
    for line in page.lines:
        body.extend(_body_rows(line, text_px, font))
    if len(body) > room:
        problems.append("%s: body of %d rows, %d are free" % (page.name, len(body), room))
        body = body[:room]
        if body:
            body[-1] = font.with_ellipsis(body[-1], text_px)
    rows.extend([(BODY, text) for text in body])
    rows.extend([(BODY, "")] * (room - len(body)))
    return rows + choices + last, problems


def _body_rows(line: str, text_px: int, font: "Font") -> "list[str]":
    """A paragraph as rows. 'left\\tright' is one row with `right` at the right edge, where both fit."""
    if "\t" in line:
        left, right = line.split("\t", 1)
        gap = (text_px - font.width_px(left) - font.width_px(right)) // NARROW_PX
        if gap >= 1:
            return [left + " " * gap + right]
        line = left + " " + right
    return font.wrap(line, text_px)
