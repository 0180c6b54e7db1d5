"""Driver: a matrix of keys on GPIO pins, rows read with pull-ups, columns driven low one at a time."""

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE
from hal.keypad import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

_SCAN_INTERVAL_MS = 10
_DEBOUNCE_MS = 20  # a state counts once it has lasted so long; contacts of keypads bounce for 5 to 10 ms
_SCAN_GAP_MS = 100  # after a pause this long between two scans nothing is known of the time between them
_KEPT_KEYS = 8
_MOST_KEYS_DOWN = 2  # of which the matrix can be trusted: three can show a fourth that nobody pressed
_CHECK_MS = 200


class MatrixKeypad(Device):
    """rows: input pins; columns: output pins; layout: the key names, a list for each row.

    Scanning happens in `read` and in the health check. A key that is down already at bring-up is not read as pressed.
    """

    kind = CONTRACT.kind
    part = "matrix_keypad"

    def __init__(self, rows: "list[Any]", columns: "list[Any]", layout: "list[list[str]]", clock: "Clock") -> None:
        super().__init__()
        self._rows = rows
        self._columns = columns
        self._clock = clock
        self._names = [layout[row][column] for column in range(len(columns)) for row in range(len(rows))]  # as scanned
        self.keys = tuple([key for row in layout for key in row])
        self._down = [False] * len(self._names)  # debounced
        self._changed_ms = [0] * len(self._names)  # until when the contact agreed with the debounced state
        self._scanned_ms = 0
        self._pressed: list[str] = []

    async def read(self, timeout_ms: int) -> "str | None":
        """The next key pressed, or None. Raises DeviceError E_DISABLED."""
        self.require_enabled()
        begun_ms = self._clock.monotonic_ms()
        while True:
            self._scan()
            if self._pressed:
                return self._pressed.pop(0)
            left_ms = timeout_ms - (self._clock.monotonic_ms() - begun_ms)
            if left_ms <= 0:
                return None
            await self._clock.sleep_ms(min(left_ms, _SCAN_INTERVAL_MS))

    async def _bring_up(self) -> None:
        for column in self._columns:
            column.value(1)
        self._pressed = []
        self._down = self._contacts()
        self._settle(self._clock.monotonic_ms())

    async def _check_health(self, level: int) -> Health:
        """A key that is down in every scan of the check is stuck. A key that never closes only a person can find."""
        stuck = self._scan()
        begun_ms = self._clock.monotonic_ms()
        while self._clock.monotonic_ms() - begun_ms < _CHECK_MS:
            await self._clock.sleep_ms(_SCAN_INTERVAL_MS)
            contacts = self._scan()
            stuck = [was and now for was, now in zip(stuck, contacts)]  # noqa: B905  MicroPython's zip has no strict
        names = [key for key in self.keys if stuck[self._names.index(key)]]
        measurements = {"keys_down": len(names)}
        if names:
            return Health(HEALTH_FAIL, self.kind, "key_stuck", E_FAILURE, detail=" ".join(names), measurements=measurements)
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    def _contacts(self) -> "list[bool]":
        """One look at every contact, column by column."""
        contacts = []
        for column in self._columns:
            column.value(0)
            for row in self._rows:
                contacts.append(row.value() == 0)
            column.value(1)
        return contacts

    def _scan(self) -> "list[bool]":
        """Look at the matrix, debounce each key, keep the keys newly pressed. Gives the contacts as they are."""
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._scanned_ms > _SCAN_GAP_MS:
            self._settle(now_ms)
        self._scanned_ms = now_ms
        contacts = self._contacts()
        ambiguous = contacts.count(True) > _MOST_KEYS_DOWN
        for index, closed in enumerate(contacts):
            if closed == self._down[index] or (closed and ambiguous):
                self._changed_ms[index] = now_ms
            elif now_ms - self._changed_ms[index] >= _DEBOUNCE_MS:
                self._down[index] = closed
                self._changed_ms[index] = now_ms
                if closed:
                    self._keep(self._names[index])
        return contacts

    def _settle(self, now_ms: int) -> None:
        """Begin debouncing anew."""
        self._scanned_ms = now_ms
        for index in range(len(self._changed_ms)):
            self._changed_ms[index] = now_ms

    def _keep(self, key: str) -> None:
        if len(self._pressed) == _KEPT_KEYS:
            self._pressed.pop(0)
        self._pressed.append(key)
