"""Driver: a keypad or keyboard that the Linux kernel knows as an input device. Contract: hal/keypad.py."""

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.drivers.linux.event_device import PRESSED, REPEATED, EventDevice
from hal.drivers.linux.polled_keypad import LOOK_MS, NAMES, PolledKeypad
from hal.errors import E_FAILURE, E_NOHARDWARE, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock

# Codes of linux/input-event-codes.h: of the row of digits, the keypad (KEY_KP*) and telephones (KEY_NUMERIC_*).
CODES = {
    "0": (11, 82, 0x200),
    "1": (2, 79, 0x201),
    "2": (3, 80, 0x202),
    "3": (4, 81, 0x203),
    "4": (5, 75, 0x204),
    "5": (6, 76, 0x205),
    "6": (7, 77, 0x206),
    "7": (8, 71, 0x207),
    "8": (9, 72, 0x208),
    "9": (10, 73, 0x209),
    "enter": (28, 96),  # KEY_ENTER, KEY_KPENTER
    "cancel": (1, 223),  # KEY_ESC, KEY_CANCEL
    "clear": (14, 111, 0x163),  # KEY_BACKSPACE, KEY_DELETE, KEY_CLEAR
    "up": (103,),
    "down": (108,),
    "star": (55, 0x20A),  # KEY_KPASTERISK, KEY_NUMERIC_STAR
    "hash": (0x20B,),  # KEY_NUMERIC_POUND
    "help": (59, 138),  # KEY_F1, KEY_HELP
}
_NAME_OF = {code: name for name, codes in CODES.items() for code in codes}

_CHECK_LOOKS = 35  # longer than the kernel waits before it repeats a key (250 ms, then each 33 ms), however busy the machine is


class EvdevKeypad(PolledKeypad):
    """device: path of an event device, best in /dev/input/by-id. It is grabbed: its keys do not go to the console, too. keys: the names of
    the keys that it has, with blanks between; '': those that the device says it has, or all there can be, where it does not say. (A number
    pad may say that it has all the keys of a keyboard: then a test would call them dead.)

    A key that is down already at bring-up is not read as pressed; one that the kernel repeats is read once. Raises ValueError for a key
    that no keypad has.
    """

    part = "evdev"

    def __init__(self, device: str, clock: "Clock", keys: str = "") -> None:
        super().__init__(clock)
        self._listed = keys.split()
        for name in self._listed:
            if name not in CODES:
                raise ValueError("no key %r; there are: %s" % (name, " ".join(NAMES)))
        self._device = device
        self._events = EventDevice(device, self.kind)

    async def _bring_up(self) -> None:
        self._pressed.clear()
        self._events.open()
        codes = self._events.codes
        said = [name for name in NAMES if codes is None or any(code in codes for code in CODES[name])]
        self.keys = tuple([name for name in said if not self._listed or name in self._listed])
        if not self.keys:
            self._events.close()
            raise DeviceError(E_NOHARDWARE, self.kind, "%s has none of the keys of a keypad" % self._device)

    def _shut_down(self) -> None:
        self._events.close()

    async def _check_health(self, level: int) -> Health:
        """A key that is down at the end, and did not move during the check, is stuck. A key that never closes only a person can find."""
        self._pressed.extend(self._look())
        moved = set()
        for _ in range(_CHECK_LOOKS):
            await self._clock.sleep_ms(LOOK_MS)
            changes = self._events.read()
            self._pressed.extend(_presses(changes))
            moved.update([code for code, value in changes if value != REPEATED])
        stuck = {_NAME_OF[code] for code in self._events.down - moved if code in _NAME_OF}
        measurements = {"keys_down": len(stuck)}
        if stuck:
            detail = " ".join([name for name in NAMES if name in stuck])
            return Health(HEALTH_FAIL, self.kind, "key_stuck", E_FAILURE, detail=detail, measurements=measurements)
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    def _look(self) -> "list[str]":
        return _presses(self._events.read())


def _presses(changes: "list[tuple[int, int]]") -> "list[str]":
    return [_NAME_OF[code] for code, value in changes if value == PRESSED and code in _NAME_OF]
