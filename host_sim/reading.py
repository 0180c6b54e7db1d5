"""Reads text back from pixels, by exact comparison with the terminal's own font: what tests and demonstrations see is what a person sees.

Not an OCR: it reads what page_view.py and slip.py draw, where they draw it. A cell that is no glyph reads as U+FFFD.
"""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageChops

from firmware_agent.screens.font import HEIGHT_PX, NARROW_PX, WIDE_PX, Font
from firmware_agent.screens.page_view import row_heights_px, row_tops
from firmware_agent.screens.slip import LINE_DOTS, TITLE_SCALE

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
INK = 255


def text_of_picture(image: Image.Image, font: Font) -> list[str]:
    """The lines on a display's picture, from the top, without outer blanks and empty rows.

    `image`: the display pixel by pixel, not scaled. Each row may have an ink and a paper of its own; a row with more than two colours is
    unreadable as a whole.
    """
    picture = image.convert("RGB")
    readings = [_rows(picture, row_px, font) for row_px in row_heights_px(picture.height)]
    return min(readings, key=lambda lines: sum(line.count(UNREADABLE) for line in lines))


def _rows(picture: Image.Image, row_px: int, font: Font) -> list[str]:
    """The lines of a page that was drawn with rows of that height."""
    lines = []
    margin = (row_px - HEIGHT_PX) // 2
    for top in row_tops(picture.height, row_px):
        row = picture.crop((0, top, picture.width, top + row_px))
        colours = row.getcolors(2)
        if colours is None:
            lines.append(UNREADABLE * (picture.width // NARROW_PX))
            continue
        paper = Image.new("RGB", row.size, max(colours)[1])
        lines.append(_line(_inked(ImageChops.difference(row, paper)), margin, font))
    return [line.strip() for line in lines if line.strip()]


def text_of_raster(width_dots: int, height_dots: int, bits: bytes, font: Font) -> list[str]:
    """The lines on a printed raster, from the top, without outer blanks and empty lines.

    `bits`: as in hal/display.py, 1 = black; one line of the slip or many, titles of double size among them.
    Raises ValueError where `bits` has not the length that the size says.
    """
    if len(bits) != (width_dots + 7) // 8 * height_dots:
        raise ValueError(f"{len(bits)} bytes are not {width_dots} x {height_dots} dots")
    raster = Image.frombytes("1", (width_dots, height_dots), bytes(bits))
    margin = (LINE_DOTS - HEIGHT_PX) // 2
    lines = []
    top = 0
    while top + LINE_DOTS <= height_dots:
        height = LINE_DOTS
        line = _line(raster.crop((0, top, width_dots, top + LINE_DOTS)), margin, font)
        if UNREADABLE in line and top + LINE_DOTS * TITLE_SCALE <= height_dots:
            title = _line(_shrunk(raster.crop((0, top, width_dots, top + LINE_DOTS * TITLE_SCALE))), margin, font)
            if UNREADABLE not in title:
                line = title
                height = LINE_DOTS * TITLE_SCALE
        lines.append(line)
        top += height
    return [line.strip() for line in lines if line.strip()]


def _inked(difference: Image.Image) -> Image.Image:
    """One bit a pixel: set where a picture differs from its paper."""
    red, green, blue = difference.split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return most.point(lambda value: INK if value else 0).convert("1", dither=Image.Dither.NONE)


def _shrunk(title: Image.Image) -> Image.Image:
    """A line of double size at normal size; where the dots of one pixel differ it is no such line, and all of it is ink."""
    small = title.resize((title.width // TITLE_SCALE, title.height // TITLE_SCALE), Image.Resampling.NEAREST)
    again = small.resize((small.width * TITLE_SCALE, small.height * TITLE_SCALE), Image.Resampling.NEAREST)
    if again.tobytes() != title.crop((0, 0, again.width, again.height)).tobytes():
        small.paste(INK, (0, 0, *small.size))
    return small


@lru_cache(maxsize=4)
def _glyphs(font: Font) -> dict[bytes, str]:
    """Rows of a glyph -> its character. Narrow and wide glyphs differ in length."""
    return {font.glyph(character)[1]: character for character in font.characters()}


def _line(picture: Image.Image, margin: int, font: Font) -> str:
    """The text of one line: one bit a pixel, `margin` pixels above the glyphs, which begin at multiples of 8 pixels."""
    glyphs = _glyphs(font)
    row_bytes = (picture.width + 7) // 8
    bits = picture.tobytes()[margin * row_bytes : (margin + HEIGHT_PX) * row_bytes]
    text = []
    column = 0
    while (column + 1) * NARROW_PX <= picture.width:
        for glyph_bytes in (WIDE_PX // 8, NARROW_PX // 8):
            cell = b"".join(bits[start + column : start + column + glyph_bytes] for start in range(0, len(bits), row_bytes))
            character = glyphs.get(cell)
            if character is not None:
                break
        text.append(character or UNREADABLE)
        column += glyph_bytes
    return "".join(text)
