"""What is still to be sent: kept in the store, in order, bounded; sent again until the broker has acknowledged it.

An entry is the message's claims without a signature. It is signed when it is sent, by the key that is valid then, so that re-registration
strands nothing. Sequence and boot count are fixed when it is queued: the acquirer drops duplicates by them.
"""

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.schema import Claims, decode_body, encode_body, kind_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store

PREFIX = "out."
KEY_SEQUENCE = "sequence"
KEY_DROPPED = "dropped"


class Outbox:
    """store: open; capacity: entries kept at most, save that what is queued at once is never torn apart: the oldest gives way, and is
    counted.
    """

    def __init__(self, store: "Store", terminal: str, boot_count: int, capacity: int = 64) -> None:
        self._store = store
        self._terminal = terminal
        self._boot_count = boot_count
        self._capacity = capacity

    @property
    def dropped(self) -> int:
        return self._number(KEY_DROPPED)

    @property
    def is_crowded(self) -> bool:
        """More than half full: what is worth least is not queued any more."""
        return 2 * len(self.waiting()) > self._capacity

    def changes(self, messages: "list[tuple[str, dict[str, object]]]", wall_s: int) -> "list[tuple[str, bytes | None]]":
        """What to write to the store so that these messages, (kind name, body), are queued: for one write together with what they tell of.

        wall_s: 0 when the clock cannot be trusted. Raises SchemaError for a body that does not keep to the schema.
        """
        changes: list[tuple[str, bytes | None]] = []
        sequence = self._number(KEY_SEQUENCE)
        for name, body in messages:
            sequence += 1
            kind = kind_named(name)
            entry = [kind.number, sequence, self._boot_count, wall_s, encode_body(kind, body)]
            changes.append((PREFIX + "%08x" % sequence, encode(entry)))
        if not changes:
            return changes
        excess = len(self.waiting()) + len(changes) - self._capacity
        if excess > 0:
            gone = self._giving_way(excess)
            changes.extend([(key, None) for key in gone])
            changes.append((KEY_DROPPED, encode(self.dropped + len(gone))))
        changes.append((KEY_SEQUENCE, encode(sequence)))
        return changes

    def next_sequence(self) -> int:
        """A sequence for a message that is sent at once and not queued: taken, and durable."""
        sequence = self._number(KEY_SEQUENCE) + 1
        self._store.put(KEY_SEQUENCE, encode(sequence))
        return sequence

    def waiting(self) -> "list[str]":
        """The keys of what is queued, in order."""
        return self._store.keys(PREFIX)

    def message(self, key: str) -> Claims:
        """The claims of one entry. Raises ValueError for one that this version cannot read."""
        entry = decode(self._store.get(key) or b"")
        if not isinstance(entry, list) or len(entry) != 5:
            raise ValueError("no entry of an outbox")
        number, sequence, boot_count, wall_s, fields = entry
        try:
            kind = kind_named(number)
        except KeyError:
            raise ValueError("there is no kind %r" % number)
        body, unknown = decode_body(kind, fields)
        claims = Claims(kind, self._terminal, sequence, body, issued_at=wall_s, boot_count=boot_count)
        claims.unknown = unknown
        return claims

    def remove(self, key: str) -> None:
        """The broker has it, or a newer message says the same."""
        self._store.remove(key)

    def discard(self, key: str) -> None:
        """It can never be sent: counted with what gave way."""
        self._store.put_all([(key, None), (KEY_DROPPED, encode(self.dropped + 1))])

    def _giving_way(self, excess: int) -> "list[str]":
        """The oldest; but applications last, for a terminal whose application was lost would wait for its answer for ever."""
        others: list[str] = []
        applications: list[str] = []
        for key in self.waiting():
            if len(others) == excess:
                break
            (applications if self._is_application(key) else others).append(key)
        return (others + applications)[:excess]

    def _is_application(self, key: str) -> bool:
        try:
            return self.message(key).kind.name == "application"
        except ValueError:
            return False

    def _number(self, key: str) -> int:
        value = self._store.get(key)
        number = decode(value) if value is not None else 0
        return number if isinstance(number, int) else 0
