"""Model of an ST7789V display controller with its 240x320 panel and backlight, on a four-line SPI bus.

Commands and read-back after the Sitronix ST7789V datasheet (chapters 9.1 system function commands and 8.4 serial interface). A register
of 8 bits comes at once, one of more after one dummy clock, so that it is shifted by one bit, and the memory after a dummy byte, in 18 bits
a pixel.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from PIL import Image, ImageChops

from host_sim.chips.faces import Fault, SpiChip

NOP, SWRESET, RDDID, RDDST, RDDSDR, SLPIN, SLPOUT = 0x00, 0x01, 0x04, 0x09, 0x0F, 0x10, 0x11
NORON, INVOFF, INVON, DISPOFF, DISPON = 0x13, 0x20, 0x21, 0x28, 0x29
CASET, RASET, RAMWR, RAMRD, MADCTL, COLMOD, RAMWRC = 0x2A, 0x2B, 0x2C, 0x2E, 0x36, 0x3A, 0x3C

COLUMNS = 240  # of the panel as the controller counts them, whichever way it is mounted
ROWS = 320
CHIP_ID = b"\x85\x85\x52"  # RDDID as delivered
AFTER_RESET_MS = 5  # in which the chip obeys nothing (9.1.2 SWRESET)
BETWEEN_SLEEPS_MS = 120  # between sleep in and sleep out (9.1.11)
READ_LIMIT_HZ = 6_666_666  # serial clock cycle when reading, at least 150 ns (7.4.3)
MY, MX, MV, BGR = 0x80, 0x40, 0x20, 0x08
REGISTERS_LOADED, FUNCTIONS_WORK = 0x80, 0x40  # RDDSDR: each is inverted by a sleep out that finds it so (9.1.10)
STUCK_BIT = 0x0010  # of each pixel in the memory, with that fault
BLACK = (0, 0, 0)
UNLIT = (24, 26, 28)  # what a person sees of a panel without light


class St7789Chip(SpiChip):
    """width_px, height_px: as a person sees the mounted panel, 240x320 or 320x240 (turned, so that MADCTL MX|MV is upright).

    clock_hz: the rate of the bus. It is an IPS panel: colours are right with the inversion switched on.
    """

    FAULTS = {
        "dead_controller": Fault("the controller does nothing; the backlight still works", "no_answer"),
        "weak_booster": Fault("the picture is faint: the booster does not reach its voltage", "self_diagnostic"),
        "stuck_memory": Fault("blue is wrong all over: a bit of the picture's memory is stuck", "self_diagnostic"),
        "stuck_rows": Fault("eight rows in the middle stay white", "lines"),
        "stuck_columns": Fault("eight columns in the middle stay black", "lines"),
        "dead_backlight": Fault("the backlight stays dark", "dark"),
        "wrong_colours": Fault("red and blue are exchanged", "wrong_colours"),
    }
    HABITS = {
        "no_self_diagnostic": "a compatible controller that knows no self-diagnosis: RDDSDR is always 0",
        "no_memory_read": "a compatible controller whose memory cannot be read: RAMRD gives 0",
    }

    def __init__(self, now_ms: Callable[[], int], width_px: int, height_px: int, clock_hz: Callable[[], int] = lambda: 0) -> None:
        super().__init__(now_ms)
        if sorted((width_px, height_px)) != [COLUMNS, ROWS]:
            raise ValueError(f"an ST7789 panel has {COLUMNS}x{ROWS} pixels, not {width_px}x{height_px}")
        self._turned = width_px > height_px
        self._clock_hz = clock_hz
        self.frames_changed = 0  # counts writes to the picture or what shows it, for whoever watches for a change
        self._lit = False
        self._in_reset = False
        self._is_data = False
        self.power_up()

    # The back face.

    def picture(self) -> Image.Image:
        """The display as a person sees it: RGB, as wide and high as it is mounted."""
        size = (ROWS, COLUMNS) if self._turned else (COLUMNS, ROWS)
        if self.has("dead_backlight") or not self._lit:
            return Image.new("RGB", size, UNLIT)
        if self.has("dead_controller") or self.asleep or not self.display_on:
            return Image.new("RGB", size, BLACK)
        picture = Image.frombuffer("RGB", (COLUMNS, ROWS), self._gram.tobytes(), "raw", "BGR;16")
        if not self.inverted:
            picture = ImageChops.invert(picture)
        if bool(self._madctl & BGR) != self.has("wrong_colours"):
            red, green, blue = picture.split()
            picture = Image.merge("RGB", (blue, green, red))
        if self.has("weak_booster"):
            picture = picture.point(lambda level: level // 4)
        if self.has("stuck_rows"):
            picture.paste((255, 255, 255), (0, ROWS // 2, COLUMNS, ROWS // 2 + 8))
        if self.has("stuck_columns"):
            picture.paste(BLACK, (COLUMNS // 2, 0, COLUMNS // 2 + 8, ROWS))
        return picture.transpose(Image.Transpose.ROTATE_90) if self._turned else picture

    @property
    def pixels(self) -> array[int]:
        """The memory of the controller: RGB565, row by row as the controller counts them."""
        return self._gram

    # The bus face.

    def power_up(self) -> None:
        self._gram = array("H", bytes(2 * COLUMNS * ROWS))
        self._slept_ms = self.now_ms() - BETWEEN_SLEEPS_MS
        self._reset_registers()

    def _reset_registers(self) -> None:
        self.asleep = True
        self.display_on = False
        self.inverted = False
        self._diagnostic = 0
        self.pixel_format = 0x66  # 18 bits
        self._madctl = 0
        self._columns = (0, COLUMNS - 1)
        self._rows = (0, ROWS - 1)
        self._command = NOP
        self._parameters = bytearray()
        self._pixel_bytes = bytearray()
        self._written_px = 0
        self._read_bytes = 0
        self._answer = b""
        self._ready_ms = self.now_ms() + AFTER_RESET_MS
        self.frames_changed += 1

    def data_command(self, level: int) -> None:
        """The data/command pin: 1 data, 0 command."""
        self._is_data = bool(level)

    def reset(self, level: int) -> None:
        """The reset pin, low is active."""
        self._in_reset = not level
        if self._in_reset:
            self._reset_registers()

    def backlight(self, level: int) -> None:
        if self._lit != bool(level):
            self._lit = bool(level)
            self.frames_changed += 1

    def select(self, low: bool) -> None:
        if not low:
            self._answer = b""

    def transfer(self, data: bytes) -> bytes:
        idle = b"\xff" * len(data)
        if self.has("dead_controller") or self._in_reset or self.now_ms() < self._ready_ms:
            return idle
        if not self._is_data:
            for command in data:
                self._obey(command)
            return idle
        if self._answer:
            answer, self._answer = (self._answer + idle)[: len(data)], self._answer[len(data) :]
            return idle if self._clock_hz() > READ_LIMIT_HZ else answer
        if self._command == RAMRD:
            answer = self._read_pixels(len(data))
            return idle if self._clock_hz() > READ_LIMIT_HZ else answer
        if self._command in (RAMWR, RAMWRC):
            self._write_pixels(data)
        else:
            self._parameters += data[: 4 - len(self._parameters)]
            self._set_register()
        return idle

    def _obey(self, command: int) -> None:
        self._command = command
        self._parameters.clear()
        self._answer = b""
        self.frames_changed += 1
        if command == SWRESET:
            self._reset_registers()
        elif command in (SLPIN, SLPOUT):
            if self.now_ms() - self._slept_ms >= BETWEEN_SLEEPS_MS:
                if self.asleep and command == SLPOUT and not self.has("no_self_diagnostic"):
                    self._diagnostic ^= REGISTERS_LOADED | (0 if self.has("weak_booster") else FUNCTIONS_WORK)
                self.asleep = command == SLPIN
                self._slept_ms = self.now_ms()
        elif command in (INVOFF, INVON):
            self.inverted = command == INVON
        elif command in (DISPOFF, DISPON):
            self.display_on = command == DISPON
        elif command == RDDID:
            self._answer = _after_dummy_clock(CHIP_ID)
        elif command == RDDST:
            self._answer = _after_dummy_clock(self._status().to_bytes(4, "big"))
        elif command == RDDSDR:
            self._answer = bytes([self._diagnostic])
        elif command in (RAMWR, RAMRD):
            self._pixel_bytes.clear()
            self._written_px = 0
            self._read_bytes = 0

    def _status(self) -> int:
        """RDDST: D31 booster, D30-26 MADCTL, D22-20 pixel format, D17 sleep out, D16 normal, D13 inversion, D10 display on."""
        status = (self._madctl & 0xF8) << 23 | (self.pixel_format & 7) << 20 | 1 << 16
        if not self.asleep:
            status |= 1 << 31 | 1 << 17
        if self.inverted:
            status |= 1 << 13
        if self.display_on:
            status |= 1 << 10
        return status

    def _set_register(self) -> None:
        parameters = self._parameters
        if self._command == MADCTL:
            self._madctl = parameters[0]
        elif self._command == COLMOD:
            self.pixel_format = parameters[0]
        elif len(parameters) == 4 and self._command in (CASET, RASET):
            window = (parameters[0] << 8 | parameters[1], parameters[2] << 8 | parameters[3])
            across = ROWS if self._madctl & MV else COLUMNS
            limit = across if self._command == CASET else COLUMNS + ROWS - across
            if not window[0] <= window[1] < limit:
                return  # out of range: the datasheet has it ignored
            if self._command == CASET:
                self._columns = window
            else:
                self._rows = window

    def _write_pixels(self, data: bytes) -> None:
        self._pixel_bytes += data
        if self.pixel_format & 7 == 5:
            whole = len(self._pixel_bytes) // 2 * 2
            values = array("H", bytes(self._pixel_bytes[:whole]))
            values.byteswap()
        else:  # 18 bits: six in the upper part of each of three bytes
            whole = len(self._pixel_bytes) // 3 * 3
            raw = self._pixel_bytes
            values = array("H", [(raw[at] & 0xF8) << 8 | (raw[at + 1] & 0xFC) << 3 | raw[at + 2] >> 3 for at in range(0, whole, 3)])
        del self._pixel_bytes[:whole]
        width = self._columns[1] - self._columns[0] + 1
        height = self._rows[1] - self._rows[0] + 1
        taken = 0
        while taken < len(values):
            x, y = self._written_px % width, self._written_px // width % height
            run = min(width - x, len(values) - taken)
            self._write_run(self._columns[0] + x, self._rows[0] + y, values[taken : taken + run])
            taken += run
            self._written_px += run
        self.frames_changed += 1

    def _read_pixels(self, length: int) -> bytes:
        """The window from the top, after a dummy byte: red, green and blue in the upper six bits of a byte each, whatever COLMOD says."""
        width = self._columns[1] - self._columns[0] + 1
        height = self._rows[1] - self._rows[0] + 1
        answer = bytearray()
        for at in range(self._read_bytes, self._read_bytes + length):
            pixel, part = divmod(at - 1, 3)
            start, _ = self._place(self._columns[0] + pixel % width, self._rows[0] + pixel // width % height)
            value = self._gram[start] if at and start is not None and not self.has("no_memory_read") else 0
            answer.append((value >> 8 & 0xF8, value >> 3 & 0xFC, value << 3 & 0xF8)[part])
        self._read_bytes += length
        return bytes(answer)

    def _place(self, x: int, y: int) -> tuple[int | None, int]:
        """Where MADCTL puts a pixel of the window in the memory, and the way from it to the next of its line. None: outside."""
        if self._madctl & MV:
            column, row, step = y, x, COLUMNS
        else:
            column, row, step = x, y, 1
        if self._madctl & MX:
            column = COLUMNS - 1 - column
            step = step if self._madctl & MV else -1
        if self._madctl & MY:
            row = ROWS - 1 - row
            step = -COLUMNS if self._madctl & MV else step
        if not (0 <= column < COLUMNS and 0 <= row < ROWS):
            return None, step  # a window set before MADCTL exchanged rows and columns
        return row * COLUMNS + column, step

    def _write_run(self, x: int, y: int, values: array[int]) -> None:
        """Pixels of one line of the window, to where they lie in the memory."""
        start, step = self._place(x, y)
        if start is None:
            return
        if self.has("stuck_memory"):
            values = array("H", [value | STUCK_BIT for value in values])
        room = len(range(start, len(self._gram) if step > 0 else -1, step))
        values = values[:room]
        stop = start + step * len(values)
        self._gram[start : stop if stop >= 0 else None : step] = values


def _after_dummy_clock(answer: bytes) -> bytes:
    return (int.from_bytes(answer, "big") << 7).to_bytes(len(answer) + 1, "big")
