"""Bar-code scanners at a Linux terminal: the serial scanner's model behind a pseudo-terminal, and one that types as a keyboard does."""

from __future__ import annotations

import asyncio
import os
import tty
from pathlib import Path

from host_sim.chips.faces import Fault
from host_sim.chips.serial_scanner import SerialScannerChip
from host_sim.linux.input_device import DOWN, UP, InputDevice
from host_sim.linux.plugged import PluggedDevice

BAUDRATE = 9600


class ScannerPort(PluggedDevice):
    """The chip at the end of a USB cable with a serial converter. The back face is the chip's."""

    kind = "scanner"
    part = "serial"
    FAULTS = {**SerialScannerChip.FAULTS, **PluggedDevice.PLUG_FAULTS}

    def __init__(self, folder: Path, answers_revision: bool = True) -> None:
        super().__init__(folder)
        self.chip = SerialScannerChip(self.now_ms, answers_revision)
        self.chip.send = self._send
        self._answers_revision = answers_revision
        self._line: tuple[int, int] | None = None  # the scanner's end, and the terminal's: held open, so that the terminal may close it

    def section(self) -> dict[str, str | int | bool]:
        return {**super().section(), "baudrate": BAUDRATE, "answers_revision": self._answers_revision}

    def present(self, code: str | bytes) -> None:
        self.chip.present(code)

    def take_away(self) -> None:
        self.chip.take_away()

    @property
    def holds_code(self) -> bool:
        return self.chip.holds_code

    @property
    def light(self) -> bool:
        return self.chip.light

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        if name in self.chip.FAULTS:
            self.chip.fault(name, on)

    def _plug_in(self, number: int) -> Path:
        """The cable is the chip's power, too."""
        self.chip.power_up()
        scanner, terminal = os.openpty()
        tty.setraw(terminal)
        os.set_blocking(scanner, False)
        self._line = (scanner, terminal)
        asyncio.get_running_loop().add_reader(scanner, self._receive)
        return Path(os.ttyname(terminal))

    def _pull_out(self) -> None:
        assert self._line is not None
        asyncio.get_running_loop().remove_reader(self._line[0])
        for end in self._line:
            os.close(end)
        self._line = None

    def _receive(self) -> None:
        assert self._line is not None
        self.chip.receive(os.read(self._line[0], 4096))

    def _send(self, data: bytes) -> None:
        """What the line does not take is lost, as on any."""
        if self._line is None:
            return
        try:
            os.write(self._line[0], data)
        except BlockingIOError:
            return


# Rows of a US keyboard: the code of the first key, its HID usage, and the characters, alone and with shift.
_DIGITS = (2, 0x1E, "1234567890", "!@#$%^&*()")
_SINGLE = {  # character -> code, usage
    "-_": (12, 0x2D),
    "=+": (13, 0x2E),
    "\t\t": (15, 0x2B),
    "[{": (26, 0x2F),
    "]}": (27, 0x30),
    ";:": (39, 0x33),
    "'\"": (40, 0x34),
    "`~": (41, 0x35),
    "\\|": (43, 0x31),
    ",<": (51, 0x36),
    ".>": (52, 0x37),
    "/?": (53, 0x38),
    "  ": (57, 0x2C),
}
_LETTERS = {"q": 16, "a": 30, "z": 44}  # code of the first key of a row
_LETTER_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHIFT, _ALT, _ENTER = (42, 0xE1), (56, 0xE2), (28, 0x28)
_KEYPAD = {"1": 79, "2": 80, "3": 81, "4": 75, "5": 76, "6": 77, "7": 71, "8": 72, "9": 73, "0": 82}
KEY_S = 0.002  # from one character to the next


def _us_keyboard() -> dict[str, tuple[tuple[int, int], bool]]:
    """Character -> key (code, usage), and whether with shift."""
    keys = {}
    for number, (plain, shifted) in enumerate(zip(*_DIGITS[2:], strict=True)):
        key = (_DIGITS[0] + number, _DIGITS[1] + number)
        keys[plain], keys[shifted] = (key, False), (key, True)
    for row in _LETTER_ROWS:
        for number, letter in enumerate(row):
            key = (_LETTERS[row[0]] + number, 0x04 + ord(letter) - ord("a"))
            keys[letter], keys[letter.upper()] = (key, False), (key, True)
    for characters, key in _SINGLE.items():
        keys[characters[1]] = (key, True)
        keys[characters[0]] = (key, False)
    return keys


US_KEYBOARD = _us_keyboard()


class WedgeScanner(InputDevice):
    """It types a code as soon as one is held to it, and Enter. What is not on a US keyboard it types as for Windows: Alt and a number."""

    kind = "scanner"
    part = "evdev"
    FAULTS = {
        "garbage": Fault("it is set to type each character as Alt and a number", "garbled_answer"),
        "no_light": Fault("the light stays dark: no code is ever read", "no_code"),
        "no_suffix": Fault("the Enter after the code has been configured away", "no_suffix"),
        **PluggedDevice.PLUG_FAULTS,
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._typing: asyncio.Task[None] | None = None

    def present(self, code: str | bytes) -> None:
        """Hold a code before the scanner: read at once, and once."""
        if self.light:
            text = code if isinstance(code, str) else code.decode("latin-1")
            self._typing = asyncio.create_task(self._type(text, self._typing))

    def take_away(self) -> None:
        """Nothing is held that has not been read."""

    @property
    def light(self) -> bool:
        return not self.has("no_light") and not self.has("unplugged")

    @property
    def idle(self) -> bool:
        """Whether all that was read has been typed."""
        return self._typing is None or self._typing.done()

    async def stop(self) -> None:
        if self._typing is not None:
            self._typing.cancel()
            await asyncio.gather(self._typing, return_exceptions=True)
        await super().stop()

    async def _type(self, text: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        for character in text:
            self._type_character(character)
            await asyncio.sleep(KEY_S)
        if not self.has("no_suffix"):
            self._strike(_ENTER)

    def _type_character(self, character: str) -> None:
        if character not in US_KEYBOARD or self.has("garbage"):
            self.key(*_ALT, DOWN)
            for digit in str(ord(character)):
                self._strike((_KEYPAD[digit], 0x62 if digit == "0" else 0x58 + int(digit)))
            self.key(*_ALT, UP)
            return
        key, shifted = US_KEYBOARD[character]
        if shifted:
            self.key(*_SHIFT, DOWN)
        self._strike(key)
        if shifted:
            self.key(*_SHIFT, UP)

    def _strike(self, key: tuple[int, int]) -> None:
        self.key(*key, DOWN)
        self.key(*key, UP)
