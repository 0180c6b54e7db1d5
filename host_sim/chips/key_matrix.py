"""Model of a key matrix: contacts between row and column lines, a diode at each contact, and a person's fingers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from host_sim.chips.faces import Fault, PinChip

TAP_SCANS = 8  # a tap lasts for at least so many looks at its contact: a program that stalls in between has looks left to debounce it ...
TAP_MS = 60  # ... and for at least so long: a short tap of a finger
BOUNCE_MS = 5  # for which a good contact opens and closes after each change; data sheets of keys give 5 to 10
WORN_CHANGES = 6  # of a worn contact after each change ...
WORN_MS = 25  # ... each so long that debouncing takes it for a press


class _Contact:
    def __init__(self, row: int, column: int) -> None:
        self.row = row
        self.column = column
        self.pressed = False
        self.moved_ms = -1_000_000  # when the finger moved: long ago
        self.looks = 0  # at the contact since then


class KeyMatrixChip(PinChip):
    """rows, columns: pin numbers; keys: the key names, a list for each row. The terminal drives columns and reads rows and columns.

    Faults are made for the matrix at hand: 'dead_5', 'stuck_5' for each key; 'row_1_broken', 'column_1_shorted' for each line, from 1.
    """

    HABITS = {"bounce": f"contacts open and close for {BOUNCE_MS} ms after each change"}

    def __init__(self, now_ms: Callable[[], int], rows: Sequence[int], columns: Sequence[int], keys: Sequence[Sequence[str]]) -> None:
        super().__init__(now_ms)
        self._contacts = {
            key: _Contact(row, column) for row, names in zip(rows, keys, strict=True) for column, key in zip(columns, names, strict=True)
        }
        self._pressed: dict[str, _Contact] = {}
        faults = {
            "worn_contacts": Fault("contacts bounce for so long that one press counts more than once", "bounce"),
            "ghosting": Fault("the diodes are missing: three keys can show a fourth", "ghosting"),
        }
        for key in self._contacts:
            faults["dead_" + key] = Fault(f"key {key} never closes", "key_dead")
            faults["stuck_" + key] = Fault(f"key {key} is always closed", "key_stuck")
        for line, pins in (("row", rows), ("column", columns)):
            for number, pin in enumerate(pins, 1):
                faults[f"{line}_{number}_broken"] = Fault(f"the line of {line} {number} (pin {pin}) is broken", f"{line}_open")
                faults[f"{line}_{number}_shorted"] = Fault(f"the line of {line} {number} (pin {pin}) touches ground", f"{line}_shorted")
        self.FAULTS = faults  # type: ignore[misc]  # of this matrix, not of the class
        self._lines = {pin: f"row_{number}" for number, pin in enumerate(rows, 1)}
        self._lines |= {pin: f"column_{number}" for number, pin in enumerate(columns, 1)}
        self._columns = frozenset(columns)
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

    def is_seen(self, key: str) -> bool:
        """Whether the terminal has looked at the key for as long as at one that is tapped, since the finger moved."""
        contact = self._contacts[key]
        return contact.looks > TAP_SCANS and self.now_ms() - contact.moved_ms >= TAP_MS

    @property
    def idle(self) -> bool:
        """Whether all taps are done."""
        return not self._taps

    def _move(self, key: str, down: bool) -> None:
        contact = self._contacts[key]
        if contact.pressed != down:
            contact.pressed = down
            if down:
                self._pressed[key] = contact
            else:
                del self._pressed[key]
            contact.moved_ms = self.now_ms()
            contact.looks = 0

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
        line = self._lines[pin]
        if pin not in self._columns:
            self._look_at(pin)
        if self.has(line + "_broken"):
            return None
        return 0 if self._is_low(pin) else None

    def _is_low(self, pin: int) -> bool:
        """Whether a line is pulled low: by itself, or through closed contacts. A diode lets current flow from a row to a column only."""
        closed = list(self._pressed.values())
        if self._faults:  # else each contact is what the finger makes it: asking all of them is most of what a scan costs
            closed = [contact for key, contact in self._contacts.items() if self._is_closed(key, contact)]
        lines = {pin}  # what pulls at this one
        while True:
            reached = {contact.column for contact in closed if contact.row in lines}
            if self.has("ghosting"):
                reached |= {contact.row for contact in closed if contact.column in lines}
            if reached <= lines:
                break
            lines |= reached
        return any(line in self._low or self.has(self._lines[line] + "_shorted") for line in lines)

    def _look_at(self, row: int) -> None:
        """The terminal looks at the contacts of a row that are on a low column: a tap comes nearer to its end."""
        for contact in self._contacts.values():
            if contact.row == row and contact.column in self._low:
                contact.looks += 1
        if not self._taps:
            return
        tapped = self._contacts[self._taps[0][0]]
        if tapped.row != row or tapped.column not in self._low:
            return
        if self._looks == 0:
            self._since_ms = self.now_ms()
        self._looks += 1
        lasts_ms = TAP_MS + (WORN_CHANGES * WORN_MS if self.has("worn_contacts") else 0)
        if self._looks > TAP_SCANS and self.now_ms() - self._since_ms >= lasts_ms:
            self._taps.popleft()
            self._begin_tap()

    def _is_closed(self, key: str, contact: _Contact) -> bool:
        if self.has(self._lines[contact.column] + "_broken"):
            return False
        if self.has("stuck_" + key) or self.has("dead_" + key):
            return self.has("stuck_" + key)
        return contact.pressed != self._is_bouncing(contact)

    def _is_bouncing(self, contact: _Contact) -> bool:
        """Whether the contact shows just now what it was before the finger moved."""
        since_ms = self.now_ms() - contact.moved_ms
        if self.has("worn_contacts"):
            return since_ms < WORN_CHANGES * WORN_MS and since_ms // WORN_MS % 2 == 1
        return self.has("bounce") and since_ms < BOUNCE_MS and contact.looks % 2 == 1
