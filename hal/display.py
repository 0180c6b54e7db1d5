"""Contract: display. A rectangle of pixels on which one-bit pictures are drawn in two colours.

Level 1: `width_px`, `height_px`; `fill(colour)`; `draw_bitmap(x_px, y_px, width_px, height_px, bits, ink, paper)`.
  `bits` is row by row, each row padded to whole bytes, most significant bit leftmost, 1 = ink. x_px and width_px are
  multiples of 8. Colours are 0xRRGGBB; a display with fewer draws the nearest, and one of a single colour lights the lighter one of ink and
  paper. Outside the display: E_ILLEGAL.
Level 2: `set_backlight(on)`.
A display that has characters of its own (a text terminal) has besides, at any level, `columns`, `rows`, `draw_row(row, text, ink, paper)`:
  pages are then drawn as text, one row after the other, and its pixels serve for pictures. `columns` counts narrow characters, a wide one
  takes two, as in the font; rows count from 0 at the top; what is left of a row is paper, and what does not fit is cut. No character of a
  text does anything but be seen. Outside the display: E_ILLEGAL. Its size may change at any time.
Drawing is synchronous and bounded by the bus. A driver keeps no copy of the screen, unless its controller takes several rows of pixels in a
byte and cannot be read: then one bit for each pixel. A text terminal, whose characters hold two, keeps their colours.
"""

from hal.contract import Contract
from hal.errors import E_ILLEGAL, DeviceError

CONTRACT = Contract("display", {1: ("width_px", "height_px", "fill", "draw_bitmap"), 2: ("set_backlight",)})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Display(Protocol):
        level: int
        enabled: bool

        @property
        def width_px(self) -> int: ...
        @property
        def height_px(self) -> int: ...
        def fill(self, colour: int) -> None: ...
        def draw_bitmap(
            self, x_px: int, y_px: int, width_px: int, height_px: int, bits: "bytes | bytearray | memoryview", ink: int, paper: int
        ) -> None: ...
        # set_backlight(self, on: bool) -> None: at level 2 only
        async def check_health(self, level: int = 1) -> Health: ...

    class TextDisplay(Display, Protocol):
        @property
        def columns(self) -> int: ...
        @property
        def rows(self) -> int: ...
        def draw_row(self, row: int, text: str, ink: int, paper: int) -> None: ...


def check_bitmap(display: "Display", x_px: int, y_px: int, width_px: int, height_px: int, bits: "bytes | bytearray | memoryview") -> int:
    """For drivers: what draw_bitmap is given keeps to the contract. Gives the bytes of a row. Raises DeviceError E_ILLEGAL."""
    row_bytes = width_px // 8
    if (x_px | width_px) & 7 or min(x_px, y_px) < 0 or min(width_px, height_px) <= 0:
        raise DeviceError(E_ILLEGAL, CONTRACT.kind, "x and width in steps of 8 pixels, and some of each")
    if x_px + width_px > display.width_px or y_px + height_px > display.height_px:
        raise DeviceError(E_ILLEGAL, CONTRACT.kind, "outside the display")
    if len(bits) != row_bytes * height_px:
        raise DeviceError(E_ILLEGAL, CONTRACT.kind, "%d bytes for %d rows of %d" % (len(bits), height_px, row_bytes))
    return row_bytes
