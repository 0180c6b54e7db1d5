"""The evidence log: what the terminal was told, found and did, in a chain that shows whether anything of it was altered or is missing.

An entry is what one write to the store tells of, and is in that write: a state without its entry cannot be, nor an entry without its state.
It is CBOR: [number, boot count, Unix seconds or 0, link, fact, ...], a fact [kind, what, ...]. Numbers begin at 1.
head n = SHA-256(head n-1 || entry n), head 0 is 32 zeros, and the link is the first bytes of the head before. The acquirer keeps a head,
and says which: from then on neither what lies before it nor its end can be altered without its showing.

The log is bounded: the oldest entries retire, and the number and head of the last that did, the anchor, stays. Where something is missing
the log goes on behind a fact `broken`, that says so for as long as it is kept: nothing is sealed as if it were whole (docs/evidence.md).
"""

import hashlib

from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from firmware_agent.messages.schema import Claims
    from firmware_agent.state.machine import Event, State
    from firmware_agent.store import Store

# In the order in which the store writes what it held in memory: an anchor without the removals it stands for does no harm.
KEY_ANCHOR = "log"  # [number, head] of the last entry that retired
KEY_KEPT = "log-kept"  # [number, head] that the acquirer keeps
PREFIX = "log."  # + number: an entry

MAX_ENTRIES = 128
MAX_BYTES = 8192  # of all entries: an eighth of a segment of the store
RETIRED = 16  # at a time, so that the anchor is seldom written
MAX_HELD = 32  # entries that wait in memory, because the store refuses them
MAX_NUMBER = 99999999  # of an entry: as many digits as its key has
LINK_BYTES = 8
FIRST_HEAD = bytes(32)
AUDIT_ENTRIES = 16
AUDIT_MS = 3600000

# What is wrong with a log.
MISSING = "missing"  # an entry is not there, or cannot be read
ALTERED = "altered"  # an entry does not fit to what is before it
CUT_OFF = "cut_off"  # it ends before the head that the acquirer keeps
OTHER_HEAD = "other_head"  # where the acquirer keeps a head, the log has another one

BROKEN = "broken"  # fact: [broken, what is wrong, number]
UNKEPT = "unkept"  # fact: [unkept, how many entries memory had no room for while the store refused them]
EVENT_DAMAGED = "evidence_damaged"

# Events that only a right PIN or badge brings about: each counts. Of others a stranger may bring about as many as he likes.
_EACH_COUNTS = ("signed_on", "technician_confirmed")
_MAX_COUNTED = 64
_MAX_WORDS = 80  # characters
_WORDS = ("action", "status", "reason", "case", "plan", "badge", "about")  # of an accepted message


class Damage:
    """code: what is wrong; number: of the entry where it shows."""

    def __init__(self, code: str, number: int) -> None:
        self.code = code
        self.number = number

    def __str__(self) -> str:
        return "%s at %d" % (self.code, self.number)

    def fact(self) -> "list[object]":
        return [BROKEN, self.code, self.number]

    def message(self) -> "tuple[str, dict[str, object]]":
        return "event", {"name": EVENT_DAMAGED, "detail": str(self)}


class Entry:
    """number, boot_count; wall_s: Unix seconds, 0 where not known; facts: each [kind, what, ...]."""

    def __init__(self, number: int, boot_count: int, wall_s: int, link: bytes, facts: "list[list[object]]") -> None:
        self.number = number
        self.boot_count = boot_count
        self.wall_s = wall_s
        self.link = link
        self.facts = facts


class Walk:
    """The log from its anchor to its end, as far as it has been walked. number, head: of the last entry; head_at: of the entry `at`, None
    where it was not met; entries, size: how many, and their bytes; damage: the first that no fact `broken` tells of, or None.
    """

    def __init__(self, anchor: "tuple[int, bytes]", at: int = 0) -> None:
        self.start, self.head = anchor
        self.number = self.start
        self.entries = 0
        self.size = 0
        self.damage: Damage | None = None
        self._at = at
        self._last_broken = 0
        self.head_at: bytes | None = None

    def step(self, number: int, record: "bytes | None") -> "Entry | None":
        """Take the next entry, by the number in its key; gives what it says, None where it cannot be read."""
        entry = parse(record) if record is not None else None
        is_broken = entry is not None and entry.facts[0][0] == BROKEN
        damage = None
        if entry is None:
            damage = Damage(MISSING, number)
        elif number != self.number + 1 and not is_broken:
            damage = Damage(MISSING, self.number + 1)
        elif entry.number != number or entry.link != self.head[:LINK_BYTES]:
            damage = Damage(ALTERED, number)
        elif is_broken:  # it fits to what is left, so it knows of all that is missing
            self.damage = None
            self._last_broken = number
        self.damage = self.damage or damage
        if record is not None:
            self.head = hashlib.sha256(self.head + record).digest()
            self.entries += 1
            self.size += len(record)
        self.number = number
        if number == self._at:
            self.head_at = self.head
        return entry

    def compared(self, number: int, head: bytes) -> "Damage | None":
        """Whether a head that the acquirer keeps is this log's: None where it is, or where the log no longer reaches so far back. The walk
        was made `at` that number.
        """
        if number > self.number:
            return Damage(CUT_OFF, number)
        if number <= self.start or number < self._last_broken or self.head_at == head:
            return None
        return Damage(OTHER_HEAD, number)


class Evidence:
    """The log in a store, which is open. number, head: of the last entry; damage: what was found wrong since this was made, or None.

    Making it walks the whole log.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._counts: dict[str, int] = {}  # of what repeats, in this boot
        self._counting: dict[str, int] = {}  # what they will be after the write that is being made
        self._held = 0  # entries in a row that the store refused
        self._unkept = 0
        self._audited = (0, FIRST_HEAD)  # the last audit of this boot
        self._audited_ms: int | None = None
        self._resumed = (0, FIRST_HEAD)  # what the acquirer last said that it keeps instead
        self._written: Walk | None = None  # what it will be after the write that is being made
        self.damage: Damage | None = None
        self._end = Walk(_pair(store, KEY_ANCHOR))
        self.verify()

    @property
    def number(self) -> int:
        return self._end.number

    @property
    def head(self) -> bytes:
        return self._end.head

    @property
    def kept(self) -> "tuple[int, bytes]":
        """(number, head) that the acquirer keeps, as it said last; (0, zeros) for none."""
        return _pair(self._store, KEY_KEPT)

    def verify(self) -> "Damage | None":
        """Walk the log as the store has it now; gives what is wrong and not yet told of by a fact."""
        walk, damage = walked(self._store, self.kept)
        # What rotted while the terminal runs shows as missing: numbers are not given twice.
        if walk.number < self._end.number and damage is None:
            damage = Damage(MISSING, walk.number + 1)
        walk.number = max(walk.number, self._end.number)
        self._end = walk
        if damage is not None:
            self.damage = damage
        return damage

    def changes(self, facts: "list[list[object]]", boot_count: int, wall_s: int, refused: bool = False) -> "list[tuple[str, bytes | None]]":
        """What to write to the store, together with what the facts tell of; `written` is to be called when it was. Without facts: nothing.
        A fact `broken` is the first. refused: the store has just refused this, so it will wait in memory, where there is not room for all.
        """
        self._written = None
        if not facts:
            return []
        if not self._store.is_held(_key(self.number)):
            self._held = 0
        if refused and self._held >= MAX_HELD:
            self._unkept += 1
            return []
        if self._unkept:
            facts = facts + [[UNKEPT, self._unkept]]
        before = self._end
        number = before.number + 1
        if facts[0][0] == BROKEN and isinstance(facts[0][2], int):
            number = max(number, facts[0][2] + 1)
        record = encode([number, boot_count, wall_s, before.head[:LINK_BYTES]] + facts)
        after = Walk((before.number, before.head))
        after.entries, after.size = before.entries, before.size
        changes = self._retirement(after, len(record))
        after.step(number, record)
        self._written = after
        return changes + [(_key(number), record)]

    def written(self) -> None:
        """The last `changes` are in the store, or wait in its memory."""
        if len(self._counts) + len(self._counting) > _MAX_COUNTED:
            self._counts = {}
        self._counts.update(self._counting)
        self._counting = {}
        if self._written is not None:
            self._end = self._written
            self._written = None
            self._held += 1  # in memory, unless the next look finds it in the store
            self._unkept = 0

    def _retirement(self, end: Walk, more: int) -> "list[tuple[str, bytes | None]]":
        """Make room for an entry of `more` bytes."""
        changes: list[tuple[str, bytes | None]] = []
        if end.entries < MAX_ENTRIES and end.size + more <= MAX_BYTES:
            return changes
        keys = self._store.keys(PREFIX)
        start = Walk(_pair(self._store, KEY_ANCHOR))
        while keys and (end.entries >= MAX_ENTRIES or end.size + more > MAX_BYTES):
            for key in keys[:RETIRED]:
                number = _number_of(key)
                if number > start.number:  # else a leftover of an earlier retirement
                    start.step(number, _record(self._store, key))
                changes.append((key, None))
            keys = keys[RETIRED:]
            end.entries -= start.entries
            end.size -= start.size
            start.entries = start.size = 0
        return [(KEY_ANCHOR, encode([start.number, start.head]))] + changes

    # The acquirer.

    def audit(self, now_ms: int) -> "dict[str, object] | None":
        """The body of an audit, if one is due; None if not: the acquirer keeps this head already, or was asked to not long ago, or the
        store has not taken all that there is to be kept. now_ms: by the monotonic clock.
        """
        more = self.number - self._audited[0]
        if self._audited_ms is not None and (not more or (more < AUDIT_ENTRIES and now_ms - self._audited_ms < AUDIT_MS)):
            return None
        number, head = self.kept
        if self.head == head or not self.number or self._store.is_held(_key(self.number)):
            return None
        self._audited = (self.number, self.head)
        self._audited_ms = now_ms
        body: dict[str, object] = {"count": self.number, "head": self.head}
        if number:
            body["kept"] = head
        return body

    def audited(self, number: int, head: bytes) -> "tuple[Damage | None, list[tuple[str, bytes | None]]]":
        """What follows from what the acquirer keeps: what is wrong with this log, and what to write. Raises ValueError for what can be no
        entry's number and head.
        """
        if not 0 < number <= MAX_NUMBER // 2 or len(head) != len(FIRST_HEAD):
            raise ValueError("no head of an entry: %d, %d bytes" % (number, len(head)))
        damage = None
        if (number, head) != self._audited:
            if (number, head) != self._resumed:  # it goes on from what it keeps, and is asked again, once: an answer of it was lost
                self._resumed = number, head
                self._audited_ms = None
            damage = walked(self._store, (number, head))[1]
            if damage is not None:
                self.damage = damage
        return damage, [(KEY_KEPT, encode([number, head]))]

    # Facts.

    def of_messages(self, messages: "list[tuple[str, dict[str, object]]]") -> "list[list[object]]":
        """The facts that these messages tell of, (kind, body), whether they are queued now or wait. A state that is told again is none, nor
        is the receipt for a message that was accepted.
        """
        self._counting = {}
        facts: list[list[object]] = []
        for kind, body in messages:
            if kind == "report":
                results = body["results"]
                found = [result[:2] + result[3:4] for result in results if result[1]]  # type: ignore[attr-defined]  # a list: by the schema
                facts.append([kind, body["plan"], body["firmware"], found])
            elif kind == "test":
                facts.append([kind, body["name"], body["outcome"], body.get("cause", "")])
            elif kind == "application":
                facts.append([kind, body["application"], body["purpose"]])
            elif kind == "summary":
                facts.append([kind, body["number"]])
            elif kind == "receipt" and "refusal" in body:
                count = self._count("refused " + str(body["refusal"]))
                if count:
                    facts.append(["refused", body["refusal"], count, body["of"]])
            elif kind == "event":
                name, detail = str(body["name"]), str(body.get("detail", ""))[:_MAX_WORDS]
                count = 1 if name in _EACH_COUNTS else self._count(name + " " + detail)
                if count:
                    facts.append([kind, name, detail, count])
        return facts

    def _count(self, what: str) -> int:
        """How often it happened in this boot; 0 for a time that is not entered. Of what anybody can repeat the first time is entered, the
        second, the fourth, the eighth and so on: a flood pushes nothing out of the log.
        """
        count = self._counting.get(what, self._counts.get(what, 0)) + 1
        self._counting[what] = count
        return 0 if count & (count - 1) else count


def of_state(events: "list[Event]", state: "State") -> "list[object]":
    """The fact that the state is another one now, and by what."""
    reasons = [(reason.code + " " + reason.component).strip() for reason in state.reasons]
    return ["state", [type(event).__name__ for event in events], state.mode, state.step, reasons, list(state.tests_due)]


def of_acceptance(claims: "Claims", digest: bytes) -> "list[object] | None":
    """The fact that a message of the acquirer was accepted; None for one that changes nothing. digest: names it, as its receipt does."""
    if claims.kind.name in ("answer", "audited"):
        return None
    words: list[object] = [claims.text(name) for name in _WORDS if claims.text(name)]
    return ["accepted", claims.kind.name, claims.sequence, digest] + words


# Reading.


def walked(store: "Store", kept: "tuple[int, bytes]", met: "Callable[[Entry], None] | None" = None) -> "tuple[Walk, Damage | None]":
    """The whole log of a store, and what is wrong with it. kept: (number, head) that the acquirer keeps, number 0 for none; met: takes
    each entry that can be read.
    """
    walk = Walk(_pair(store, KEY_ANCHOR), kept[0])
    for key in store.keys(PREFIX):
        number = _number_of(key)
        if number > walk.start:
            entry = walk.step(number, _record(store, key))
            if entry is not None and met is not None:
                met(entry)
    damage = walk.damage
    if damage is None and kept[0]:
        damage = walk.compared(kept[0], kept[1])
    return walk, damage


def entries(store: "Store", first: int = 0, newest_first: bool = False) -> "Iterator[Entry]":
    """What the log has from that number on, the oldest first; what cannot be read is left out, as `walked` says."""
    keys = store.keys(PREFIX)
    if newest_first:
        keys.reverse()
    for key in keys:
        if _number_of(key) < first:
            continue
        record = _record(store, key)
        entry = parse(record) if record is not None else None
        if entry is not None:
            yield entry


def parse(record: bytes) -> "Entry | None":
    """None for what is no entry."""
    try:
        values = decode(record)
    except CborError:
        return None
    if not isinstance(values, list) or len(values) < 5:
        return None
    for value in values[:3]:
        if not isinstance(value, int):
            return None
    if not isinstance(values[3], bytes):
        return None
    for fact in values[4:]:
        if not isinstance(fact, list) or not fact:
            return None
    return Entry(values[0], values[1], values[2], values[3], values[4:])


def _record(store: "Store", key: str) -> "bytes | None":
    """None for what the medium does not give back."""
    try:
        return store.get(key)
    except StoreError:
        return None


def _pair(store: "Store", key: str) -> "tuple[int, bytes]":
    """What is kept under KEY_ANCHOR or KEY_KEPT; the beginning of a log where that is nothing."""
    record = _record(store, key)
    try:
        number, head = decode(record or b"")
        if isinstance(number, int) and isinstance(head, bytes) and len(head) == len(FIRST_HEAD):
            return number, head
    except (CborError, TypeError, ValueError):
        pass  # the entries will not fit to the beginning, which tells it
    return 0, FIRST_HEAD


def _key(number: int) -> str:
    return PREFIX + "%08d" % number


def _number_of(key: str) -> int:
    digits = key[len(PREFIX) :]
    return int(digits) if len(digits) == 8 and digits.isdigit() else 0
