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
        if value != self._get(key):
            self._terminal.apply([], changes=[(key, encode(value))])

    def toggle(self, key: str, item: object) -> None:
        """Put an item to a list, or take it out. Raises StoreError."""
        items = self.items(key)
        self.put(key, [held for held in items if held != item] if item in items else items + [item])

    def _get(self, key: str) -> object:
        record = self._terminal.store.get(key)
        try:
            return decode(record) if record is not None else None
        except CborError:
            return None


def forgotten(store: "Store") -> "list[tuple[str, bytes | None]]":
    """What to write when it is over."""
    return [(key, None) for key in store.keys(PREFIX)]
