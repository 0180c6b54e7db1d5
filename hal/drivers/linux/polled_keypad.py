"""What keypads on Linux share: the kernel keeps what was pressed, and a look takes it from there."""

from collections import deque

from hal.device import Device
from hal.errors import DeviceError
from hal.keypad import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock

LOOK_MS = 10  # from one look to the next, as long as somebody waits for a key
_KEPT_KEYS = 8
NAMES = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "enter", "cancel", "clear", "up", "down", "star", "hash", "help")


class PolledKeypad(Device):
    """A driver writes `_look` besides what each device has. Nothing is read while nobody waits for a key, and nothing is missed: the kernel
    keeps it.
    """

    kind = CONTRACT.kind
    level = 1  # neither a kernel's keyboard nor a terminal tells how its lines are wired, or how its contacts bounce

    def __init__(self, clock: "Clock") -> None:
        super().__init__()
        self._clock = clock
        self._pressed: deque[str] = deque(maxlen=_KEPT_KEYS)
        self.keys: tuple[str, ...] = NAMES

    async def read(self, timeout_ms: int) -> "str | None":
        """The next key pressed, or None. Raises DeviceError E_DISABLED.

        A keypad that was lost gives no key: it is looked for all the time, and its health says that it is lost.
        """
        self.require_enabled()
        until_ms = self._clock.monotonic_ms() + timeout_ms
        while True:
            try:
                self._pressed.extend(self._look())
            except DeviceError:
                pass  # nobody can press a key of it: the health check finds the same, and tells
            if self._pressed:
                return self._pressed.popleft()
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                return None
            await self._clock.sleep_ms(min(left_ms, LOOK_MS))

    def _look(self) -> "list[str]":
        """The keys newly pressed. Finds again a device that was lost. Raises DeviceError while it is not there."""
        raise NotImplementedError
