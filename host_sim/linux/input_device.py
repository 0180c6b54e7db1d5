"""Keyboards at a Linux terminal: a FIFO that carries the bytes that the kernel's event interface would.

What a FIFO lacks is the requests (EVIOCGKEY and the like): a driver is told so, as by any file that is no event device.

Source: Documentation/input/event-codes.rst, linux/input-event-codes.h, and the kernel's drivers/input/input.c and evdev.c for what is sent
when; USB HID Usage Tables, page 0x07, for the scan codes.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections import deque
from pathlib import Path

from host_sim.chips.faces import Fault
from host_sim.linux.plugged import PluggedDevice

EVENT = struct.Struct("@LLHHi")  # struct input_event
EV_SYN, EV_KEY, EV_MSC = 0, 1, 4
SYN_REPORT, SYN_DROPPED, MSC_SCAN = 0, 3, 4
UP, DOWN, REPEAT = 0, 1, 2
REPEAT_DELAY_S, REPEAT_PERIOD_S = 0.25, 0.033  # as the kernel repeats a key
TAP_S = 0.03  # a short tap, and the time to the next one

KEY_NUMLOCK = (69, 0x53)
# Name -> code and HID usage: a keypad with the keys that a terminal has, those of a telephone where no other has them.
KEYS = {
    "1": (79, 0x59),
    "2": (80, 0x5A),
    "3": (81, 0x5B),
    "4": (75, 0x5C),
    "5": (76, 0x5D),
    "6": (77, 0x5E),
    "7": (71, 0x5F),
    "8": (72, 0x60),
    "9": (73, 0x61),
    "0": (82, 0x62),
    "enter": (96, 0x58),
    "cancel": (1, 0x29),
    "clear": (14, 0x2A),
    "up": (103, 0x52),
    "down": (108, 0x51),
    "star": (55, 0x55),
    "hash": (0x20B, 0xBB),  # of page 0x0B, telephony
    "help": (59, 0x3A),
}


class InputDevice(PluggedDevice):
    """Sends keys as the kernel does: repeats the one pressed last while it is down, and throws all away when nobody reads."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._fifo = -1
        self._path = folder / "event"
        self._repeat: asyncio.TimerHandle | None = None

    def key(self, code: int, usage: int, value: int) -> None:
        """A key goes down or up; nothing happens while the device is not there."""
        if not self._is_there:
            return
        if self._repeat is not None:
            self._repeat.cancel()
        self._send((EV_MSC, MSC_SCAN, 0x70000 | usage), (EV_KEY, code, value), (EV_SYN, SYN_REPORT, 0))
        if value == DOWN:
            self._repeat = asyncio.get_running_loop().call_later(REPEAT_DELAY_S, self._repeated, code)

    def _repeated(self, code: int) -> None:
        self._send((EV_KEY, code, REPEAT), (EV_SYN, SYN_REPORT, 1))
        self._repeat = asyncio.get_running_loop().call_later(REPEAT_PERIOD_S, self._repeated, code)

    def _send(self, *events: tuple[int, int, int]) -> None:
        try:
            os.write(self._fifo, _bytes_of(*events))
        except BlockingIOError:  # full: a FIFO takes so few bytes as a whole or not at all
            self._throw_away()
            os.write(self._fifo, _bytes_of((EV_SYN, SYN_DROPPED, 0), *events))

    def _throw_away(self) -> None:
        try:
            while os.read(self._fifo, 65536):
                pass
        except BlockingIOError:
            return

    def _plug_in(self, number: int) -> Path:
        self._path = self.folder / f"event{number}"
        self._path.unlink(missing_ok=True)  # of a run that was cut off
        os.mkfifo(self._path)
        self._fifo = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)  # to read as well: so it opens before anybody reads
        return self._path

    def _pull_out(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
        os.close(self._fifo)
        self._fifo = -1
        self._path.unlink()


def _bytes_of(*events: tuple[int, int, int]) -> bytes:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return b"".join(EVENT.pack(seconds, nanoseconds // 1000, *event) for event in events)


class KeypadDevice(InputDevice):
    """A keypad with all keys that a keypad can have. The back face is as host_sim.chips.key_matrix.KeyMatrixChip's, but that a tap is over
    after its time, whether anybody has read it or not: the kernel keeps it.
    """

    kind = "keypad"
    part = "evdev"
    HABITS = {"numlock": "it presses NumLock before and after each digit, as some keypads with a cable to a laptop do"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        faults = dict(self.PLUG_FAULTS)
        for key in KEYS:
            faults["dead_" + key] = Fault(f"key {key} never closes", "key_dead")
            faults["stuck_" + key] = Fault(f"key {key} is always down", "key_stuck")
        self.FAULTS = faults  # type: ignore[misc]  # made for its keys, as a matrix's are
        self._down: set[str] = set()  # as the kernel has been told
        self._pressed: set[str] = set()  # by a finger
        self._taps: deque[tuple[str, bool]] = deque()  # what fingers will do: key, and down or up

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(KEYS)

    def press(self, key: str) -> None:
        """Put a finger on a key and leave it there. Raises KeyError for a key that it does not have."""
        self._finger(key, True)

    def release(self, key: str) -> None:
        self._finger(key, False)

    def tap(self, key: str) -> None:
        """Press and release; taps wait for each other. Raises KeyError."""
        if key not in KEYS:
            raise KeyError(key)
        self._taps += [(key, True), (key, False)]
        if len(self._taps) == 2:
            self._next_move()

    def is_seen(self, key: str) -> bool:
        """What the kernel was told it keeps."""
        return True

    @property
    def idle(self) -> bool:
        """Whether all taps are done."""
        return not self._taps

    def _next_move(self) -> None:
        self._finger(*self._taps[0])
        asyncio.get_running_loop().call_later(TAP_S, self._moved)

    def _moved(self) -> None:
        self._taps.popleft()
        if self._taps:
            self._next_move()

    def _finger(self, key: str, down: bool) -> None:
        if key not in KEYS:
            raise KeyError(key)
        (self._pressed.add if down else self._pressed.discard)(key)
        self._tell()

    def _arrange(self) -> None:
        super()._arrange()
        if not self._is_there:
            self._down.clear()  # a keypad that comes back tells anew what is down
        self._tell()

    def _tell(self) -> None:
        """The kernel hears of each key whose contact is not as it was."""
        for key, (code, usage) in KEYS.items():
            is_down = self.has("stuck_" + key) or (key in self._pressed and not self.has("dead_" + key))
            if not self._is_there or is_down == (key in self._down):
                continue
            (self._down.add if is_down else self._down.discard)(key)
            wraps = self.has("numlock") and key.isdigit()
            if wraps and is_down:
                self._num_lock()
            self.key(code, usage, DOWN if is_down else UP)
            if wraps and not is_down:
                self._num_lock()

    def _num_lock(self) -> None:
        self.key(*KEY_NUMLOCK, DOWN)
        self.key(*KEY_NUMLOCK, UP)
