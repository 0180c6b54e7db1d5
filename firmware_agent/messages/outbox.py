"""What is still to be sent: kept in the store, in order, bounded; sent again until the broker has acknowledged it.

An entry is the message's claims without a signature. It is signed when it is sent, by the key that is valid then, so that re-registration
strands nothing. Sequence and boot count are fixed when it is queued: the acquirer drops duplicates by them.

What is sent goes in the order of the sequence. Where a connection is not to be stormed (see courier.py), PROMPT kinds, which somebody waits
for, overtake the others; among themselves, and the others among themselves, they keep the order.

Each boot has sequences of its own, so that none is ever used twice though none is written down: only the boot is counted, once. A boot that
the store refused to count has the count of the next one, and the first half of that boot's sequences; it begins at a place in it where no
other uncounted boot is likely to begin (docs/decisions/0014-full-storage.md).
"""

import os

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.schema import Claims, decode_body, encode_body, kind_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.store import Store

PREFIX = "out."
KEY_BOOT_COUNT = "boot"
KEY_DROPPED = "dropped"

SEQUENCES = 10**8  # of each boot: read in decimal, a sequence begins with the boot count
UNCOUNTED = SEQUENCES // 2  # the first of them, for a boot that could not be counted
HELD_BYTES = 8192  # of entries that wait in memory, because the store refuses them
PROMPT = ("state", "event", "receipt")
_PROMPT_MARK = "!"  # ends their keys, so that they are found without being read


class Outbox:
    """store: open; boot_count: as the store was given it to keep; place: where an uncounted boot begins, any number; capacity: entries kept
    at most, save that what is queued at once is never torn apart: the oldest gives way, and is counted.
    """

    def __init__(self, store: "Store", terminal: str, boot_count: int, place: int = 0, capacity: int = 64) -> None:
        self._store = store
        self._terminal = terminal
        self._boot_count = boot_count
        self._capacity = capacity
        self._sequence = boot_count * SEQUENCES + place % UNCOUNTED  # the last one taken

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
        for name, body in messages:
            kind = kind_named(name)
            fields = encode_body(kind, body)
            sequence = self.next_sequence()
            entry = [kind.number, sequence, self._boot_count, wall_s, fields]
            changes.append((PREFIX + "%015d" % sequence + (_PROMPT_MARK if name in PROMPT else ""), encode(entry)))
        if not changes:
            return changes
        excess = len(self.waiting()) + len(changes) - self._capacity
        if excess > 0:
            gone = self._giving_way(excess)
            changes.extend([(key, None) for key in gone])
            changes.append((KEY_DROPPED, encode(self.dropped + len(gone))))
        if self._number(KEY_BOOT_COUNT) != self._boot_count:  # the record of it rotted, and an older one counts
            changes.append((KEY_BOOT_COUNT, encode(self._boot_count)))
        return changes

    def next_sequence(self) -> int:
        """A sequence that was never used, and never will be again."""
        first = self._boot_count * SEQUENCES + (0 if self._store.is_held(KEY_BOOT_COUNT) else UNCOUNTED)
        self._sequence = max(self._sequence, first) + 1
        return self._sequence

    def leap(self) -> None:
        """An earlier copy of the store is in use, and so are its sequences, a second time: go on where nobody has been."""
        self._sequence = self.next_sequence() + int.from_bytes(os.urandom(3), "big")

    def bound_held(self) -> None:
        """Let the oldest give way of what waits in memory, until the rest fits into HELD_BYTES; the newest stays."""
        held = [key for key in self.waiting() if self._store.is_held(key)]
        sizes = [len(self._store.get(key) or b"") for key in held]
        total = sum(sizes)
        for key, size in zip(held[:-1], sizes):  # noqa: B905  MicroPython's zip has no strict
            if total <= HELD_BYTES:
                break
            self.discard(key)
            total -= size

    def waiting(self) -> "list[str]":
        """The keys of what is queued, in order."""
        return self._store.keys(PREFIX)

    def first_prompt(self) -> str:
        """The key of the oldest that overtakes others, '' for none."""
        for key in self.waiting():
            if key.endswith(_PROMPT_MARK):
                return key
        return ""

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
        """The broker has it, or a newer message says the same. Where the store refuses to forget it, it is sent again after a power cut."""
        self._store.keep([(key, None)])

    def discard(self, key: str) -> None:
        """It can never be sent, or there is no room for it: counted with what gave way."""
        self._store.keep([(key, None), (KEY_DROPPED, encode(self.dropped + 1))])

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
