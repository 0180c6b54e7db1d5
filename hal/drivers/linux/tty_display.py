"""Driver: a text terminal as a display (a serial console, a session of SSH, a Linux console). Contract: hal/display.py, with characters.

Sources: ECMA-48 (control sequences), xterm's "XTerm Control Sequences" (private modes, 256 colours), ioctl_tty(2). The terminal is one that
shows UTF-8; what else writes to it, a log or a shell, writes over the pages.
"""

import errno
import fcntl
import os
import select
import struct
import termios
import unicodedata

from hal.device import HEALTH_SUCCESS, Device, Health
from hal.display import CONTRACT, check_bitmap
from hal.drivers.linux.device_file import unusable
from hal.errors import E_FAILURE, E_ILLEGAL, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock

_USUAL_SIZE = (80, 24)  # of a line that tells none, as a serial one
_LEAST_SIZE = (16, 4)  # for which pages are laid out; a smaller terminal shows their beginning
# For the terminal to take what is drawn, at 9600 baud. One that did not is not waited for again until it takes something.
_WRITE_MS, _BYTE_MS = 500, 1.2

# Alternate screen, no cursor, no wrapping at the right edge; and all that undone (xterm: DECSET 1049, 25, 7).
_BEGIN = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_END = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_UPPER_HALF = "\u2580"  # a block of ink over as much paper
_LEVELS = (0, 95, 135, 175, 215, 255)  # of each channel in the colours 16..231
_FIRST_COLOUR = 16  # those before it every terminal shows as it likes
_UNSEEN = "\ufffd"  # for what is no character to be seen


class TtyDisplay(Device):
    """device: the terminal. /dev/tty is the one that the program was started on.

    Pages are its characters. A picture's pixel is half a character, so that it is about square: 80x48 pixels on a terminal of 80x24. As
    each character holds two pixels and cannot be read, the driver keeps the colours of all pixels that were drawn.
    """

    kind = CONTRACT.kind
    part = "tty"
    level = 1

    def __init__(self, clock: "Clock", device: str = "/dev/tty") -> None:
        super().__init__()
        self._clock = clock
        self._device = device
        self._terminal = -1  # open
        self._size = _USUAL_SIZE
        self._is_stopped = False
        self._picture: dict[tuple[int, int], int] = {}  # (column, row of pixels) -> colour
        self._background = 0  # of all other pixels

    # The contract.

    @property
    def columns(self) -> int:
        return self._measured()[0]

    @property
    def rows(self) -> int:
        return self._measured()[1]

    @property
    def width_px(self) -> int:
        return self.columns // 8 * 8

    @property
    def height_px(self) -> int:
        return 2 * self.rows

    def fill(self, colour: int) -> None:
        """One colour (0xRRGGBB) everywhere. Raises DeviceError as `draw_row`."""
        self.require_enabled()
        self._find()
        self._picture.clear()
        self._background = colour
        columns, rows = self._measured()
        self._write(_colours(colour, colour) + "".join([_at(row) + " " * columns for row in range(rows)]))

    def draw_bitmap(
        self, x_px: int, y_px: int, width_px: int, height_px: int, bits: "bytes | bytearray | memoryview", ink: int, paper: int
    ) -> None:
        """See hal.display. Raises DeviceError as `draw_row`, and E_ILLEGAL for not as many bits."""
        self.require_enabled()
        self._find()
        row_bytes = check_bitmap(self, x_px, y_px, width_px, height_px, bits)
        picture, background = self._picture, self._background
        for y in range(height_px):
            for x in range(width_px):
                is_ink = bits[y * row_bytes + (x >> 3)] & 0x80 >> (x & 7)
                picture[x_px + x, y_px + y] = ink if is_ink else paper
        drawn = []
        for row in range(y_px // 2, (y_px + height_px + 1) // 2):
            drawn.append(_at(row, x_px))
            before = None
            for column in range(x_px, x_px + width_px):
                halves = (picture.get((column, 2 * row), background), picture.get((column, 2 * row + 1), background))
                if halves != before:
                    drawn.append(_colours(*halves))
                    before = halves
                drawn.append(_UPPER_HALF if halves[0] != halves[1] else " ")
        self._write("".join(drawn))

    def draw_row(self, row: int, text: str, ink: int, paper: int) -> None:
        """See hal.display. What of the text is no character to be seen (control, combining, directing characters) shows as U+FFFD.

        Raises DeviceError E_ILLEGAL (not within the display), E_DISABLED, E_NOHARDWARE ('unplugged'), E_TIMEOUT ('no_answer'), E_FAILURE.
        """
        self.require_enabled()
        self._find()
        columns, rows = self._measured()
        if not 0 <= row < rows:
            raise DeviceError(E_ILLEGAL, self.kind, "row %d of %d" % (row, rows))
        drawn = [_at(row), _colours(ink, paper)]
        column = 0
        for character in text:
            width, shown = _shown(character)
            if column + width > columns:
                break
            drawn.append(shown)
            column += width
            if unicodedata.east_asian_width(shown) == "A":  # some terminals take two columns for it
                drawn.append(_at(row, column))
        drawn.append(" " * (columns - column))
        self._write("".join(drawn))

    # The life cycle.

    async def _bring_up(self) -> None:
        self._forget()
        self._find()

    def _shut_down(self) -> None:
        """The terminal is as it was before. One that is gone needs nothing."""
        try:
            if self._terminal >= 0 and not self._has_hung_up():
                self._write(_END)
        finally:
            self._forget()

    async def _check_health(self, level: int) -> Health:
        """Internal: that the terminal is there and takes characters. What it shows only a person can tell."""
        self._find()
        self._write("\x1b[0m")
        return Health(HEALTH_SUCCESS, self.kind)

    # The terminal: it may hang up, and be there again.

    def _find(self) -> None:
        """A terminal that hung up is opened anew. Raises DeviceError E_NOHARDWARE ('unplugged'), E_FAILURE ('no_permission')."""
        if self._terminal >= 0 and not self._has_hung_up():
            return
        self._forget()
        try:
            # Without waiting for a modem, or for a terminal that takes nothing.
            terminal = os.open(self._device, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise unusable(self.kind, self._device, error) from None
        if not os.isatty(terminal):
            os.close(terminal)
            raise DeviceError(E_FAILURE, self.kind, self._device + " is no terminal")
        self._terminal = terminal
        self._picture.clear()
        self._background = 0
        columns, rows = self._measured()
        try:
            self._write(_BEGIN + _colours(0, 0) + "".join([_at(row) + " " * columns for row in range(rows)]))
        except DeviceError:
            self._forget()
            raise

    def _has_hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._terminal, 0)
        return bool(poll.poll(0))  # POLLHUP and POLLERR are told in any case

    def _forget(self) -> None:
        terminal, self._terminal = self._terminal, -1
        if terminal >= 0:
            os.close(terminal)

    def _measured(self) -> "tuple[int, int]":
        """Columns and rows now; those it had last, while it is gone."""
        if self._terminal >= 0:
            try:
                rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(self._terminal, termios.TIOCGWINSZ, bytes(8)))
            except OSError as error:
                if error.errno != errno.EIO:  # it hung up: the next drawing says so
                    raise unusable(self.kind, self._device, error) from None
            else:
                columns, rows = (columns, rows) if columns and rows else _USUAL_SIZE
                self._size = (max(columns, _LEAST_SIZE[0]), max(rows, _LEAST_SIZE[1]))
        return self._size

    def _write(self, text: str) -> None:
        """All of it. A sequence that is cut off here is ended by the escape that begins each further one.

        Raises DeviceError E_TIMEOUT ('no_answer': flow control has stopped the terminal), E_NOHARDWARE ('unplugged'), E_FAILURE.
        """
        left = memoryview(text.encode())
        until_ms = self._clock.monotonic_ms() + (0 if self._is_stopped else _WRITE_MS + int(_BYTE_MS * len(left)))
        poll = select.poll()
        poll.register(self._terminal, select.POLLOUT)
        try:
            while left:
                wait_ms = max(0, until_ms - self._clock.monotonic_ms())
                written = _take(self._terminal, left) if poll.poll(wait_ms) else 0
                if not written and not wait_ms:
                    self._is_stopped = True
                    raise DeviceError(E_TIMEOUT, self.kind, self._device + " takes no characters", cause="no_answer")
                if written:
                    self._is_stopped = False
                    left = left[written:]
        except OSError as error:
            self._forget()
            raise unusable(self.kind, self._device, error) from None


def _take(terminal: int, data: memoryview) -> int:
    """How many bytes it takes now; 0 where it has no room after all. Raises OSError."""
    try:
        return os.write(terminal, data)
    except BlockingIOError:
        return 0


def _at(row: int, column: int = 0) -> str:
    """To a place of the screen, both from 0 (ECMA-48: CUP)."""
    return "\x1b[%d;%dH" % (row + 1, column + 1)


def _colours(ink: int, paper: int) -> str:
    """ECMA-48: SGR, with xterm's colours of 256."""
    return "\x1b[38;5;%d;48;5;%dm" % (_nearest(ink), _nearest(paper))


def _nearest(colour: int) -> int:
    """The nearest colour of the cube of 6 x 6 x 6."""
    number = 0
    for shift in (16, 8, 0):
        level = colour >> shift & 0xFF
        number = 6 * number + min(range(6), key=lambda index: abs(_LEVELS[index] - level))
    return _FIRST_COLOUR + number


def _shown(character: str) -> "tuple[int, str]":
    """How many columns, and the character, if it is one to be seen (Unicode: neither control nor mark, no separator of lines)."""
    category = unicodedata.category(character)
    if category[0] in "CM" or category in ("Zl", "Zp"):
        return 1, _UNSEEN
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1, character
