"""Model of a key matrix: contacts between row and column lines, a diode at each contact, and a person's fingers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from host_sim.chips.faces import PinChip

TAP_SCANS = 4  # a tap lasts for at least so many looks at its contact ...
TAP_MS = 60  # ... and for at least so long: a short tap of a finger
BOUNCE_SCANS = 5  # looks for which a bouncing contact shows both states in turn after each change


class _Contact:
    def __init__(self, row: int, column: int) -> None:
        self.row = row
        self.column = column
        self.pressed = False
        self.bounces_left = 0


class KeyMatrixChip(PinChip):
    """rows, columns: pin numbers; keys: the key names, a list for each row. The terminal drives columns and reads rows.

    Faults are made for the matrix at hand: 'dead_5', 'stuck_5' for each key, 'row_1_broken', 'column_1_broken' (counted from 1).
    """

    def __init__(self, now_ms: Callable[[], int], rows: Sequence[int], columns: Sequence[int], keys: Sequence[Sequence[str]]) -> None:
        super().__init__(now_ms)
        self._contacts = {
            key: _Contact(row, column)
            for row, names in zip(rows, keys, strict=True)
            for column, key in zip(columns, names, strict=True)
        }
        faults = {"bounce": "contacts bounce after each change", "ghosting": "the diodes are missing: three keys can show a fourth"}
        for key in self._contacts:
            faults["dead_" + key] = f"key {key} never closes"
            faults["stuck_" + key] = f"key {key} is always closed"
        for number, row in enumerate(rows, 1):
            faults[f"row_{number}_broken"] = f"the line of row {number} (pin {row}) is broken"
        for number, column in enumerate(columns, 1):
            faults[f"column_{number}_broken"] = f"the line of column {number} (pin {column}) is broken"
        self.FAULTS = faults  # type: ignore[misc]  # of this matrix, not of the class
        self._rows = list(rows)
        self._columns = list(columns)
        self._low: set[int] = set()  # the columns driven low
        self._taps: deque[tuple[str, bool]] = deque()  # what fingers will do: key, and down or up
        self._looks = 0
        self._since_ms = 0

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._contacts)

    # The back face.

    def press(self, key: str) -> None:
        """Put a finger on a key and leave it there. Raises KeyError for a key that is not on this matrix."""
        self._move(key, True)

    def release(self, key: str) -> None:
        self._move(key, False)

    def tap(self, key: str) -> None:
        """Press and release, each for long enough to be seen by whoever scans; taps wait for each other."""
        if key not in self._contacts:
            raise KeyError(key)
        self._taps.append((key, True))
        self._taps.append((key, False))
        if len(self._taps) == 2:
            self._begin_tap()

    @property
    def idle(self) -> bool:
        """Whether all taps are done."""
        return not self._taps

    def _move(self, key: str, down: bool) -> None:
        contact = self._contacts[key]
        if contact.pressed != down:
            contact.pressed = down
            contact.bounces_left = BOUNCE_SCANS if self.has("bounce") else 0

    def _begin_tap(self) -> None:
        if self._taps:
            key, down = self._taps[0]
            self._move(key, down)
            self._looks = 0

    # The bus face.

    def power_up(self) -> None:
        self._low.clear()

    def pin_driven(self, pin: int, level: int) -> None:
        (self._low.discard if level else self._low.add)(pin)

    def pin_level(self, pin: int) -> int | None:
        self._look_at(pin)
        if self.has(f"row_{self._rows.index(pin) + 1}_broken"):
            return None
        closed = [contact for key, contact in self._contacts.items() if self._is_closed(key, contact)]
        lines = {pin}  # what is connected to this row
        while self.has("ghosting"):
            reached = {contact.column for contact in closed if contact.row in lines}
            reached |= {contact.row for contact in closed if contact.column in lines}
            if reached <= lines:
                break
            lines |= reached
        return 0 if any(contact.column in self._low for contact in closed if contact.row in lines) else None

    def _look_at(self, row: int) -> None:
        """The terminal looks at the contacts of a row that are on a low column: they bounce on, and a tap comes nearer to its end."""
        for contact in self._contacts.values():
            if contact.row == row and contact.column in self._low and contact.bounces_left:
                contact.bounces_left -= 1
        if not self._taps:
            return
        tapped = self._contacts[self._taps[0][0]]
        if tapped.row != row or tapped.column not in self._low:
            return
        if self._looks == 0:
            self._since_ms = self.now_ms()
        self._looks += 1
        if self._looks > TAP_SCANS and self.now_ms() - self._since_ms >= TAP_MS and not tapped.bounces_left:
            self._taps.popleft()
            self._begin_tap()

    def _is_closed(self, key: str, contact: _Contact) -> bool:
        if self.has(f"column_{self._columns.index(contact.column) + 1}_broken"):
            return False
        if self.has("stuck_" + key) or self.has("dead_" + key):
            return self.has("stuck_" + key)
        return contact.pressed != bool(contact.bounces_left % 2)
