"""Reads text back from pixels, by exact comparison with the terminal's own font: what tests and demonstrations see is what a person sees.

Not an OCR: it reads what page_view.py and slip.py draw, where they draw it. A cell that is no glyph reads as U+FFFD.
"""

from __future__ import annotations

import functools

from PIL import Image, ImageChops

from firmware_agent.screens.font import HEIGHT_PX, Font
from firmware_agent.screens.page_view import MARGIN_PX, MORE_ABOVE, MORE_BELOW, row_heights_px, row_tops
from firmware_agent.screens.slip import LINE_DOTS, TITLE_SCALE

UNREADABLE = "\N{REPLACEMENT CHARACTER}"

Glyphs = dict[bytes, str]  # the rows of a glyph -> its character; narrow and wide glyphs differ in length


def text_of_picture(image: Image.Image, font: Font) -> list[str]:
    """The lines on a display's picture, from the top, without outer blanks, empty rows and the marks in the right margin.

    `image`: the display pixel by pixel, not scaled. Each row may have an ink and a paper of its own; a row with more than two colours is
    unreadable as a whole.
    """
    picture = image.convert("RGB")
    return list(_read(picture.tobytes(), picture.size, font.path))


@functools.lru_cache(maxsize=16)  # who waits for a text looks many times at the same picture
def _read(pixels: bytes, size: tuple[int, int], font_path: str) -> tuple[str, ...]:
    picture = Image.frombytes("RGB", size, pixels)
    glyphs = _glyphs(font_path)
    readings = [_rows(picture, row_px, glyphs) for row_px in row_heights_px(picture.height)]
    lines = min(readings, key=lambda lines: "".join(lines).count(UNREADABLE))
    return tuple(text for line in lines if (text := line.rstrip(MORE_ABOVE + MORE_BELOW).strip()))


def more_of_picture(image: Image.Image, font: Font) -> tuple[bool, bool]:
    """Whether a display's picture says that the page goes on above and below what is seen."""
    left = image.width - MARGIN_PX
    top, bottom = (image.crop((left, y_px, image.width, y_px + HEIGHT_PX)).convert("RGB") for y_px in (0, image.height - HEIGHT_PX))
    glyphs = _glyphs(font.path)
    return _rows(top, HEIGHT_PX, glyphs) == [MORE_ABOVE], _rows(bottom, HEIGHT_PX, glyphs) == [MORE_BELOW]


def joined(windows: list[list[str]]) -> list[str]:
    """The lines of a page that was read through a window, each time scrolled down by all lines but one, and at last to its end."""
    lines: list[str] = []
    for index, window in enumerate(windows):
        most = len(window) if index == len(windows) - 1 else 1
        lines += window[next((count for count in range(most, 0, -1) if lines[-count:] == window[:count]), 0) :]
    return lines


def text_of_raster(width_dots: int, height_dots: int, bits: bytes, font: Font) -> list[str]:
    """The lines on a printed raster, from the top, without outer blanks and empty lines.

    `bits`: as in hal/display.py, 1 = black; one line of the slip or many, titles of double size among them.
    Raises ValueError where `bits` has not the length that the size says.
    """
    row_bytes = (width_dots + 7) // 8
    if len(bits) != row_bytes * height_dots:
        raise ValueError(f"{len(bits)} bytes are not {width_dots} x {height_dots} dots")
    glyphs = _glyphs(font.path)
    margin = (LINE_DOTS - HEIGHT_PX) // 2
    lines = []
    top = 0
    while top + LINE_DOTS <= height_dots:
        height = LINE_DOTS
        line = _line(bits[(top + margin) * row_bytes :], row_bytes, glyphs)
        if UNREADABLE in line and top + LINE_DOTS * TITLE_SCALE <= height_dots:
            title = _halved(bits[(top + margin * TITLE_SCALE) * row_bytes :], row_bytes)
            if title is not None:
                line = _line(title, row_bytes // 2, glyphs)
                height = LINE_DOTS * TITLE_SCALE
        lines.append(line)
        top += height
    return [line.strip() for line in lines if line.strip()]


@functools.lru_cache(maxsize=4)
def _glyphs(path: str) -> Glyphs:
    font = Font(path)
    glyphs = {font.glyph(character)[1]: character for character in font.characters()}
    font.close()
    return glyphs


def _rows(picture: Image.Image, row_px: int, glyphs: Glyphs) -> list[str]:
    """Each row of the picture, read as if rows were `row_px` high; a line of double size takes two of them."""
    lines: list[str] = []
    margin = (row_px - HEIGHT_PX) // 2
    row_bytes = (picture.width + 7) // 8
    above = b""  # the row before, where it is no line by itself
    for top in row_tops(picture.height, row_px):
        bits = _ink(picture.crop((0, top, picture.width, top + row_px)))
        if bits is None:
            lines.append(UNREADABLE * (picture.width // 8))
            continue
        line = _line(bits[margin * row_bytes : (margin + HEIGHT_PX) * row_bytes], row_bytes, glyphs)
        half = HEIGHT_PX * row_bytes
        large = _halved(above[-half:] + bits[:half], row_bytes) if above and UNREADABLE in line else None
        if large is not None:
            lines[-1] = _line(large, row_bytes // 2, glyphs)
            above = b""
            continue
        lines.append(line)
        above = bits if UNREADABLE in line else b""
    return lines


def _ink(row: Image.Image) -> bytes | None:
    """What is drawn in a row, a bit for each pixel; None where it has more than two colours."""
    colours = row.getcolors(2)  # None for more than two
    if colours is None:
        return None
    if len(colours) == 1:
        return bytes((row.width + 7) // 8 * row.height)
    colour = max(colours)[1]  # the more frequent one
    assert isinstance(colour, tuple)
    red, green, blue = ImageChops.difference(row, Image.new("RGB", row.size, colour)).split()
    drawn = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    # Any difference at all counts as ink.
    return ImageChops.add(drawn, drawn, 1 / 255).convert("1", dither=Image.Dither.NONE).tobytes()


def _line(bits: bytes, row_bytes: int, glyphs: Glyphs) -> str:
    """The text of one line of glyphs, each of which begins at a byte; `bits` begins with its topmost row."""
    end = HEIGHT_PX * row_bytes
    if not bits[:end].strip(b"\0"):
        return " " * row_bytes
    text = ""
    column = 0
    cells = [bits[start:end:row_bytes] for start in range(row_bytes)]  # the columns of bytes
    while column < row_bytes:
        character = None
        if column + 1 < row_bytes:
            wide = bytearray(2 * HEIGHT_PX)
            wide[0::2], wide[1::2] = cells[column], cells[column + 1]
            character = glyphs.get(bytes(wide))
        column += 1 if character is None else 2
        text += character or glyphs.get(cells[column - 1], UNREADABLE)
    return text


def _halved(bits: bytes, row_bytes: int) -> bytes | None:
    """A title of double size, as the line of half its size that it was drawn from; None where it is no such line."""
    halved = bytearray()
    for start in range(0, 2 * HEIGHT_PX * row_bytes, 2 * row_bytes):
        row = bits[start : start + row_bytes]
        if row != bits[start + row_bytes : start + 2 * row_bytes]:
            return None
        for column in range(0, row_bytes - 1, 2):
            pairs = f"{row[column] << 8 | row[column + 1]:016b}"
            if pairs[0::2] != pairs[1::2]:
                return None
            halved.append(int(pairs[0::2], 2))
    return bytes(halved)
