"""Model of an SSD1306 controller with its one-colour OLED panel, on I2C.

Commands, addressing and the control byte after the Solomon Systech SSD1306 datasheet (chapters 8.1.5, 9 and 10), the charge pump after its
application note. The memory cannot be read over I2C: a read gives the status byte.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageChops

from host_sim.chips.faces import Fault, I2cChip

COLUMNS = 128
ROWS = 64  # of the memory; a panel may have fewer
HORIZONTAL, VERTICAL, PAGE = 0, 1, 2  # addressing modes (20h)
DISPLAY_OFF, DISPLAY_ON = 0xAE, 0xAF
STATUS = 0x03  # the lower bits, as modules are seen to give them; the datasheet reserves them
STATUS_OFF = 0x40
LIGHT = (255, 255, 255)
BLACK = (0, 0, 0)  # an OLED that is not lit

# Commands with parameters -> how many; all others have none.
PARAMETERS = {0x20: 1, 0x21: 2, 0x22: 2, 0x26: 6, 0x27: 6, 0x29: 5, 0x2A: 5, 0x81: 1, 0x8D: 1, 0xA3: 2}
PARAMETERS |= dict.fromkeys((0xA8, 0xD3, 0xD5, 0xD9, 0xDA, 0xDB), 1)
COM_PINS = {64: 0x12, 32: 0x02}  # rows -> the wiring of the panel's common lines, as DAh has to say it
LIT = [bytes(255 if byte >> bit & 1 else 0 for byte in range(256)) for bit in range(8)]  # a byte of the memory -> its pixel of that row


class Ssd1306Chip(I2cChip):
    """width_px, height_px: of the panel, 128x64 or 128x32. It is mounted with its pins at the top: A1h and C8h are upright."""

    FAULTS = {
        "dead_controller": Fault("the controller acknowledges nothing; the panel is dark", "no_answer"),
        "switches_off": Fault("its supply sags: the display goes off whenever it is switched on", "lost_settings"),
        "stuck_rows": Fault("eight rows in the middle are always lit", "lines"),
        "stuck_columns": Fault("eight columns in the middle stay dark", "lines"),
        "inverted": Fault("light and dark are exchanged", "wrong_colours"),
        "dark_panel": Fault("the panel stays dark, though its controller acknowledges", "dark"),
    }

    def __init__(self, now_ms: Callable[[], int], width_px: int, height_px: int) -> None:
        super().__init__(now_ms)
        if width_px != COLUMNS or height_px not in COM_PINS:
            raise ValueError(f"an SSD1306 panel has 128x64 or 128x32 pixels, not {width_px}x{height_px}")
        self._height_px = height_px
        self.frames_changed = 0  # counts writes to the picture or what shows it, for whoever watches for a change
        self.power_up()

    # The back face.

    def picture(self) -> Image.Image:
        """The display as a person sees it: RGB, as it is mounted."""
        size = (COLUMNS, self._height_px)
        if self.has("dead_controller") or self.has("dark_panel") or not self._is_lit:
            return Image.new("RGB", size, BLACK)
        panel = self._panel()
        if self.inverted != self.has("inverted"):
            panel = ImageChops.invert(panel)
        if self.has("stuck_rows"):
            panel.paste(255, (0, self._height_px // 2, COLUMNS, self._height_px // 2 + 8))
        if self.has("stuck_columns"):
            panel.paste(0, (COLUMNS // 2, 0, COLUMNS // 2 + 8, self._height_px))
        return panel.convert("RGB")

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        self.frames_changed += 1
        if name == "switches_off" and on:
            self.display_on = False

    @property
    def pixels(self) -> bytes:
        """The memory of the controller: page by page, a byte for each column, bit 0 the top row of its page."""
        return bytes(self._memory)

    @property
    def _is_lit(self) -> bool:
        """Whether the panel has voltage, and its common lines are driven as they are wired."""
        return self.display_on and self._pump_on and self.registers.get(0xDA, (0x12,))[0] == COM_PINS[self._height_px]

    def _panel(self) -> Image.Image:
        """What the controller drives: row by row of the panel, 'L', 255 = lit."""
        if self._all_lit:
            return Image.new("L", (COLUMNS, self._height_px), 255)
        multiplex = (self.registers.get(0xA8, (63,))[0] & 63) + 1
        offset = self.registers.get(0xD3, (0,))[0] & 63
        panel = Image.new("L", (COLUMNS, self._height_px))
        for row in range(self._height_px):
            common = self._height_px - 1 - row  # the panel's rows are wired from below
            scanned = common if not self._from_below else multiplex - 1 - common
            if 0 <= scanned < multiplex:
                line = (scanned + offset + self._start_line) % ROWS
                page = self._memory[line // 8 * COLUMNS :][:COLUMNS]
                # Its columns are wired from the right.
                panel.paste(Image.frombytes("L", (COLUMNS, 1), bytes(page[::-1].translate(LIT[line % 8]))), (0, row))
        return panel

    # The bus face.

    def power_up(self) -> None:
        """The power-on reset (8.9); what is in the memory then is anybody's guess."""
        self._memory = bytearray(0xA5 if at % 3 else 0x3C for at in range(COLUMNS * ROWS // 8))
        self.display_on = False
        self.inverted = False
        self._pump_on = False
        self._all_lit = False
        self._from_below = False
        self._mirrored = False
        self._scrolling = False
        self._start_line = 0
        self._mode = PAGE
        self._columns = (0, COLUMNS - 1)
        self._pages = (0, ROWS // 8 - 1)
        self._column = 0
        self._page = 0
        self.registers: dict[int, tuple[int, ...]] = {}  # command -> its last parameters
        self._command = 0  # that waits for parameters
        self._parameters: list[int] = []
        self.frames_changed += 1

    def write(self, data: bytes) -> None:
        """Control bytes with what follows each: one byte where Co (bit 7) is set, else all the rest (8.1.5.2)."""
        if self.has("dead_controller"):
            raise self.absent()
        at = 0
        while at < len(data):
            control = data[at]
            end = at + 2 if control & 0x80 else len(data)
            for byte in data[at + 1 : end]:
                if control & 0x40:
                    self._store(byte)
                else:
                    self._take(byte)
            at = end
        self.frames_changed += 1

    def read(self, length: int) -> bytes:
        if self.has("dead_controller"):
            raise self.absent()
        return bytes([STATUS if self.display_on else STATUS | STATUS_OFF]) * length

    def _take(self, byte: int) -> None:
        """A byte of a command: its parameters may come in later transactions."""
        if not self._command and byte not in PARAMETERS:
            self._obey(byte)
            return
        if not self._command:
            self._command = byte
            self._parameters = []
        else:
            self._parameters.append(byte)
        if len(self._parameters) == PARAMETERS[self._command]:
            self._set(self._command, self._parameters)
            self._command = 0

    def _obey(self, command: int) -> None:
        if command < 0x20 and self._mode == PAGE:
            nibble, high = command & 15, command & 0x10
            self._column = (self._column & 15 | nibble << 4) & 127 if high else self._column & 0x70 | nibble
        elif command in (0x2E, 0x2F):
            self._scrolling = command == 0x2F
        elif 0x40 <= command < 0x80:
            self._start_line = command & 63
        elif command in (0xA0, 0xA1):
            self._mirrored = command == 0xA1  # for data that comes after it (10.1.8)
        elif command in (0xA4, 0xA5):
            self._all_lit = command == 0xA5
        elif command in (0xA6, 0xA7):
            self.inverted = command == 0xA7
        elif command in (DISPLAY_OFF, DISPLAY_ON):
            self.display_on = command == DISPLAY_ON and not self.has("switches_off")
        elif 0xB0 <= command < 0xB8 and self._mode == PAGE:
            self._page = command & 7
        elif command in (0xC0, 0xC8):
            self._from_below = command == 0xC8

    def _set(self, command: int, parameters: list[int]) -> None:
        if command == 0x20:
            self._mode = min(parameters[0] & 3, PAGE)
        elif command == 0x21:
            self._columns = (parameters[0] & 127, parameters[1] & 127)
            self._column = self._columns[0]
        elif command == 0x22:
            self._pages = (parameters[0] & 7, parameters[1] & 7)
            self._page = self._pages[0]
        elif command == 0x8D:
            self._pump_on = bool(parameters[0] & 0x04)
        else:
            self.registers[command] = tuple(parameters)

    def _store(self, byte: int) -> None:
        """A byte of data, where the pointers are; and the pointers go on as the addressing mode says (10.1.3)."""
        if not self._scrolling:  # data written while it scrolls is corrupted (9.1.5): here, lost
            self._memory[self._page * COLUMNS + (COLUMNS - 1 - self._column if self._mirrored else self._column)] = byte
        if self._mode == PAGE:
            self._column = (self._column + 1) % COLUMNS
        elif self._mode == HORIZONTAL:
            self._column, wrapped = _after(self._column, self._columns, COLUMNS)
            if wrapped:
                self._page, _ = _after(self._page, self._pages, ROWS // 8)
        else:
            self._page, wrapped = _after(self._page, self._pages, ROWS // 8)
            if wrapped:
                self._column, _ = _after(self._column, self._columns, COLUMNS)


def _after(pointer: int, limits: tuple[int, int], count: int) -> tuple[int, bool]:
    """The pointer's next place between its limits, and whether it began anew."""
    return (limits[0], True) if pointer == limits[1] else ((pointer + 1) % count, False)
