"""What the merchant has made ready for his application: one record for each thing, written as he makes it.

It is kept until no reason holds any more, whatever is suspended, refused or added meanwhile: what lies ready still lies ready. `Terminal`
forgets it in the write that lifts the last reason.
"""

from firmware_agent.card_numbers import masked
from firmware_agent.messages.cbor import CborError, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal

PREFIX = "draft."
MATERIALS = PREFIX + "materials"  # numbers of those that are ticked
SENTENCES = PREFIX + "sentences"  # of the statement, each '<reason>.<number>'
WORDS = PREFIX + "words"  # of the statement, typed
NAME = PREFIX + "name"
TELEPHONE = PREFIX + "telephone"
LEVEL = PREFIX + "level"  # to whom it is to go, LEVELS of the state machine
REPLACED = PREFIX + "replaced"  # the device is to be replaced, not repaired
TYPING = PREFIX + "typing"  # [key of the record, text]: what is being typed, as far as it has come


class Draft:
    """Reads through to the store; a record that cannot be read counts as not made."""

    def __init__(self, terminal: "Terminal") -> None:
        self._terminal = terminal

    def text(self, key: str, default: str = "") -> str:
        value = self._get(key)
        return value if isinstance(value, str) else default

    def number(self, key: str) -> int:
        value = self._get(key)
        return value if isinstance(value, int) else 0

    def items(self, key: str) -> "list[object]":
        value = self._get(key)
        return value if isinstance(value, list) else []

    def put(self, key: str, value: object) -> None:
        """Raises StoreError: it was not made. A card number that somebody types is masked."""
        if isinstance(value, str):
            value = masked(value)
        changes: list[tuple[str, bytes | None]] = [(key, encode(value))] if value != self._get(key) else []
        if self.half_typed(key) is not None:
            changes.append((TYPING, None))
        if changes:
            self._terminal.apply([], changes=changes)

    def toggle(self, key: str, item: object) -> None:
        """Put an item to a list, or take it out. Raises StoreError."""
        items = self.items(key)
        self.put(key, [held for held in items if held != item] if item in items else items + [item])

    def half_typed(self, key: str) -> "str | None":
        """What was being typed for that record when the power went, or the person left; None: nothing."""
        typing = self.items(TYPING)
        return typing[1] if len(typing) == 2 and typing[0] == key and isinstance(typing[1], str) else None

    def type_on(self, key: str, text: str) -> None:
        """Keep what is typed so far; in memory where it cannot be written, for the person is told when he has finished."""
        self._terminal.store.keep([(TYPING, encode([key, masked(text)]))])

    def drop(self, key: str) -> None:
        """What is half typed is not wanted."""
        if self.half_typed(key) is not None:
            self._terminal.store.keep([(TYPING, None)])

    def _get(self, key: str) -> object:
        record = self._terminal.store.get(key)
        try:
            return decode(record) if record is not None else None
        except CborError:
            return None


def forgotten(store: "Store") -> "list[tuple[str, bytes | None]]":
    """What to write when it is over."""
    return [(key, None) for key in store.keys(PREFIX)]
