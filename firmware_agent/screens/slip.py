"""Prints lines of text on paper, Chinese too, on any receipt printer.

A line of plain ASCII goes to the printer as text, in its own font; any other line is drawn from the bitmap font and goes as a raster.
"""

from firmware_agent.screens.font import HEIGHT_PX, NARROW_PX, doubled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.screens.font import Font
    from firmware_agent.screens.qr import QrCode
    from hal.printer import Printer

LINE_DOTS = 24  # of a raster line: the height of font A of ESC/POS printers, so that both kinds of line stand alike
TITLE_SCALE = 2
CODE_ROWS = 6  # of modules in one strip of a code
_TEAR_OFF_LINES = 4  # from the print head to the tear bar, on common 58 and 80 mm printers


class SlipPrinter:
    """printer: any that keeps the contract of hal/printer.py; holds one strip of a title's height (2.3 KB at 384 dots)."""

    def __init__(self, printer: "Printer", font: "Font") -> None:
        self._printer = printer
        self._font = font
        if printer.level >= 2:
            self._row_bytes = (printer.width_dots + 7) // 8
            self._strip = bytearray(self._row_bytes * LINE_DOTS * TITLE_SCALE)

    async def print_lines(self, lines: "list[str] | tuple[str, ...]", title: str = "", ends: bool = True) -> int:
        """Print `title` in double size, where the printer can, and the lines, each wrapped to the paper; then, where the slip ends with
        them, feed and, at level 3, cut.

        Gives the number of lines, the title included, that the printer could not print as they are: a printer of level 1 gets a line with
        Chinese with '?' for each character that is not ASCII. Raises DeviceError as the printer does; the slip then ends where it was.
        """
        printer = self._printer
        unprintable = 0
        if title:
            unprintable += await self._print_line(title, TITLE_SCALE)
        for line in lines:
            unprintable += await self._print_line(line, 1)
        if ends:
            await printer.feed(_TEAR_OFF_LINES)
            if printer.level >= 3:
                await printer.cut()
        return unprintable

    async def print_code(self, code: "QrCode") -> bool:
        """Print a QR code as large as the paper is wide; False, and nothing printed, where the printer cannot or the code does not fit.
        Raises DeviceError as the printer does.
        """
        printer = self._printer
        dots = code.dots_a_module(printer.width_dots) if printer.level >= 2 else 0
        if not dots:
            return False
        for height_dots, bits in code.strips(self._row_bytes * 8, dots, CODE_ROWS):
            await printer.print_bitmap(self._row_bytes * 8, height_dots, bits)
        return True

    async def _print_line(self, line: str, scale: int) -> int:
        """Gives 1 for a line that could not be printed as it is, else 0."""
        printer = self._printer
        line = line.replace("\t", "  ").rstrip()  # which on a page goes to both sides
        plain = _is_ascii(line)
        if printer.level >= 2 and (scale > 1 or not plain):
            width_dots = self._row_bytes * 8 // scale
            for row in self._font.wrap(line, width_dots - width_dots % NARROW_PX):
                self._draw(row, scale)
                height_dots = LINE_DOTS * scale
                bits = memoryview(self._strip)[: self._row_bytes * height_dots]
                await printer.print_bitmap(self._row_bytes * 8, height_dots, bits)
            return 0
        text = line if plain else "".join([character if _is_ascii(character) else "?" for character in line])
        for row in self._font.wrap(text, printer.columns * NARROW_PX):
            await printer.print_text(row + "\n")
        return 0 if plain else 1

    def _draw(self, text: str, scale: int) -> None:
        """One line into the strip, `scale` dots for each pixel of the font."""
        strip = self._strip
        row_bytes = self._row_bytes
        for index in range(len(strip)):
            strip[index] = 0
        top = (LINE_DOTS - HEIGHT_PX) // 2 * scale
        column = 0
        for character in text:
            width_px, glyph = self._font.glyph(character)
            glyph_bytes = width_px // 8
            for index in range(len(glyph)):
                at = (top + index // glyph_bytes * scale) * row_bytes + column + index % glyph_bytes * scale
                if scale == 1:
                    strip[at] = glyph[index]
                    continue
                high, low = doubled(glyph[index])
                for _ in range(scale):
                    strip[at] = high
                    strip[at + 1] = low
                    at += row_bytes
            column += glyph_bytes * scale


def _is_ascii(text: str) -> bool:
    return all(" " <= character <= "~" or character in "\n" for character in text)
