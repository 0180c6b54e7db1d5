"""Contract: display. A rectangle of pixels on which one-bit pictures are drawn in two colours.

Level 1: `width_px`, `height_px`; `fill(colour)`; `draw_bitmap(x_px, y_px, width_px, height_px, bits, ink, paper)`.
  `bits` is row by row, each row padded to whole bytes, most significant bit leftmost, 1 = ink. x_px and width_px are
  multiples of 8. Colours are 0xRRGGBB; a display with fewer draws the nearest, and one of a single colour lights the lighter one of ink and
  paper. Outside the display: E_ILLEGAL.
Level 2: `set_backlight(on)`.
Drawing is synchronous and bounded by the bus. A driver keeps no copy of the screen, unless its controller takes several rows of pixels in a
byte and cannot be read: then one bit for each pixel.
"""

from hal.contract import Contract

CONTRACT = Contract("display", {1: ("width_px", "height_px", "fill", "draw_bitmap"), 2: ("set_backlight",)})

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hal.device import Health

    class Display(Protocol):
        level: int
        enabled: bool
        width_px: int
        height_px: int

        def fill(self, colour: int) -> None: ...
        def draw_bitmap(
            self, x_px: int, y_px: int, width_px: int, height_px: int, bits: "bytes | bytearray | memoryview", ink: int, paper: int
        ) -> None: ...
        # set_backlight(self, on: bool) -> None: at level 2 only
        async def check_health(self, level: int = 1) -> Health: ...
