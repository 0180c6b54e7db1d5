"""The terminal as the agent keeps it: its state, and what follows from each event, persisted before anything else happens.

A store that refuses to be written changes no state; but it silences nobody: what is true all the same goes on from memory, and is sent.
"""

import os

from firmware_agent import VERSION
from firmware_agent.application.draft import forgotten
from firmware_agent.identity.certificate import issued_s
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.events import Events
from firmware_agent.messages.outbox import KEY_BOOT_COUNT, Outbox
from firmware_agent.messages.refusals import Refusals
from firmware_agent.messages.schema import LINK_ONLINE, topic
from firmware_agent.prevention.notices import PREFIX as NOTICES
from firmware_agent.prevention.notices import Notices
from firmware_agent.records.evidence import Damage, Evidence, of_state
from firmware_agent.records.prompts import Prompts
from firmware_agent.records.suspension import KEY_SUSPENSION, Suspension, is_back
from firmware_agent.state.machine import FUNCTION_TESTS, SEND_APPLICATION, SEND_STATE, Booted, State, reduce
from firmware_agent.store import StoreError
from hal.clock import TRUST_NONE, TRUST_SET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.identity.identity import Identity
    from firmware_agent.messages.schema import Claims
    from firmware_agent.prevention.reminders import Reminder
    from firmware_agent.state.machine import Event
    from firmware_agent.store import Store
    from hal.clock import Clock
    from hal.hal import Hal

KEY_STATE = "state"
KEY_HIGHEST = "highest"  # highest sequence accepted from the acquirer
KEY_REPORT = "report"  # the last self-test's report as it was queued, for a slip, a code or a file at any later time
KEY_SUMMARY = "summary"  # the same of the last suspension's summary
KEY_WALL = "wall"  # the last time known from a signed source: the clock's floor
KEY_SUPPOSED = "supposed"  # what the clock wakes with was only supposed

_KEPT = {"report": KEY_REPORT, "summary": KEY_SUMMARY}  # kinds of messages of which the last stays

STORAGE_AGAIN_MS = 15000  # while the store refuses, it is tried again so often
SEQUENCES_A_SECOND = 16  # of an uncounted boot: more than a terminal has to say, also in its first seconds; it begins anew after 36 days


class Terminal:
    """hal: brought up; store: open; identity: loaded; log: one line for a technician."""

    def __init__(self, hal: "Hal", store: "Store", identity: "Identity", log: "Callable[[str], None]") -> None:
        self.hal = hal
        self.store = store
        self.identity = identity
        self.log = log
        self.boot_count = _number(store, KEY_BOOT_COUNT)
        place = _place(hal.clock, _number(store, KEY_WALL)) if store.is_held(KEY_BOOT_COUNT) else 0
        self.outbox = Outbox(store, identity.terminal, self.boot_count, place)
        self._events = Events(store, hal.clock)
        self.refusals = Refusals(hal.clock)
        self._losses_told = self.outbox.dropped  # those before this boot are in its first report
        self.notices = Notices(store)
        self.reminders: list[Reminder] = []  # that the merchant has to confirm now: see Reminders in reminders.py
        self.state = load_state(store)
        self.evidence = Evidence(store)
        self.prompts = Prompts()
        self.suspension = Suspension.decoded(store.get(KEY_SUSPENSION))
        self.changes_seen = 0  # grows with each change of state, so that a page knows when it is out of date
        self.connection = 0  # number of the connection to the broker, as the state message tells it
        self.online = False
        self.link_cause = ""  # why the last connection failed, as LinkError.cause tells it
        self.storage_refusal = ""  # why the store refuses to be written, as it was told; '' when it does not
        self._storage_again_ms = 0

    @staticmethod
    def count_boot(store: "Store", skipped: int = 0, changes: "list[tuple[str, bytes | None]] | None" = None) -> bool:
        """The first thing that a boot does. Each place that rotted may have cost a boot its record; skipped: boots that were lost
        otherwise; changes: in the same write. Whether it was written.
        """
        count = _number(store, KEY_BOOT_COUNT) + 1 + store.damaged + skipped
        return store.keep([(KEY_BOOT_COUNT, encode(count))] + (changes or []))

    @property
    def wall_s(self) -> int:
        """Unix seconds, 0 while the clock is not set."""
        clock = self.hal.clock
        return 0 if clock.trust == TRUST_NONE else clock.wall_s()

    @property
    def highest(self) -> int:
        """The highest sequence accepted from the acquirer."""
        return _number(self.store, KEY_HIGHEST)

    def booted(self) -> None:
        """Give the clock the last time known, tell the state which function tests this terminal's devices allow, and report what rotted."""
        clock = self.hal.clock
        if self.store.get(KEY_SUPPOSED) is not None:
            clock.distrust()
        clock.raise_floor(self.floor_s)
        if clock.trust != TRUST_SET:
            self.suppose_time(clock.wall_s())
        damage: list[tuple[str, dict[str, object]]] = []
        if self.store.damaged:
            damage.append(("event", {"name": "store_damaged", "detail": "%d places" % self.store.damaged}))
        self.apply([Booted(function_tests(self.hal))], damage)
        if self.evidence.damage is not None:
            self.tell_damage(self.evidence.damage)

    def suppose_time(self, wall_s: int) -> None:
        """Judge certificates by that time until the acquirer tells the right one."""
        if self.hal.clock.suppose(wall_s) and self.store.get(KEY_SUPPOSED) is None:
            self.store.keep([(KEY_SUPPOSED, encode(True))])

    def take_time(self, wall_s: int, is_fresh: bool) -> "list[tuple[str, bytes | None]]":
        """What to write when the clock is set to that time of the acquirer's, which is the caller's to do once it is written."""
        changes: list[tuple[str, bytes | None]] = []
        if is_fresh or wall_s > self.wall_s:
            changes.append((KEY_WALL, encode(wall_s)))
            if self.store.get(KEY_SUPPOSED) is not None:
                changes.append((KEY_SUPPOSED, None))
        return changes

    @property
    def floor_s(self) -> int:
        """It is later than that, Unix seconds: the last time known, or when this terminal's certificate for TLS was made; 0: not known."""
        return _number(self.store, KEY_WALL) or issued_s(self.identity.transport_certificate)

    def apply(
        self,
        events: "list[Event]",
        messages: "list[tuple[str, dict[str, object]]] | None" = None,
        changes: "list[tuple[str, bytes | None]] | None" = None,
        application: "dict[str, object] | None" = None,
        facts: "list[list[object]] | None" = None,
    ) -> None:
        """Take events into the state. The new state, the messages that it makes due, further messages of the caller's, further changes
        to the store, and the entry in the evidence log that tells of all this and of further facts, are one write: after a power cut all of
        it happened, or nothing. application: further fields of one that is due. Raises StoreError: nothing happened.
        """
        state = self.state
        due: list[str] = []
        for event in events:
            state, more = reduce(state, event, self.wall_s)
            due.extend([name for name in more if name not in due])
        changed = state.to_list() != self.state.to_list()
        outgoing = list(messages or [])
        if SEND_APPLICATION in due:
            outgoing.append(("application", _application_body(state, application or {})))
        if SEND_STATE in due:
            outgoing.append(("state", self.state_body(state)))
        noted = list(facts or [])
        writes = (changes or []) + self._queued(outgoing, noted)
        suspension = self.suspension
        if changed:
            writes.append((KEY_STATE, encode(state.to_list())))
            noted.append(of_state(events, state))
            if not state.reasons:
                writes.extend(forgotten(self.store))
            suspension = suspension.after(state, self.evidence.number + 1)
            if suspension is not self.suspension:
                writes.append((KEY_SUSPENSION, suspension.encoded()))
        writes.extend(self._entry(noted))
        if writes:
            self.store.put_all(writes)
            self._entered()
        self._events.settled()
        if any([key.startswith(NOTICES) for key, _ in writes]):
            self.notices.load()
        if changed:
            self.log("state %s -> %s %s" % (self.state.mode, state.mode, state.step))
            self.state = state
            self.suspension = suspension
            self.changes_seen += 1
            if is_back(state):
                self.prompts.count_anew()

    def tell(
        self,
        messages: "list[tuple[str, dict[str, object]]]",
        events: "list[Event] | None" = None,
        changes: "list[tuple[str, bytes | None]] | None" = None,
        facts: "list[list[object]] | None" = None,
    ) -> bool:
        """As `apply`; but the messages, the further changes to the store and the facts are true whether the state may change or not: where
        the store refuses to be written they go on from memory, and only the events have not happened. Whether it was written.
        """
        try:
            self.apply(events or [], messages, changes, facts=facts)
        except StoreError as error:
            if error.code != "medium":
                raise
            noted = list(facts or [])
            writes = (changes or []) + self._queued(messages, noted)
            self.store.keep(writes + self._entry(noted, refused=True))
            self._entered()
            self._events.settled()
            self.outbox.bound_held()
            return False
        return True

    def send(self, kind: str, body: "dict[str, object]") -> None:
        """Queue one message, in memory if need be."""
        self.tell([(kind, body)])

    def tell_damage(self, damage: Damage) -> None:
        """The evidence log was found damaged: it goes on, and says so, as does an event."""
        self.log("evidence log damaged: %s" % damage)
        self.tell([damage.message()], facts=[damage.fact()])

    def note_prompt(self, page: str, key: str = "") -> None:
        """A page is on the screen, or was answered by that key."""
        now_ms = self.hal.clock.monotonic_ms()
        if key:
            self.prompts.answered(page, key, now_ms)
        else:
            self.prompts.shown(page, now_ms)

    def watch_evidence(self) -> None:
        """To be called often. Enter what stood on the screen, and give the acquirer the evidence log's head, as far as they are due."""
        if self.prompts.are_due(self.hal.clock.monotonic_ms()):
            self.tell([], facts=self.prompts.take())
        if self.online:
            body = self.evidence.audit(self.hal.clock.monotonic_ms())
            if body is not None:
                self.send("audit", body)

    def _entry(self, noted: "list[list[object]]", refused: bool = False) -> "list[tuple[str, bytes | None]]":
        """What to write for the evidence log's entry with these facts, and with what stood on the screen before them."""
        return self.evidence.changes(self.prompts.before(noted), self.boot_count, self.wall_s, refused)

    def _entered(self) -> None:
        self.evidence.written()
        self.prompts.written()

    def _queued(self, messages: "list[tuple[str, dict[str, object]]]", noted: "list[list[object]]") -> "list[tuple[str, bytes | None]]":
        """What to write to queue the messages; what they are to the evidence log is added to `noted`."""
        outgoing, waiting = self._events.sort(messages, self.wall_s, self.online)
        noted.extend(self.evidence.of_messages(messages))
        queued = self.outbox.changes(outgoing, self.wall_s)
        kept: list[tuple[str, bytes | None]] = []
        for (kind, _), (_, entry) in zip(outgoing, queued):  # noqa: B905  the entries come first, in the order of the messages
            if kind in _KEPT:
                kept.append((_KEPT[kind], entry))
        return kept + queued + waiting

    def watch_events(self) -> None:
        """To be called often. Tell what was counted where it happened, and what has waited long enough."""
        told: list[tuple[str, dict[str, object]]] = []
        for refusal, times in self.refusals.sums():
            told.append(("event", {"name": "messages_refused", "detail": refusal, "times": times}))
        losses, self._losses_told = self.outbox.dropped - self._losses_told, self.outbox.dropped
        if losses > 0:
            told.append(("event", {"name": "messages_lost", "times": losses}))
        if told or (self.online and self._events.have_waited):
            self.tell(told)

    def watch_suspension(self) -> None:
        """To be called often. Tell, once, what a suspension was that is over. Raises StoreError: it is told later."""
        if self.suspension.is_open and is_back(self.state):
            from firmware_agent.records.summary import summary_body  # seldom needed

            told = self.suspension.told()
            self.apply([], [("summary", summary_body(self))], [(KEY_SUSPENSION, told.encoded())])
            self.suspension = told
            self.log("summary of suspension %d" % told.number)

    def watch_storage(self) -> None:
        """To be called often. Say it, once, when the store has begun to refuse what is written, and when it takes it again; while it
        refuses, try it from time to time.
        """
        now_ms = self.hal.clock.monotonic_ms()
        if now_ms < self._storage_again_ms:
            return
        store = self.store
        if self.storage_refusal:
            store.keep([])
        if store.refusal != self.storage_refusal:
            self.storage_refusal = store.refusal
            self.changes_seen += 1
            if store.refusal:
                self.log("storage refuses: %s; reports go on from memory" % store.refusal)
                self.send("event", {"name": "storage_refuses", "detail": store.refusal + ": reports go on from memory"})
            else:
                self.log("storage works again")
                self.send("event", {"name": "storage_works"})
        if self.storage_refusal:
            self._storage_again_ms = now_ms + STORAGE_AGAIN_MS

    def last_report(self) -> "Claims | None":
        """The report of the last self-test, sent or not; None where none is kept that this version can read."""
        return self._last(KEY_REPORT)

    def last_summary(self) -> "Claims | None":
        """The same of the summary of the last suspension."""
        return self._last(KEY_SUMMARY)

    def _last(self, key: str) -> "Claims | None":
        if self.store.get(key) is None:
            return None
        try:
            return self.outbox.message(key)
        except ValueError:
            return None

    async def signed(self, claims: "Claims") -> "tuple[str, bytes]":
        """(topic, message): the claims as a message, signed by the key that is valid now. Raises DeviceError as the element does."""
        identity = self.identity
        element = self.hal.secure_element
        where = topic(identity.acquirer, identity.terminal, claims.kind.leaf)
        kid = key_id(await element.public_key(identity.slot))
        return where, await sign(element, identity.slot, kid, encode(claims.to_map()), where)

    def state_body(self, state: "State | None" = None, link: str = LINK_ONLINE) -> "dict[str, object]":
        """The body of a state message."""
        state = state or self.state
        return {
            "mode": state.mode,
            "status": state.status,
            "link": link,
            "connection": self.connection,
            "reasons": [reason.told() for reason in state.reasons],
            "step": state.step,
            "tests_due": list(state.tests_due),
            "firmware": VERSION,
            "board": self.hal.board,
        }


def function_tests(hal: "Hal") -> "tuple[str, ...]":
    """The function tests that these devices allow."""
    devices = {"print": hal.printer, "scan": hal.scanner, "pay": hal.card_reader, "keys": hal.keypad, "screen": hal.display}
    return tuple(test for test in FUNCTION_TESTS if devices[test] is not None)


def load_state(store: "Store") -> State:
    """The state as stored; a new terminal's where none is stored. Raises ValueError for one that cannot be: never a guess."""
    record = store.get(KEY_STATE)
    if record is None:
        return State()
    try:
        return State.from_list(decode(record))
    except (CborError, KeyError, TypeError, ValueError) as error:
        raise ValueError("state cannot be read: %r" % error)


def _application_body(state: State, further: "dict[str, object]") -> "dict[str, object]":
    body: dict[str, object] = {
        "application": state.application,
        "purpose": "appeal" if state.level else "reactivation",
        "reasons": [reason.told() for reason in state.reasons],
    }
    if state.level:
        body["level"] = state.level
    body.update(further)
    return body


def _number(store: "Store", key: str) -> int:
    record = store.get(key)
    value = decode(record) if record is not None else 0
    return value if isinstance(value, int) else 0


def _place(clock: "Clock", known_s: int) -> int:
    """Where among its sequences a boot begins that could not be counted: further on than the one before it, by the time that has passed
    since the last time known. Without the time of day anywhere: all that can be had then is not to begin where another one did.
    """
    if clock.trust == TRUST_SET and clock.wall_s() >= known_s:
        return (clock.wall_s() - known_s) * SEQUENCES_A_SECOND
    return int.from_bytes(os.urandom(4), "big")
