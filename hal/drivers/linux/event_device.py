"""An input device of the Linux kernel (/dev/input/event*): which keys were pressed and let go, and which are down.

Source: linux/input.h for the event and the requests, numbered as on x86, ARM and RISC-V; Documentation/input/event-codes.rst for what a
reader does after SYN_DROPPED.
"""

import errno
import fcntl
import os
import struct

from hal.drivers.linux.device_file import unplugged, unusable

EV_SYN = 0x00
EV_KEY = 0x01
SYN_REPORT = 0
SYN_DROPPED = 3
RELEASED, PRESSED, REPEATED = 0, 1, 2  # values of EV_KEY; the kernel repeats the key that was pressed last, for as long as it is down
LOST = (-1, -1)  # among the changes: here the kernel threw some away, because nobody had read them

EVENT = struct.Struct("@LLHHi")  # struct input_event: seconds, microseconds, type, code, value
_KEY_BYTES = 96  # KEY_CNT (0x300) bits
_EVIOCGRAB = 0x40044590
_EVIOCGKEY = 0x80604518  # for _KEY_BYTES, as the next one
_EVIOCGBIT_EV_KEY = 0x80604521
_NO_EVENT_DEVICE = (errno.ENOTTY, errno.EINVAL)

_READ_BYTES = 64 * EVENT.size  # what the kernel keeps for a reader of a keyboard
_DRAIN_READS = 64  # a device that never stops must not hold the driver


class EventDevice:
    """path: best one of /dev/input/by-id, which is the device's own wherever it is plugged in; kind: the contract of the driver.

    Opened it is grabbed: its keys go nowhere else. A path that gives events without being an event device is read all the same: which keys
    it has is unknown then, and which are down only by its events.
    """

    def __init__(self, path: str, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._file = -1
        self._rest = b""  # of an event that has not come whole
        self._is_behind = False  # events were lost, and what comes up to the next report is the rest of them
        self.codes: frozenset[int] | None = None  # of the keys that the device says it has
        self.down: set[int] = set()  # codes of the keys that are down

    def open(self) -> None:
        """What was pressed before is not kept. Raises DeviceError: 'unplugged', 'no_permission', or another file than a device's."""
        self.close()
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            self._grab()
            self.codes = self._asked(_EVIOCGBIT_EV_KEY)
            self.down = set(self._asked(_EVIOCGKEY) or ())
        except OSError as error:
            self.close()
            raise unusable(self._kind, self._path, error) from error
        for _ in range(_DRAIN_READS):
            data = self._received()
            if not data:
                break
            self._take(data)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._rest = b""
        self._is_behind = False
        self.down = set()

    def read(self) -> "list[tuple[int, int]]":
        """The changes of keys that have come, in their order: (code, RELEASED, PRESSED or REPEATED). After LOST: what has changed since, if
        the device can be asked.

        A device that was lost is opened anew. Raises DeviceError, as `open` does, while it is not there.
        """
        if self._file < 0:
            self.open()
        return self._take(self._received())

    def _received(self) -> bytes:
        """What the kernel has; b'' when nothing has come. Raises DeviceError 'unplugged'."""
        try:
            data = os.read(self._file, _READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:  # ENODEV
            data = b""
        if not data:
            self.close()
            raise unplugged(self._kind, self._path)
        return data

    def _take(self, data: bytes) -> "list[tuple[int, int]]":
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        changes = []
        for _, _, type, code, value in EVENT.iter_unpack(data[:whole]):
            if type == EV_SYN and code == SYN_DROPPED:
                changes.append(LOST)
                self._is_behind = True
            elif self._is_behind:
                if type == EV_SYN and code == SYN_REPORT:
                    self._is_behind = False
                    changes.extend(self._caught_up())
            elif type == EV_KEY and value in (RELEASED, PRESSED, REPEATED):
                (self.down.add if value else self.down.discard)(code)
                changes.append((code, value))
        return changes

    def _caught_up(self) -> "list[tuple[int, int]]":
        """The changes since the events that were lost. Of a device that cannot be asked no key is taken to be down."""
        was = self.down
        try:
            self.down = set(self._asked(_EVIOCGKEY) or ())
        except OSError as error:
            self.close()
            raise unusable(self._kind, self._path, error) from error
        released = [(code, RELEASED) for code in sorted(was - self.down)]
        return released + [(code, PRESSED) for code in sorted(self.down - was)]

    # Requests. Each raises OSError for a device that does not answer them any more.

    def _grab(self) -> None:
        try:
            fcntl.ioctl(self._file, _EVIOCGRAB, 1)
        except OSError as error:
            if error.errno not in _NO_EVENT_DEVICE:
                raise

    def _asked(self, request: int) -> "frozenset[int] | None":
        """The codes whose bits are set in the answer; None where this is no event device."""
        bits = bytearray(_KEY_BYTES)
        try:
            fcntl.ioctl(self._file, request, bits)
        except OSError as error:
            if error.errno in _NO_EVENT_DEVICE:
                return None
            raise
        return frozenset(code for code in range(len(bits) * 8) if bits[code // 8] >> code % 8 & 1)
