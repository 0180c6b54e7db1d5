"""Driver: ST7789V display controller with a 240x320 panel on four-line SPI (Sitronix ST7789V datasheet)."""

from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.display import CONTRACT, check_bitmap
from hal.errors import CH_INTERNAL, E_FAILURE, E_NOHARDWARE, SUCCESS, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

# Commands: datasheet chapter 9.1.
_SWRESET = 0x01
_RDDID = 0x04
_RDDST = 0x09
_RDDSDR = 0x0F
_SLPIN = 0x10
_SLPOUT = 0x11
_NORON = 0x13
_INVON = 0x21
_DISPOFF = 0x28
_DISPON = 0x29
_CASET = 0x2A
_RASET = 0x2B
_RAMWR = 0x2C
_RAMRD = 0x2E
_MADCTL = 0x36
_COLMOD = 0x3A

_RGB565 = 0x55  # COLMOD: 65K colours, 16 bits a pixel
_RGB666 = 0x66  # 18 bits, in the upper six of three bytes: as the memory is read, whatever COLMOD says (9.1.23)
_PORTRAIT = 0x00  # MADCTL
_LANDSCAPE = 0x60  # MADCTL: MX | MV, the panel turned by 90 degrees
_RESET_PULSE_MS = 1  # at least 10 us (7.4.5)
_AFTER_RESET_MS = 120  # before sleep out (9.1.2, 9.1.12)
_AFTER_SLEEP_IN_MS = 120  # before sleep out (9.1.11)
_AFTER_SLEEP_OUT_MS = 120  # before the next sleep command; 5 before any other (9.1.12)
# RDDST: booster, MADCTL, pixel format, sleep out, normal mode, inversion, display on (9.1.3).
_STATUS_MASK = 0xF8732400
_STATUS_READY = 0x80532400  # without MADCTL, which is added at bits 30..26

_READ_HZ = 6000000  # a clock cycle of at least 150 ns when reading (7.4.3)
_DIAGNOSTIC_BITS = 0xC0  # RDDSDR: registers loaded, functions work; each is inverted by a sleep out that finds it so (9.1.10)
_IDENTITY_READINGS = 8  # that must agree
_TEST_PIXELS = b"\xa8\x54\xf8\x50\xa8\x00"  # two, written as they are and then inverted
_DRAWN_BITS = b"\xf8\xfc\xf8\xf8\xfc\xf8"  # of them, as many as 16 bits a pixel draw
_STRIP_ROWS = 4  # of the whole width, that go over the bus at once: 2,560 bytes


class St7789(Device):
    """width_px, height_px: 320x240 or 240x320, as the panel is mounted.

    spi: a bus in mode 0; chip_select, data_command, reset, backlight: output pins. baudrate_hz: the rate of the bus, to which it
    returns after it was slowed down for a reading; without it the controller is read at whatever rate the bus has. reads_back: the board
    wires MISO and its controller answers, so that silence is a failure.
    """

    kind = CONTRACT.kind
    part = "st7789"
    level = 2

    def __init__(
        self,
        spi: "Any",
        chip_select: "Any",
        data_command: "Any",
        reset: "Any",
        backlight: "Any",
        width_px: int,
        height_px: int,
        clock: "Clock",
        baudrate_hz: "int | None" = None,
        reads_back: bool = False,
    ) -> None:
        super().__init__()
        self.width_px = width_px
        self.height_px = height_px
        self._spi = spi
        self._chip_select = chip_select
        self._data_command = data_command
        self._reset = reset
        self._backlight = backlight
        self._clock = clock
        self._baudrate_hz = baudrate_hz
        self._orientation = _LANDSCAPE if width_px > height_px else _PORTRAIT
        self._strip = bytearray(2 * width_px * _STRIP_ROWS)
        self._window = bytearray(4)
        self._colours = (-1, -1)  # those that the table was made for
        self._table: list[bytes] = []  # four pixels of the picture -> their eight bytes on the bus
        self._has_answered = reads_back  # or ever did: many modules do not wire MISO
        self._diagnosed = 0  # the bits of RDDSDR that the last sleep out inverted

    def fill(self, colour: int) -> None:
        """One colour (0xRRGGBB) everywhere. Raises DeviceError E_DISABLED, E_FAILURE."""
        self.require_enabled()
        self._fill(colour)

    def draw_bitmap(
        self, x_px: int, y_px: int, width_px: int, height_px: int, bits: "bytes | bytearray | memoryview", ink: int, paper: int
    ) -> None:
        """See hal.display. Raises DeviceError E_ILLEGAL (not within the display, or not as many bits), E_DISABLED, E_FAILURE."""
        self.require_enabled()
        row_bytes = check_bitmap(self, x_px, y_px, width_px, height_px, bits)
        self._use_colours(ink, paper)
        strip, table = self._strip, self._table
        whole = memoryview(strip)
        source = memoryview(bits)
        strip_bytes = len(strip) // (16 * row_bytes) * row_bytes  # of bits in a strip: whole rows
        self._begin_picture(x_px, y_px, width_px, height_px)
        for start in range(0, len(bits), strip_bytes):
            at = 0
            for byte in source[start : start + strip_bytes]:
                strip[at : at + 8] = table[byte >> 4]
                strip[at + 8 : at + 16] = table[byte & 15]
                at += 16
            self._send(whole[:at], 1)

    def set_backlight(self, on: bool) -> None:
        """Raises DeviceError E_DISABLED."""
        self.require_enabled()
        self._backlight.value(1 if on else 0)

    async def _bring_up(self) -> None:
        self._backlight.value(0)  # nobody sees what the memory holds before it is cleared
        self._chip_select.value(1)
        self._reset.value(0)
        await self._clock.sleep_ms(_RESET_PULSE_MS)
        self._reset.value(1)
        await self._clock.sleep_ms(_AFTER_RESET_MS)
        self._command(_SWRESET)  # where the reset pin is not wired
        await self._clock.sleep_ms(_AFTER_RESET_MS)
        await self._sleep_out()
        self._command(_COLMOD, bytes([_RGB565]))
        self._command(_MADCTL, bytes([self._orientation]))
        self._command(_INVON)  # an IPS panel shows its colours right when inverted
        self._command(_NORON)
        self._fill(0)
        self._command(_DISPON)
        self._has_answered = self._has_answered or self._read(_RDDID, 3) not in (0, 0xFFFFFF)
        self._backlight.value(1)

    def _shut_down(self) -> None:
        self._backlight.value(0)
        self._command(_DISPOFF)
        self._command(_SLPIN)

    async def _check_health(self, level: int) -> Health:
        """Internal: identity, status, the controller's diagnosis of itself at bring-up, and two pixels of its memory, where the module has
        MISO wired. External: the diagnosis anew, for which the display goes dark for a quarter of a second. What the panel shows only a
        person can tell.
        """
        identity = self._read(_RDDID, 3)
        for _ in range(_IDENTITY_READINGS - 1):
            if self._read(_RDDID, 3) != identity:
                return Health(HEALTH_FAIL, self.kind, "unstable_bus", E_FAILURE, detail="two readings of the identity differ")
        status = self._read(_RDDST, 4)
        if identity in (0, 0xFFFFFF) or status in (0, 0xFFFFFFFF):
            if self._has_answered:
                return Health(HEALTH_FAIL, self.kind, "no_answer", E_NOHARDWARE, detail="the controller answers no more")
            return Health(HEALTH_NOT_RUN, self.kind, "no_read_back", SUCCESS, detail="the controller cannot be read")
        self._has_answered = True
        expected = _STATUS_READY | (self._orientation & 0xF8) << 23
        if status & _STATUS_MASK != expected:
            detail = "status %08x, not %08x" % (status & _STATUS_MASK, expected)
            return Health(HEALTH_FAIL, self.kind, "lost_settings", E_FAILURE, detail=detail)
        if level > CH_INTERNAL:
            self._command(_SLPIN)
            await self._clock.sleep_ms(_AFTER_SLEEP_IN_MS)
            await self._sleep_out()
        if self._diagnosed not in (0, _DIAGNOSTIC_BITS):  # 0: a compatible controller without it
            detail = "RDDSDR: of bits c0, sleep out inverted %02x" % self._diagnosed
            return Health(HEALTH_FAIL, self.kind, "self_diagnostic", E_FAILURE, detail=detail)
        wrong = self._wrong_memory_bits()
        if wrong:
            detail = "picture memory: bits %s of red, green, blue read otherwise than written" % wrong
            return Health(HEALTH_FAIL, self.kind, "self_diagnostic", E_FAILURE, detail=detail)
        return Health(HEALTH_SUCCESS, self.kind, measurements={"identity": identity})

    async def _sleep_out(self) -> None:
        before = self._read_register(_RDDSDR)
        self._command(_SLPOUT)
        await self._clock.sleep_ms(_AFTER_SLEEP_OUT_MS)
        self._diagnosed = (before ^ self._read_register(_RDDSDR)) & _DIAGNOSTIC_BITS

    def _wrong_memory_bits(self) -> str:
        """Write two pixels in the corner, read them back, and put back what was there, all in less than a frame of the panel. Gives in
        hexadecimal the bits that came back otherwise, '' for none, and for a controller whose memory cannot be read.
        """
        self._command(_COLMOD, bytes([_RGB666]))
        before = self._read_pixels()
        self._write_pixels(_TEST_PIXELS)
        plain = self._read_pixels()
        self._write_pixels(bytes([byte ^ bits for byte, bits in zip(_TEST_PIXELS, _DRAWN_BITS)]))  # noqa: B905  MicroPython's zip has no strict
        inverted = self._read_pixels()
        self._write_pixels(before)
        self._command(_COLMOD, bytes([_RGB565]))
        if plain == inverted:
            return ""
        wrong = bytearray(3)
        for at, bits in enumerate(_DRAWN_BITS):
            wrong[at % 3] |= ((plain[at] ^ _TEST_PIXELS[at]) | (inverted[at] ^ _TEST_PIXELS[at] ^ bits)) & bits
        return wrong.hex() if any(wrong) else ""

    def _write_pixels(self, pixels: bytes) -> None:
        self._begin_picture(0, 0, 2, 1)
        self._send(pixels, 1)

    def _read_pixels(self) -> bytes:
        """The two pixels in the corner, three bytes each, after a dummy byte."""
        self._begin_picture(0, 0, 2, 1)
        return self._answer(_RAMRD, 1 + 2 * 3)[1:]

    def _fill(self, colour: int) -> None:
        self._use_colours(colour, colour)
        pixels = self._table[0]
        for at in range(0, len(self._strip), 8):
            self._strip[at : at + 8] = pixels
        self._begin_picture(0, 0, self.width_px, self.height_px)
        for _ in range(0, self.height_px, _STRIP_ROWS):
            self._send(self._strip, 1)

    def _use_colours(self, ink: int, paper: int) -> None:
        """Make the table for these colours."""
        if self._colours == (ink, paper):
            return
        ink_bytes = _rgb565(ink)
        paper_bytes = _rgb565(paper)
        table = []
        for nibble in range(16):
            table.append(b"".join([ink_bytes if nibble & mask else paper_bytes for mask in (8, 4, 2, 1)]))
        self._table = table
        self._colours = (ink, paper)

    def _begin_picture(self, x_px: int, y_px: int, width_px: int, height_px: int) -> None:
        """Set the window and begin to write its pixels."""
        self._command(_CASET, self._span(x_px, x_px + width_px - 1))
        self._command(_RASET, self._span(y_px, y_px + height_px - 1))
        self._command(_RAMWR)

    def _span(self, first: int, last: int) -> bytearray:
        window = self._window
        window[0] = first >> 8
        window[1] = first & 0xFF
        window[2] = last >> 8
        window[3] = last & 0xFF
        return window

    def _command(self, command: int, parameters: "bytes | bytearray | None" = None) -> None:
        self._send(bytes([command]), 0)
        if parameters is not None:
            self._send(parameters, 1)

    def _send(self, data: "bytes | bytearray | memoryview", is_data: int) -> None:
        try:
            self._data_command.value(is_data)
            self._chip_select.value(0)
            self._spi.write(data)
            self._chip_select.value(1)
        except OSError as error:
            raise DeviceError(E_FAILURE, self.kind, "SPI error %s" % error.errno) from None

    def _read_register(self, command: int) -> int:
        """A reading of 8 bits."""
        return self._answer(command, 1)[0]

    def _read(self, command: int, length: int) -> int:
        """A reading of more than 8 bits: it comes after one dummy clock (8.4.2), so it is one bit late."""
        late = int.from_bytes(self._answer(command, length + 1), "big")
        return late >> 7 & (1 << 8 * length) - 1

    def _answer(self, command: int, length: int) -> bytes:
        """What the controller sends after a command, as it comes. Raises DeviceError E_FAILURE."""
        try:
            if self._baudrate_hz is not None:
                self._spi.init(baudrate=_READ_HZ)
            self._data_command.value(0)
            self._chip_select.value(0)
            self._spi.write(bytes([command]))
            self._data_command.value(1)
            answer: bytes = self._spi.read(length)
            self._chip_select.value(1)
            if self._baudrate_hz is not None:
                self._spi.init(baudrate=self._baudrate_hz)
        except OSError as error:
            raise DeviceError(E_FAILURE, self.kind, "SPI error %s" % error.errno) from None
        return answer


def _rgb565(colour: int) -> bytes:
    """0xRRGGBB -> two bytes, most significant first."""
    value = colour >> 8 & 0xF800 | colour >> 5 & 0x07E0 | colour >> 3 & 0x001F
    return bytes([value >> 8, value & 0xFF])
