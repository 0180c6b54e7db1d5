"""Driver: a matrix of keys on GPIO pins, rows read with pull-ups, columns pulled low one at a time."""

from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE
from hal.keypad import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock

_SCAN_INTERVAL_MS = 10
_DEBOUNCE_MS = 20  # a state counts once it has lasted so long; contacts of keypads bounce for 5 to 10 ms
_SCAN_GAP_MS = 100  # after a pause this long between two scans only what both show alike is known of the time between them
_SHORTEST_MS = 40  # that a finger presses or lets go: what is shorter is the contact's
_REST_AFTER_MS = 1000  # without a contact that closes: nobody types
_REST_INTERVAL_MS = 20  # what a finger presses for _SHORTEST_MS is still found closed twice
_KEPT_KEYS = 8
_MOST_KEYS_DOWN = 2  # of which the matrix can be trusted: three can show a fourth that nobody pressed
_CHECK_MS = 200


class MatrixKeypad(Device):
    """rows: input pins with pull-ups; columns: open-drain pins with pull-ups, so that a line that is low by itself shows; layout: the key
    names, a list for each row.

    Scanning happens in `read` and in the health check. A key that is down already at bring-up is not read as pressed. Where nobody types
    all columns are held low, and one look at the rows tells whether any key is down: a terminal that waits has little to do.
    """

    kind = CONTRACT.kind
    part = "matrix_keypad"
    level = 2

    def __init__(self, rows: "list[Any]", columns: "list[Any]", layout: "list[list[str]]", clock: "Clock") -> None:
        super().__init__()
        self._rows = rows
        self._columns = columns
        self._clock = clock
        self._names = [layout[row][column] for column in range(len(columns)) for row in range(len(rows))]  # as scanned
        self.layout = tuple([tuple(row) for row in layout])
        self.keys = tuple([key for row in layout for key in row])
        self.bounces = 0
        self._down = [False] * len(self._names)  # debounced
        self._changed_ms = [0] * len(self._names)  # until when the contact agreed with the debounced state
        self._closed = [False] * len(self._names)  # as it was at the last scan
        self._moved_ms = [0] * len(self._names)  # when that last changed
        self._short_moves = bytearray(len(self._names))  # changes one after the other, each too short for a finger
        self._scanned_ms = 0
        self._quiet_ms = 0  # when a contact was found closed last
        self._rests = False  # all columns are low
        self._pressed: list[str] = []

    async def read(self, timeout_ms: int) -> "str | None":
        """The next key pressed, or None. Raises DeviceError E_DISABLED."""
        self.require_enabled()
        begun_ms = self._clock.monotonic_ms()
        while True:
            if not self._is_at_rest():
                self._scan()
            if self._pressed:
                return self._pressed.pop(0)
            left_ms = timeout_ms - (self._clock.monotonic_ms() - begun_ms)
            if left_ms <= 0:
                return None
            await self._clock.sleep_ms(min(left_ms, _REST_INTERVAL_MS if self._rests else _SCAN_INTERVAL_MS))

    def down(self) -> "tuple[str, ...]":
        """The keys whose contacts are closed right now, row by row. Raises DeviceError E_DISABLED."""
        self.require_enabled()
        self._wake()
        contacts = self._contacts()
        return tuple([key for key in self.keys if contacts[self._names.index(key)]])

    async def _bring_up(self) -> None:
        self._drive(1)
        self._rests = False
        self._pressed = []
        self.bounces = 0
        self._down = self._contacts()
        self._scanned_ms = self._quiet_ms = self._clock.monotonic_ms()
        self._settle(self._scanned_ms, self._down)

    async def _check_health(self, level: int) -> Health:
        """A line that is low while no column is pulled low is shorted to ground; a key that is down in every scan of the check is stuck.
        A key or a line that never closes only a person can find.
        """
        self._wake()
        for cause, lines, keys in (
            ("row_shorted", self._rows, self.layout),
            ("column_shorted", self._columns, [[row[column] for row in self.layout] for column in range(len(self._columns))]),
        ):
            low = [number for number, line in enumerate(lines) if line.value() == 0]
            if low:
                details = ["%s %d (%s)" % (cause.split("_")[0], number + 1, " ".join(keys[number])) for number in low]
                return Health(HEALTH_FAIL, self.kind, cause, E_FAILURE, detail=", ".join(details))
        stuck = self._scan()
        begun_ms = self._clock.monotonic_ms()
        while self._clock.monotonic_ms() - begun_ms < _CHECK_MS:
            await self._clock.sleep_ms(_SCAN_INTERVAL_MS)
            contacts = self._scan()
            stuck = [was and now for was, now in zip(stuck, contacts)]  # noqa: B905  MicroPython's zip has no strict
        names = [key for key in self.keys if stuck[self._names.index(key)]]
        measurements = {"keys_down": len(names), "bounces": self.bounces}
        if names:
            return Health(HEALTH_FAIL, self.kind, "key_stuck", E_FAILURE, detail=" ".join(names), measurements=measurements)
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    def _drive(self, level: int) -> None:
        for column in self._columns:
            column.value(level)

    def _is_at_rest(self) -> bool:
        """Whether all columns are low and no row is: then there is nothing to scan."""
        now_ms = self._clock.monotonic_ms()
        if not self._rests:
            if now_ms - self._quiet_ms < _REST_AFTER_MS or True in self._down or True in self._closed:
                return False
            self._drive(0)
            self._rests = True
        for row in self._rows:
            if row.value() == 0:
                self._wake()
                return False
        self._scanned_ms = now_ms
        return True

    def _wake(self) -> None:
        """Scan again, as if the last look at rest had been a scan that found all open."""
        if not self._rests:
            return
        self._drive(1)
        self._rests = False
        self._quiet_ms = now_ms = self._clock.monotonic_ms()
        open_ms = self._scanned_ms
        if now_ms - open_ms < 2 * _REST_INTERVAL_MS:  # who looks in time sees a press twice: once may be a contact's moment
            open_ms = now_ms - _SCAN_INTERVAL_MS
        for index in range(len(self._names)):
            self._changed_ms[index] = open_ms

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
        contacts = self._contacts()
        if now_ms - self._scanned_ms > _SCAN_GAP_MS:
            self._settle(now_ms, contacts)
        self._scanned_ms = now_ms
        if True in contacts:
            self._quiet_ms = now_ms
        self._count_bounces(contacts, now_ms)
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

    def _count_bounces(self, contacts: "list[bool]", now_ms: int) -> None:
        for index, closed in enumerate(contacts):
            if closed != self._closed[index]:
                self._closed[index] = closed
                too_short = now_ms - self._moved_ms[index] < _SHORTEST_MS
                self._short_moves[index] = min(self._short_moves[index] + 1, 255) if too_short else 0
                self._moved_ms[index] = now_ms
                self.bounces = max(self.bounces, self._short_moves[index])

    def _settle(self, now_ms: int, contacts: "list[bool]") -> None:
        """Begin debouncing anew each contact that has moved since the last scan: nobody knows when. One that a busy program finds closed
        twice was pressed, however late the second look came.
        """
        for index, closed in enumerate(contacts):
            if closed != self._closed[index]:
                self._changed_ms[index] = now_ms
            self._moved_ms[index] = now_ms - _SHORTEST_MS
            self._short_moves[index] = 0
        self._closed = list(contacts)

    def _keep(self, key: str) -> None:
        if len(self._pressed) == _KEPT_KEYS:
            self._pressed.pop(0)
        self._pressed.append(key)
