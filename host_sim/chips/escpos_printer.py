"""Receipt printer that speaks ESC/POS: takes the byte stream as printers do, and keeps what is on the paper.

Source: Epson ESC/POS command reference. Text is kept as text and raster as bitmaps, in the order of printing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firmware_agent.screens.font import HEIGHT_PX, NARROW_PX, Font
from host_sim.chips.faces import Fault, UartChip

if TYPE_CHECKING:
    from PIL import Image

INPUT_BUFFER = 4096
CELL_WIDTH, CELL_HEIGHT = 12, 24  # font A
PEN_DOTS = 2  # how thick its strokes are
LINE_HEIGHT = 30  # dots fed by a line, as at reset: 1/6 inch on a 180 dpi mechanism
XOFF = b"\x13"
XON = b"\x11"
POWER_FAILS_AT_ROW = 8  # of the raster image being printed, with that fault; text is lost whole

# How many bytes follow the two of a command; those with a length written in them are not here.
PARAMETERS: dict[bytes, int] = {
    **{b"\x1b" + bytes([code]): 0 for code in b"@2<LSimv\x0c"},
    **{b"\x1b" + bytes([code]): 1 for code in b" !%-3=?EGJKMRTVadertu{fAI"},
    **{b"\x1b" + bytes([code]): 2 for code in b"$\\cB"},
    **{b"\x1b" + bytes([code]): 3 for code in b"p"},
    **{b"\x1b" + bytes([code]): 8 for code in b"W"},
    **{b"\x1d" + bytes([code]): 0 for code in b":c"},
    **{b"\x1d" + bytes([code]): 1 for code in b"!/BEHITabfhrwx"},
    **{b"\x1d" + bytes([code]): 2 for code in b"$LPW\\"},
    **{b"\x1d" + bytes([code]): 3 for code in b"^"},
    **{b"\x1c" + bytes([code]): 0 for code in b"&."},
    **{b"\x1c" + bytes([code]): 1 for code in b"!-CW?"},
    **{b"\x1c" + bytes([code]): 2 for code in b"Sp"},
    b"\x10\x04": 1,
    b"\x10\x05": 1,
    b"\x10\x14": 3,
}


@dataclass
class TextLine:
    text: str
    bold: bool = False
    width: int = 1  # times the normal size
    height: int = 1
    align: int = 0  # 0 left, 1 centre, 2 right


@dataclass
class Raster:
    """A bit image: bits row by row in whole bytes, most significant bit leftmost, 1 = black."""

    width_dots: int
    bits: bytearray = field(default_factory=bytearray)
    align: int = 0

    @property
    def height_dots(self) -> int:
        return len(self.bits) // (self.width_dots // 8)


@dataclass
class Feed:
    lines: int


Printed = TextLine | Raster | Feed


@dataclass
class Slip:
    """What lies between two cuts."""

    width_dots: int
    items: list[Printed] = field(default_factory=list)

    def text(self) -> str:
        """The text lines, each with its \\n."""
        return "".join(item.text + "\n" for item in self.items if isinstance(item, TextLine))

    def bitmaps(self) -> list[Raster]:
        """The raster images; strips of the same width with nothing between them are one image."""
        images: list[Raster] = []
        last: Printed | None = None
        for item in self.items:
            if isinstance(item, Raster):
                if isinstance(last, Raster) and (last.width_dots, last.align) == (item.width_dots, item.align):
                    images[-1].bits += item.bits
                else:
                    images.append(Raster(item.width_dots, bytearray(item.bits), item.align))
            last = item
        return images

    @property
    def height_dots(self) -> int:
        return sum(_height(item) for item in self.items)

    def picture(self) -> Image.Image:
        """The slip as a black-and-white picture, one pixel a dot."""
        from PIL import Image  # here, for a fleet prints without drawing

        paper = Image.new("1", (self.width_dots, max(1, self.height_dots)), 1)
        top = 0
        for item in self.items:
            picture = _drawn(item)
            if picture is not None:
                free = self.width_dots - picture.width
                left = 0 if isinstance(item, Feed) or free < 0 else (0, free // 2, free)[item.align]
                paper.paste(picture, (left, top))
            top += _height(item)
        return paper


def _height(item: Printed) -> int:
    if isinstance(item, Raster):
        return item.height_dots
    return item.lines * LINE_HEIGHT if isinstance(item, Feed) else max(LINE_HEIGHT, item.height * CELL_HEIGHT + 6)


def _drawn(item: Printed) -> Image.Image | None:
    from PIL import Image, ImageChops

    if isinstance(item, Feed) or (isinstance(item, TextLine) and not item.text):
        return None
    if isinstance(item, Raster):
        if not item.bits:
            return None
        return ImageChops.invert(Image.frombytes("1", (item.width_dots, item.height_dots), bytes(item.bits)).convert("L")).convert("1")
    picture = Image.new("1", (len(item.text) * CELL_WIDTH, CELL_HEIGHT), 1)
    cells = _cells(set(item.text))
    for column, character in enumerate(item.text):
        for strike in range(2 if item.bold else 1):  # the second one dot beside the first
            picture.paste(0, (column * CELL_WIDTH + strike, 0), cells[character])
    return picture.resize((picture.width * item.width, picture.height * item.height), Image.Resampling.NEAREST)


def _cells(characters: set[str]) -> dict[str, Image.Image]:
    """How they look in font A, 1 = ink: the narrow glyphs of the screens' font. Of cp437 it has no wide ones."""
    font = Font()
    cells = {character: _penned(font.glyph(character)[1]) for character in characters}
    font.close()
    return cells


def _penned(rows: bytes) -> Image.Image:
    """A glyph of 8x16 half as large again, with strokes as thick as a printer's: a pen of two dots is set at each pixel, and between two
    that touch at a corner only.
    """
    from PIL import Image

    inked = {(x, y) for y, row in enumerate(rows) for x in range(NARROW_PX) if row & 0x80 >> x}
    halves = {(2 * x, 2 * y) for x, y in inked}
    for x, y in inked:
        for side in (-1, 1):
            if (x + side, y + 1) in inked and not inked & {(x + side, y), (x, y + 1)}:
                halves.add((2 * x + side, 2 * y + 1))
    cell = Image.new("1", (CELL_WIDTH, CELL_HEIGHT))
    for x, y in halves:
        left, top = x * CELL_WIDTH // (2 * NARROW_PX), y * CELL_HEIGHT // (2 * HEIGHT_PX)
        cell.paste(1, (left, top, left + PEN_DOTS, top + PEN_DOTS))
    return cell


class EscposPrinterChip(UartChip):
    """width_dots: of its head; answers_status: it knows DLE EOT, as many cheap printers do not."""

    FAULTS = {
        "paper_out": Fault("the roll is used up: the printer goes off-line, its paper light is on", "paper_out"),
        "near_end": Fault("a coloured stripe shows on the paper: the roll is near its end", "paper_near_end"),
        "cover_open": Fault("the cover is open", "cover_open"),
        "overheated": Fault("the print head is too hot; prints again when it has cooled", "overheated"),
        "cutter_jam": Fault("the blade is stuck in the paper", "cutter_jam"),
        "head_broken": Fault("an error that no one can mend on the spot", "unrecoverable"),
        "head_cold": Fault("the paper comes out white, and the printer notices nothing", "not_readable"),
        "silent": Fault("prints, and answers no query: its sending line is broken", "no_answer"),
        "garbled_line": Fault("its answers arrive as noise: another baud rate, or a bad cable", "garbled_answer"),
        "busy_for_ever": Fault("holds the line with XOFF, stays off-line and gives no reason", "offline"),
        "partial_status": Fault("answers DLE EOT 1 and 4 only", "partial_status"),
        "power_lost_while_printing": Fault("the plug comes out in the middle of the next print; put back, all is forgotten", "no_answer"),
    }
    HABITS = {
        "automatic_status": "sends its four status bytes after each line, though nobody asked (GS a set by its switches)",
        "flow_control": "sends XOFF before and XON after each thing it prints",
    }

    def __init__(self, now_ms: Callable[[], int], width_dots: int, answers_status: bool = True) -> None:
        super().__init__(now_ms)
        self._answers_status = answers_status
        self.width_dots = width_dots
        self.columns = width_dots // CELL_WIDTH
        self.cut_slips: list[Slip] = []
        self._slip = Slip(width_dots)
        self._dead = False
        self.lost_bytes = 0  # that came when the input buffer was full
        self.power_up()

    def power_up(self) -> None:
        self._input = bytearray()
        self._real_time = b""  # the start of a real-time command
        self._raster: Raster | None = None
        self._raster_left = 0  # bytes of the raster image still to come
        self._skip_left = 0  # bytes still to come of a command that is consumed and not obeyed
        self._holding = False
        self._reset()

    def _reset(self) -> None:
        self._line = ""
        self._bold = False
        self._width = self._height = 1
        self._align = 0
        self._automatic = 0  # GS a

    # Back face.

    @property
    def paper(self) -> list[Printed]:
        """All that was printed since the printer was made, in order, cut or not."""
        return [item for slip in [*self.cut_slips, self._slip] for item in slip.items]

    def slip(self) -> Slip:
        """What was printed since the last cut."""
        return self._slip

    def last_slip(self) -> Slip:
        """What a customer would take: what hangs out, or else what was cut last."""
        return self._slip if self._slip.items or not self.cut_slips else self.cut_slips[-1]

    def picture(self) -> Image.Image:
        return self.last_slip().picture()

    def tear_off(self) -> Slip:
        """A hand tears the paper off: as a cut."""
        self._cut()
        return self.cut_slips[-1]

    def load_paper(self) -> None:
        """A new roll. What waited in the buffer is printed."""
        self.fault("near_end", False)
        self.fault("paper_out", False)

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        if name == "power_lost_while_printing":
            self._dead = False
            self.power_up()
        if self._holding and not self.has("busy_for_ever"):
            self._holding = False
            self._say(XON)
        if self._automatic:
            self._send_automatic_status()
        self._work()

    # Bus face.

    def receive(self, data: bytes) -> None:
        if self._dead:
            return
        for byte in data:
            self._watch_real_time(byte)
        self._input += data
        self._work()  # faster than any line
        self.lost_bytes += max(0, len(self._input) - INPUT_BUFFER)
        del self._input[INPUT_BUFFER:]
        if self.has("busy_for_ever") and not self._holding:
            self._holding = True
            self._say(XOFF)

    def _watch_real_time(self, byte: int) -> None:
        """DLE EOT n is obeyed on arrival, off-line too, and even where it is data of another command."""
        seen = self._real_time + bytes([byte])
        if len(seen) == 3 and 1 <= byte <= 4:
            self._say_status(byte)
        prefix = seen in (b"\x10", b"\x10\x04")
        self._real_time = seen if prefix else (b"\x10" if byte == 0x10 else b"")

    def _say_status(self, number: int) -> None:
        if not self._answers_status or self.has("silent") or (self.has("partial_status") and number not in (1, 4)):
            return
        self._say(bytes([0x12 | self._status_bits(number)]))

    def _status_bits(self, number: int) -> int:
        errors = self._errors()
        if number == 1:
            waits = self.has("busy_for_ever")
            return (0x00 if self._online() else 0x08) | (0x20 if waits else 0)
        if number == 2:
            return (0x04 if self.has("cover_open") else 0) | (0x20 if self.has("paper_out") else 0) | (0x40 if errors else 0)
        if number == 3:
            return errors
        near = self.has("near_end") or self.has("paper_out")
        return (0x0C if near else 0) | (0x60 if self.has("paper_out") else 0)

    def _errors(self) -> int:
        """The bits of DLE EOT 3."""
        return (0x08 if self.has("cutter_jam") else 0) | (0x20 if self.has("head_broken") else 0) | (0x40 if self.has("overheated") else 0)

    def _online(self) -> bool:
        stops = self.has("paper_out") or self.has("cover_open") or self.has("busy_for_ever")
        return not stops and not self._errors()

    def _send_automatic_status(self) -> None:
        """GS a: four bytes, 0xx1xx00 and three times 0xx0xxxx."""
        first = 0x10 | (0 if self._online() else 0x08) | (0x20 if self.has("cover_open") else 0)
        paper = (0x03 if self.has("near_end") or self.has("paper_out") else 0) | (0x0C if self.has("paper_out") else 0)
        if not self.has("silent"):
            self._say(bytes([first, self._errors() & 0x6C, paper, 0x00]))

    def _say(self, data: bytes) -> None:
        if self._dead:
            return
        if self.has("garbled_line"):
            data = bytes(0x81 | (byte * 3 & 0x7E) for byte in data)
        self.send(data)

    # The interpreter.

    def _work(self) -> None:
        """Print what is in the buffer, as far as it is whole, while nothing stops the printer."""
        while self._input and self._online() and not self._dead:
            if self._skip_left:
                used = self._skip(self._skip_left)
            elif self._raster is not None:
                used = self._raster_rows()
            else:
                used = self._command()
            if not used:
                break
            del self._input[:used]
        if self._dead:
            self._input.clear()

    def _command(self) -> int:
        """Obey what the buffer begins with; gives how many bytes that took, 0 for: the rest has not come yet."""
        data = self._input
        first = data[0]
        if first not in (0x10, 0x1B, 0x1C, 0x1D):
            if first == 0x0A:
                self._end_line()
            elif first >= 0x20:
                self._character(first)
            return 1
        if len(data) < 2:
            return 0
        name = bytes(data[:2])
        special = self._special(name)
        if special is not None:
            return special
        count = PARAMETERS.get(name)
        if count is None:
            return 2  # unknown: its two bytes are dropped, and what follows is taken for text
        if len(data) < 2 + count:
            return 0
        self._simple(name, data[2] if count else 0)
        return 2 + count

    def _special(self, name: bytes) -> int | None:
        """The commands whose length is written in them; None when it is no such command."""
        data = self._input
        have = len(data)
        if name == b"\x1dv":
            if have < 8:
                return 0
            return self._start_raster()
        if name == b"\x1dV":
            if have < 3:
                return 0
            length = 4 if data[2] >= 65 else 3
            if have < length:
                return 0
            if length == 4:
                self._end_line(only_if_begun=True)
            self._cut()
            return length
        if name == b"\x1b*":
            if have < 5:
                return 0
            columns = data[3] | data[4] << 8
            return self._skip(5 + columns * (3 if data[2] >= 32 else 1))
        if name in (b"\x1d(", b"\x1c(", b"\x1b("):
            return 0 if have < 5 else self._skip(5 + (data[3] | data[4] << 8))
        if name == b"\x1d8":
            return 0 if have < 7 else self._skip(7 + int.from_bytes(data[3:7], "little"))
        if name == b"\x1d*":
            return 0 if have < 4 else self._skip(4 + data[2] * data[3] * 8)
        if name == b"\x1dk":
            if have < 4:
                return 0
            if data[2] >= 65:
                return self._skip(4 + data[3])
            end = data.find(0, 3)
            return 0 if end < 0 else end + 1
        if name == b"\x1bD":
            end = data.find(0, 2)
            return 0 if end < 0 else end + 1
        return None

    def _skip(self, length: int) -> int:
        """Consume a command unobeyed, as much of it as has come."""
        used = min(length, len(self._input))
        self._skip_left = length - used
        return used

    def _simple(self, name: bytes, value: int) -> None:
        if name == b"\x1b@":
            self._reset()
        elif name == b"\x1bd":
            self._end_line(only_if_begun=True)
            self._print(Feed(value))
        elif name in (b"\x1bi", b"\x1bm"):
            self._cut()
        elif name == b"\x1ba":
            self._align = value % 48 % 3
        elif name in (b"\x1bE", b"\x1bG"):
            self._bold = bool(value & 1)
        elif name == b"\x1b!":
            self._bold = bool(value & 0x08)
            self._height = 2 if value & 0x10 else 1
            self._width = 2 if value & 0x20 else 1
        elif name == b"\x1d!":
            self._width, self._height = (value >> 4 & 7) + 1, (value & 7) + 1
        elif name == b"\x1da":
            self._automatic = value
            if value:
                self._send_automatic_status()
        elif name == b"\x1dr" and not self.has("silent"):
            self._say(bytes([self._status_bits(4) & 0x6C if value in (1, 49) else 0x00]))

    def _character(self, code: int) -> None:
        """A line that is full ends when there is more for it, so that a line feed then feeds one line."""
        if (len(self._line) + 1) * self._width > self.columns:
            self._end_line()
        self._line += bytes([code]).decode("cp437")

    def _end_line(self, only_if_begun: bool = False) -> None:
        if only_if_begun and not self._line:
            return
        line, self._line = "" if self.has("head_cold") else self._line, ""
        self._print(TextLine(line, self._bold, self._width, self._height, self._align))

    def _start_raster(self) -> int:
        data = self._input
        row_bytes = data[4] | data[5] << 8
        rows = data[6] | data[7] << 8
        if data[2] not in (0x30, 0x00) or row_bytes == 0 or rows == 0:
            return 8
        self._end_line(only_if_begun=True)
        self._raster = Raster(row_bytes * 8, align=self._align)
        self._raster_left = row_bytes * rows
        self._slip.items.append(self._raster)
        return 8

    def _raster_rows(self) -> int:
        """Print each row as soon as it is there: what a crash or a power cut leaves is half an image."""
        image = self._raster
        assert image is not None
        row_bytes = image.width_dots // 8
        used = 0
        while self._raster_left and len(self._input) - used >= row_bytes and not self._dead:
            image.bits += bytes(row_bytes) if self.has("head_cold") else self._input[used : used + row_bytes]
            used += row_bytes
            self._raster_left -= row_bytes
            self._dead = self.has("power_lost_while_printing") and image.height_dots >= POWER_FAILS_AT_ROW
        if not self._raster_left:
            self._raster = None
            self._notify()
        return used

    def _print(self, item: Printed) -> None:
        self._dead = self.has("power_lost_while_printing")
        if not self._dead:
            self._slip.items.append(item)
            self._notify()

    def _notify(self) -> None:
        if self.has("automatic_status"):
            self._send_automatic_status()
        if self.has("flow_control"):
            self._say(XOFF)
            self._say(XON)

    def _cut(self) -> None:
        self._end_line(only_if_begun=True)
        self.cut_slips.append(self._slip)
        self._slip = Slip(self.width_dots)
