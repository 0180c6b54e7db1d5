"""Driver: the keyboard of a terminal: a console, a serial terminal, a window. Contract: hal/keypad.py.

Source: termios(3); ECMA-48 for control sequences, with those of xterm, rxvt and the Linux console (console_codes(4)) for the keys.
"""

import atexit
import os
import termios

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.drivers.linux.device_file import unplugged, unusable
from hal.drivers.linux.polled_keypad import LOOK_MS, PolledKeypad
from hal.errors import E_FAILURE, E_NOHARDWARE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

_ESC = 0x1B
_NAME_OF = {
    0x08: "clear",
    0x0A: "enter",
    0x0D: "enter",
    0x23: "hash",
    0x2A: "star",
    0x3F: "help",  # a question mark
    0x7F: "clear",
}
_NAME_OF.update({0x30 + digit: str(digit) for digit in range(10)})
_NAME_OF_SEQUENCE = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[3~": "clear",  # Delete
    b"\x1bOP": "help",  # F1, of which each terminal has its own
    b"\x1b[11~": "help",
    b"\x1b[[A": "help",
}
_LONGEST_SEQUENCE = 16
_ESCAPE_MS = 50  # after which Esc was the key, and not the beginning of a sequence

_READ_BYTES = 256
_SLICES = 3  # of the health check
_SLICE_LOOKS = 15  # 150 ms, in which the slowest console repeats a key that is held (92 ms)


class TtyKeypad(PolledKeypad):
    """device: '/dev/tty' is the terminal that the program was started from.

    It reads each key as it is pressed, without echo; Ctrl-C still ends the program. The terminal gets its settings back when the driver is
    disabled, and when the program ends by itself. A terminal does not tell a key that is held from one that is pressed again and again.
    """

    part = "tty"

    def __init__(self, clock: "Clock", device: str = "/dev/tty") -> None:
        super().__init__(clock)
        self._device = device
        self._file = -1
        self._settings: list[Any] | None = None  # that the terminal had before
        self._sequence = bytearray()  # from Esc on, as far as it has come
        self._heard_ms = 0  # when its last byte came

    async def _bring_up(self) -> None:
        self._pressed.clear()
        self._open()

    def _shut_down(self) -> None:
        self._close()

    async def _check_health(self, level: int) -> Health:
        """A key that the terminal repeats during the whole check is stuck."""
        self._pressed.extend(self._look())
        stuck = set(self.keys)
        for _ in range(_SLICES):
            seen = set()
            for _ in range(_SLICE_LOOKS):
                await self._clock.sleep_ms(LOOK_MS)
                pressed = self._look()
                self._pressed.extend(pressed)
                seen.update(pressed)
            stuck &= seen
        if stuck:
            return Health(HEALTH_FAIL, self.kind, "key_stuck", E_FAILURE, detail=" ".join([key for key in self.keys if key in stuck]))
        return Health(HEALTH_SUCCESS, self.kind)

    # The terminal.

    def _open(self) -> None:
        self._close()
        try:
            self._file = os.open(self._device, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            self._settings = termios.tcgetattr(self._file)
            termios.tcsetattr(self._file, termios.TCSANOW, _by_keys(termios.tcgetattr(self._file)))
            termios.tcflush(self._file, termios.TCIFLUSH)  # what was typed before is not meant
        except OSError as error:
            raise unusable(self.kind, self._device, error) from error
        except termios.error as error:
            self._close()
            raise DeviceError(E_NOHARDWARE, self.kind, "%s is no terminal: %s" % (self._device, error.args[-1])) from error
        atexit.register(self._close)

    def _close(self) -> None:
        """Give the terminal its settings back."""
        if self._file < 0:
            return
        atexit.unregister(self._close)
        if self._settings is not None:
            try:
                termios.tcflush(self._file, termios.TCIFLUSH)  # a key that was meant for the agent is no command for a shell
                termios.tcsetattr(self._file, termios.TCSANOW, self._settings)
            except termios.error:
                pass  # it has hung up: there is nobody to whom they matter
        os.close(self._file)
        self._file = -1
        self._settings = None
        self._sequence.clear()

    def _received(self) -> bytes:
        if self._file < 0:
            self._open()
        try:
            data = os.read(self._file, _READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:  # EIO
            data = b""
        if not data:
            self._close()
            raise unplugged(self.kind, self._device)
        return data

    # Keys.

    def _look(self) -> "list[str]":
        data = self._received()
        now_ms = self._clock.monotonic_ms()
        keys: list[str] = []
        if data:
            self._heard_ms = now_ms
            for byte in data:
                self._take(byte, keys)
        elif self._sequence and now_ms - self._heard_ms >= _ESCAPE_MS:
            if len(self._sequence) == 1:
                keys.append("cancel")
            self._sequence.clear()
        return keys

    def _take(self, byte: int, keys: "list[str]") -> None:
        sequence = self._sequence
        if sequence:
            if len(sequence) == 1 and byte not in b"[O":  # Esc, and then another key
                sequence.clear()
                keys.append("cancel")
            elif not 0x20 <= byte < 0x7F:  # no sequence goes on so
                sequence.clear()
            else:
                if len(sequence) < _LONGEST_SEQUENCE:
                    sequence.append(byte)
                if len(sequence) > 2 and byte >= 0x40 and sequence != b"\x1b[[":
                    if bytes(sequence) in _NAME_OF_SEQUENCE:
                        keys.append(_NAME_OF_SEQUENCE[bytes(sequence)])
                    sequence.clear()
                return
        if byte == _ESC:
            sequence.append(byte)
        elif byte in _NAME_OF:
            keys.append(_NAME_OF[byte])


def _by_keys(settings: "list[Any]") -> "list[Any]":
    """These settings, changed so that each key comes by itself, at once and unseen, and none stops or suspends the program by mistake."""
    input, output, control, local, in_speed, out_speed, characters = settings
    input &= ~(termios.BRKINT | termios.ICRNL | termios.IGNCR | termios.INLCR | termios.ISTRIP | termios.IXON)
    local &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN)
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0  # with VMIN 0 nothing typed and hung up look the same
    characters[termios.VSUSP] = characters[termios.VQUIT] = b"\x00"  # _POSIX_VDISABLE
    return [input, output, control, local, in_speed, out_speed, characters]
