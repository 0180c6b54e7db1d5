"""Driver: SSD1306 controller of a one-colour OLED panel, 128x64 or 128x32, on I2C (Solomon Systech SSD1306 datasheet)."""

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.display import CONTRACT, check_bitmap
from hal.errors import E_FAILURE, E_NOHARDWARE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

# Control bytes that begin a transaction: what follows to its end is commands, or data (8.1.5.2).
_COMMANDS = b"\x00"
_DATA = b"\x40"

# Commands: datasheet chapter 9, table 9-1; the charge pump is in its application note.
_COLUMNS = 0x21
_PAGES = 0x22
_CHARGE_PUMP = 0x8D
_DISPLAY_OFF = 0xAE
_DISPLAY_ON = 0xAF
_NOP = 0xE3
_MOST_PARAMETERS = 6  # of a command: the set-up of a scroll (26h), which a program that crashed may have begun
_PUMP_ON, _PUMP_OFF = 0x14, 0x10
_COM_PINS = {64: 0x12, 32: 0x02}  # rows of the panel -> how its common lines are wired (DAh)

_STATUS_OFF = 0x40  # of the status byte: the display is switched off (8.1.5.1)
_STATUS_NOBODY = 0xFF  # nobody drives the line: bit 7 is busy, which the chip does not show over I2C
_READINGS = 6  # of the status in a health check: all alike, or the wire is noisy
_TRIES = 3  # to be acknowledged at bring-up: the first knock may end what a crash left on the bus
_TRY_PAUSE_MS = 5
_DARK_BELOW = 128  # of 255: the half of the scale that one bit shows as dark


class Ssd1306(Device):
    """i2c: MicroPython's calls; address: 0x3C or 0x3D, as the module is soldered; width_px, height_px: 128x64 or 128x32.

    A byte of the controller's memory is eight pixels, one above the other. So that a picture may begin in any row, the driver keeps what it
    drew: one bit a pixel, 1 KB. Modules are mounted with their pins at the top.
    """

    kind = CONTRACT.kind
    part = "ssd1306"
    level = 1

    def __init__(self, i2c: "Any", address: int, width_px: int, height_px: int, clock: "Clock") -> None:
        super().__init__()
        self.width_px = width_px
        self.height_px = height_px
        self._i2c = i2c
        self._address = address
        self._clock = clock
        self._picture = bytearray(width_px * height_px // 8)  # page by page, as in the controller; bit 0 is the top row of its page
        self._window = bytearray(6)

    def fill(self, colour: int) -> None:
        """One colour (0xRRGGBB), light or dark, everywhere. Raises DeviceError E_DISABLED, E_NOHARDWARE."""
        self.require_enabled()
        self._fill(_levels(colour, colour)[0])

    def draw_bitmap(
        self, x_px: int, y_px: int, width_px: int, height_px: int, bits: "bytes | bytearray | memoryview", ink: int, paper: int
    ) -> None:
        """See hal.display. The lighter of the two colours is light, the other one dark, however near they are: what is drawn is seen.

        Raises DeviceError E_ILLEGAL (not within the display, or not as many bits), E_DISABLED, E_NOHARDWARE.
        """
        self.require_enabled()
        row_bytes = check_bitmap(self, x_px, y_px, width_px, height_px, bits)
        picture = self._picture
        ink_levels, paper_levels = _levels(ink, paper)
        taken = 0
        for y in range(y_px, y_px + height_px):
            at = (y >> 3) * self.width_px + x_px
            light = 1 << (y & 7)
            dark = light ^ 0xFF
            for _ in range(row_bytes):
                levels = bits[taken] & ink_levels | (bits[taken] ^ 0xFF) & paper_levels
                taken += 1
                for mask in (128, 64, 32, 16, 8, 4, 2, 1):
                    if levels & mask:
                        picture[at] |= light
                    else:
                        picture[at] &= dark
                    at += 1
        self._show(x_px, width_px, y_px >> 3, y_px + height_px - 1 >> 3)

    async def _bring_up(self) -> None:
        """From any state: NOPs fill up a command that waits for its parameters; every register that they, or a crash, may have
        changed is set after them; and the display is dark until its memory is cleared.
        """
        for attempt in range(_TRIES):
            try:
                self._command(bytes([_NOP] * _MOST_PARAMETERS + [_DISPLAY_OFF]))
                break
            except DeviceError:
                if attempt == _TRIES - 1:
                    raise
                await self._clock.sleep_ms(_TRY_PAUSE_MS)
        self._command(
            bytes(
                [0x2E]  # no scrolling
                + [0xA3, 0, self.height_px]  # all rows would scroll
                + [0x20, 0]  # data goes on in the next page of the window
                + [0xD5, 0x80]  # clock: as at reset
                + [0xA8, self.height_px - 1]  # multiplex ratio
                + [0xD3, 0, 0x40]  # no offset, and memory row 0 at the top
                + [0xA1, 0xC8]  # columns from the right, rows from below: the module's pins are at the top
                + [0xDA, _COM_PINS.get(self.height_px, 0x12)]
                + [0x81, 0xCF]  # contrast: bright, not the brightest, for an OLED ages by its light
                + [0xD9, 0xF1, 0xDB, 0x30]  # pre-charge and deselect level for the charge pump's supply
                + [0xA4, 0xA6]  # the memory is shown, 1 is light
                + [_CHARGE_PUMP, _PUMP_ON]
            )
        )
        self._fill(0)
        self._command(bytes([_DISPLAY_ON]))

    def _shut_down(self) -> None:
        self._command(bytes([_DISPLAY_OFF, _CHARGE_PUMP, _PUMP_OFF]))

    def failed(self, error: DeviceError, cause: str) -> Health:
        """All that can fail on this bus, in bring-up as later, is that nobody acknowledges."""
        return super().failed(error, "no_answer")

    async def _check_health(self, level: int) -> Health:
        """Acknowledge and status. The memory cannot be read over I2C (8.1.5): what the panel shows only a person can tell."""
        try:
            readings = [self._i2c.readfrom(self._address, 1)[0] for _ in range(_READINGS)]
        except OSError as error:
            raise self._nobody(error) from None
        status = readings[0]
        if any(reading != status for reading in readings):
            return self._fail("unstable_bus", E_FAILURE, "readings of the status differ", status)
        if status == _STATUS_NOBODY:
            return self._fail("no_answer", E_NOHARDWARE, "acknowledges, and says nothing", status)
        if status & _STATUS_OFF:
            return self._fail("lost_settings", E_FAILURE, "the display is switched off", status)
        return Health(HEALTH_SUCCESS, self.kind, measurements={"status": status})

    def _fail(self, cause: str, code: int, detail: str, status: int) -> Health:
        return Health(HEALTH_FAIL, self.kind, cause, code, detail=detail, measurements={"status": status})

    def _fill(self, byte: int) -> None:
        picture = self._picture
        for at in range(len(picture)):
            picture[at] = byte
        self._show(0, self.width_px, 0, self.height_px // 8 - 1)

    def _show(self, x_px: int, width_px: int, first_page: int, last_page: int) -> None:
        """Send these columns of these pages."""
        window = self._window
        window[0] = _COLUMNS
        window[1] = x_px
        window[2] = x_px + width_px - 1
        window[3] = _PAGES
        window[4] = first_page
        window[5] = last_page
        self._command(window)
        picture = memoryview(self._picture)
        for page in range(first_page, last_page + 1):
            at = page * self.width_px + x_px
            self._send(_DATA, picture[at : at + width_px])

    def _command(self, commands: "bytes | bytearray") -> None:
        self._send(_COMMANDS, commands)

    def _send(self, control: bytes, data: "bytes | bytearray | memoryview") -> None:
        """One transaction. Raises E_NOHARDWARE when nobody acknowledges."""
        try:
            self._i2c.writevto(self._address, (control, data))
        except OSError as error:
            raise self._nobody(error) from None

    def _nobody(self, error: OSError) -> DeviceError:
        return DeviceError(E_NOHARDWARE, self.kind, "no acknowledge at 0x%02x (errno %s)" % (self._address, error.errno))


def _luma(colour: int) -> int:
    """How light a colour is, 0..255 (ITU-R BT.601)."""
    return (299 * (colour >> 16) + 587 * (colour >> 8 & 0xFF) + 114 * (colour & 0xFF)) // 1000


def _levels(ink: int, paper: int) -> "tuple[int, int]":
    """What ink and paper look like, eight pixels of each: 0xFF light, 0 dark."""
    if ink == paper:
        level = 0xFF if _luma(ink) >= _DARK_BELOW else 0
        return level, level
    return (0xFF, 0) if _luma(ink) > _luma(paper) else (0, 0xFF)
