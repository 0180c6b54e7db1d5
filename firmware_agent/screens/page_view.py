"""Draws a page on any display that keeps the contract of hal/display.py.

The screen is divided into rows of equal height, each drawn whole, from one strip of pixels or as characters that the display has itself:
the title bar first, the body below it, the choices just above the footer, the footer last. A page of more rows than the display has is
shown through a window that scrolls over them; marks in the right margin say that there is more above or below.
"""

from firmware_agent.screens.font import HEIGHT_PX, NARROW_PX, doubled
from firmware_agent.screens.page import TONE_ALERT, TONE_GOOD, TONE_NORMAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.screens.font import Font
    from firmware_agent.screens.page import Page
    from hal.display import Display, TextDisplay

MARGIN_PX = 8
MORE_ABOVE = "▲"
MORE_BELOW = "▼"
_ROWS_FOR_A_FOOTER = 6  # a display with fewer has no room for a hint, unless the rest of the page leaves some
_ROW_HEIGHTS_PX = (HEIGHT_PX + 4, HEIGHT_PX + 2, HEIGHT_PX)

# What a row is.
TITLE = 0
BODY = 1
CHOICE = 2
FOOTER = 3
LARGE_TOP, LARGE_END = 4, 5  # the upper and the lower half of a line in double size

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


def lay_out(
    page: "Page", width_px: int, height_px: int, font: "Font", heights_px: "tuple[int, ...]" = ()
) -> "tuple[int, list[tuple[int, str]]]":
    """The height of a row, and kind and text of each row from the top: as many rows as the display has, with as much air between the lines
    as the page fits with; or more, where it does not fit. heights_px: that a row may have, where not `row_heights_px` says it: those of a
    display on which nothing can be large.
    """
    text_px = width_px - 2 * MARGIN_PX
    large = page.large if not heights_px and len(row_heights_px(height_px)) > 1 else 0

    def rows_of(kind: int, text: str) -> "list[tuple[int, str]]":
        return [(kind, row) for row in font.wrap(text, text_px)]

    above = rows_of(TITLE, page.title)
    for line in page.lines[:large]:
        for row in font.wrap(line, text_px // 2 - NARROW_PX):
            above.extend([(LARGE_TOP, row), (LARGE_END, row)])
    for line in page.lines[large:]:
        above.extend([(BODY, row) for row in _body_rows(line, text_px, font)])
    below = []
    for key, label in page.choices:
        below.extend(rows_of(CHOICE, key + " " + label))
    footer = rows_of(FOOTER, page.footer) if page.footer else []
    for row_px in heights_px or row_heights_px(height_px):
        count = height_px // row_px
        free = count - len(above) - len(below)
        if free >= len(footer):
            break
    if free < len(footer) and count < _ROWS_FOR_A_FOOTER:
        footer = []
    return row_px, above + [(BODY, "")] * (free - len(footer)) + below + footer


class PageView:
    """display: any that keeps the contract, of 48 x 48 pixels or more, or 6 columns and 3 rows of characters; holds one strip, a row of the
    display (800 bytes at 320 x 240), and the page that it shows with its text.
    """

    def __init__(self, display: "Display", font: "Font") -> None:
        self._display = display
        self._font = font
        self._characters: TextDisplay | None = display if hasattr(display, "draw_row") else None  # type: ignore[assignment]
        self._size_px = (0, 0)
        self._strip = bytearray()
        self._measure()  # now, while a microcontroller's memory is in one piece
        self._page: Page | None = None
        self._row_px = HEIGHT_PX
        self._rows: list[tuple[int, str]] = []
        self._accent = 0
        self._top = 0  # the row of the page that stands at the top of the display

    def draw(self, page: "Page") -> None:
        """Show `page` from its top, unless it stays where the one before it was. Raises DeviceError as the display does."""
        self._measure()
        heights_px = (HEIGHT_PX,) if self._characters is not None else ()
        self._row_px, self._rows = lay_out(page, self._size_px[0], self._size_px[1], self._font, heights_px)
        stays = page.stays and self._page is not None and self._page.name == page.name
        self._page = page
        self._accent = _ACCENTS[page.tone]
        self._top = max(0, min(self._top, len(self._rows) - self._size_px[1] // self._row_px)) if stays else 0
        self._draw_window()

    def scroll(self, step: int) -> None:
        """Go on to the rows that are not seen yet: 1 those below, -1 those above. One row stays, for the eye to go on from.
        Nothing where there are none. A page on a display that has another size now begins at its top again. Raises DeviceError as the
        display does.
        """
        if self._page is not None and self._measure():
            self.draw(self._page)
            return
        count = self._size_px[1] // self._row_px
        top = max(0, min(self._top + step * (count - 1), len(self._rows) - count))
        if top != self._top:
            self._top = top
            self._draw_window()

    def _measure(self) -> bool:
        """Take over the size of the display; whether it is another one."""
        characters = self._characters
        if characters is not None:
            size_px = (characters.columns * NARROW_PX, characters.rows * HEIGHT_PX)
        else:
            size_px = (self._display.width_px, self._display.height_px)
        if size_px == self._size_px:
            return False
        self._size_px = size_px
        if characters is None:
            self._strip = bytearray(size_px[0] // 8 * row_heights_px(size_px[1])[0])
        return True

    def _draw_window(self) -> None:
        accent = self._accent
        looks = {TITLE: (_PAPER, accent), CHOICE: (accent, _PAPER), FOOTER: (_INK, _FOOTER_PAPER)}
        row_px = self._row_px
        tops = row_tops(self._size_px[1], row_px)
        gap_top = tops[-2] + row_px
        if gap_top < tops[-1]:  # the rest of the height, which is no whole row
            self._draw_row(gap_top, tops[-1] - gap_top, "", "", _INK, _PAPER)
        last = len(tops) - 1
        for index, (kind, text) in enumerate(self._rows[self._top : self._top + len(tops)]):
            mark = ""
            if index == 0 and self._top > 0:
                mark = MORE_ABOVE
            elif index == last and self._top + len(tops) < len(self._rows):
                mark = MORE_BELOW
            ink, paper = looks.get(kind, (_INK, _PAPER))
            self._draw_row(tops[index], row_px, text, mark, ink, paper, kind)

    def _draw_row(self, y_px: int, row_px: int, text: str, mark: str, ink: int, paper: int, kind: int = BODY) -> None:
        if self._characters is not None:
            self._characters.draw_row(y_px // row_px, self._line(text, mark), ink, paper)
            return
        strip = self._strip
        for index in range(len(strip)):
            strip[index] = 0
        row_bytes = self._size_px[0] // 8
        offset = (row_px - HEIGHT_PX) // 2 * row_bytes
        if kind == LARGE_TOP:
            self._set_large(text, (row_px - HEIGHT_PX) * row_bytes, row_bytes, 0)
        elif kind == LARGE_END:
            self._set_large(text, 0, row_bytes, HEIGHT_PX // 2)
        else:
            self._set_text(text, offset + MARGIN_PX // 8, row_bytes)
        self._set_text(mark, offset + row_bytes - 1, row_bytes)
        bits = memoryview(strip)[: row_bytes * row_px]
        self._display.draw_bitmap(0, y_px, self._size_px[0], row_px, bits, ink, paper)

    def _line(self, text: str, mark: str) -> str:
        """The characters of a row, where the strip of pixels would have them."""
        text = " " * (MARGIN_PX // NARROW_PX) + text
        return text + " " * ((self._size_px[0] - MARGIN_PX - self._font.width_px(text)) // NARROW_PX) + mark

    def _set_text(self, text: str, column: int, row_bytes: int) -> None:
        """Glyphs into the strip, from the byte `column` of its first row of glyphs on."""
        strip = self._strip
        for character in text:
            glyph_width_px, glyph = self._font.glyph(character)
            glyph_bytes = glyph_width_px // 8
            at = column
            for index in range(0, len(glyph), glyph_bytes):
                strip[at] = glyph[index]
                if glyph_bytes == 2:
                    strip[at + 1] = glyph[index + 1]
                at += row_bytes
            column += glyph_bytes

    def _set_large(self, text: str, offset: int, row_bytes: int, first: int) -> None:
        """Half of the glyphs, from their row `first` on, each pixel as four, into the strip from `offset` on."""
        strip = self._strip
        column = offset + 2 * MARGIN_PX // 8
        for character in text:
            glyph_width_px, glyph = self._font.glyph(character)
            glyph_bytes = glyph_width_px // 8
            at = column
            for row in range(first, first + HEIGHT_PX // 2):
                for part in range(glyph_bytes):
                    high, low = doubled(glyph[row * glyph_bytes + part])
                    for place in (at + 2 * part, at + 2 * part + row_bytes):
                        strip[place] = high
                        strip[place + 1] = low
                at += 2 * row_bytes
            column += 2 * glyph_bytes


def _body_rows(line: str, text_px: int, font: "Font") -> "list[str]":
    """A paragraph as rows. 'left\\tright' is one row with `right` at the right edge; or `right` has rows of its own, so that no word breaks
    that would not.
    """
    if "\t" in line:
        left, right = line.split("\t", 1)
        gap = (text_px - font.width_px(left) - font.width_px(right)) // NARROW_PX
        if gap >= 1:
            return [left + " " * gap + right]
        ends = [" " * ((text_px - font.width_px(row)) // NARROW_PX) + row for row in font.wrap(right, text_px)]
        return font.wrap(left, text_px) + ends
    return font.wrap(line, text_px)
