"""Driver: a bar-code scanner that types its codes as a keyboard (a keyboard wedge). Contract: hal/scanner.py.

Source: linux/input-event-codes.h for the keys; a US keyboard for their characters, which is how such scanners are delivered.
"""

from hal.device import HEALTH_SUCCESS, Device, Health
from hal.drivers.linux.event_device import LOST, PRESSED, RELEASED, EventDevice
from hal.errors import E_FAILURE, E_ILLEGAL, DeviceError
from hal.scanner import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock

_ROWS = (  # first code of a row of keys, its characters, and those with shift
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (15, "\tqwertyuiop[]", "\tQWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (55, "*", "*"),
    (57, " ", " "),
    (71, "789-456+1230.", "789-456+1230."),  # the keypad
    (98, "/", "/"),
)
CHARACTERS = {first + place: pair for first, plain, shifted in _ROWS for place, pair in enumerate(zip(plain, shifted, strict=True))}
SHIFTS = (42, 54)
ENDS = (28, 96)  # KEY_ENTER, KEY_KPENTER
_LOCKS = (58, 69, 70)  # KEY_CAPSLOCK, KEY_NUMLOCK, KEY_SCROLLLOCK: some scanners press them around a code

LONGEST_CODE = 512  # by the contract
_LOOK_MS = 5
_GAP_MS = 100  # between two keys of one code: scanners leave at most some 20 ms


class _Code:
    """What was typed since the last Enter."""

    def __init__(self) -> None:
        self.text = ""
        self.wrong = ""  # what it is that makes it no code

    @property
    def is_begun(self) -> bool:
        return bool(self.text or self.wrong)

    def add(self, key: int, is_shifted: bool) -> None:
        if key not in CHARACTERS:
            self.wrong = "key %d is no character" % key
        elif len(self.text) == LONGEST_CODE:
            self.wrong = "more than %d characters without Enter" % LONGEST_CODE
        else:
            self.text += CHARACTERS[key][is_shifted]


class EvdevScanner(Device):
    """device: path of an event device, best in /dev/input/by-id. It is grabbed: its codes do not go to the console, too.

    It has no trigger that could be pulled from here: people press its own, or it sees by itself that a code is held to it.
    """

    kind = CONTRACT.kind
    part = "evdev"
    level = 1

    def __init__(self, device: str, clock: "Clock") -> None:
        super().__init__()
        self._clock = clock
        self._events = EventDevice(device, self.kind)
        self._code = _Code()
        self._shifts: set[int] = set()  # that are down
        self._heard_ms = 0  # when the last key moved

    # The contract.

    async def scan(self, timeout_ms: int) -> "str | None":
        """The text of the first code that is begun from now on; None when none came in timeout_ms (1..600000).

        Raises E_FAILURE for what is no code: text without its Enter (cause 'no_suffix'); other keys than those of text, over 512
        characters, or keys that were lost ('garbled_answer'). Raises E_NOHARDWARE ('unplugged') or E_FAILURE ('no_permission') while it is
        not there or may not be used.
        """
        self.require_enabled()
        if not 1 <= timeout_ms <= 600000:
            raise DeviceError(E_ILLEGAL, self.kind, "scan for %d ms" % timeout_ms)
        until_ms = self._clock.monotonic_ms() + timeout_ms
        await self._let_pass(until_ms)
        while True:
            code = self._look()
            if code is not None:
                return self._text_of(code)
            # A code that has begun is read to its end, even past the time.
            if self._clock.monotonic_ms() >= (max(until_ms, self._heard_ms + _GAP_MS) if self._code.is_begun else until_ms):
                break
            await self._clock.sleep_ms(_LOOK_MS)
        if not self._code.is_begun:
            return None
        text = self._text_of(self._code)
        raise DeviceError(E_FAILURE, self.kind, "%d characters without Enter" % len(text), cause="no_suffix")

    def _text_of(self, code: _Code) -> str:
        if code.wrong:
            raise DeviceError(E_FAILURE, self.kind, code.wrong, cause="garbled_answer")
        return code.text

    async def _let_pass(self, until_ms: int) -> None:
        """A code that nobody asked for, to its end: what is left of it must not be taken for a code."""
        self._look()
        while self._code.is_begun and self._clock.monotonic_ms() < min(until_ms, self._heard_ms + _GAP_MS):
            await self._clock.sleep_ms(_LOOK_MS)
            self._look()
        self._code = _Code()

    def _look(self) -> "_Code | None":
        """Take the keys that have come. Gives the first code that came to its end with them; one that is begun is kept. Raises DeviceError
        while the scanner is not there.
        """
        ended = None
        changes = self._events.read()
        if changes:
            self._heard_ms = self._clock.monotonic_ms()
        for key, value in changes:
            if (key, value) == LOST:
                self._code.wrong = "keys came faster than they were read"
            elif key in SHIFTS:
                (self._shifts.discard if value == RELEASED else self._shifts.add)(key)
            elif value != PRESSED or key in _LOCKS:
                continue
            elif key not in ENDS:
                self._code.add(key, bool(self._shifts))
            elif self._code.is_begun:
                ended = ended or self._code
                self._code = _Code()
        return ended

    # Life cycle.

    async def _bring_up(self) -> None:
        self._code = _Code()
        self._shifts.clear()
        self._events.open()

    def _shut_down(self) -> None:
        self._events.close()

    async def _check_health(self, level: int) -> Health:
        """That the machine has it is all that can be known without a code: it says nothing but codes."""
        self._look()
        return Health(HEALTH_SUCCESS, self.kind)
