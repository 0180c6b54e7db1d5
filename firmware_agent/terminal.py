"""The terminal as the agent keeps it: its state, and what follows from each event, persisted before anything else happens."""

from firmware_agent import VERSION
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.outbox import Outbox
from firmware_agent.messages.schema import LINK_ONLINE, topic
from firmware_agent.state.machine import FUNCTION_TESTS, SEND_APPLICATION, SEND_STATE, Booted, State, reduce
from hal.clock import TRUST_NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.identity.identity import Identity
    from firmware_agent.messages.schema import Claims
    from firmware_agent.state.machine import Event
    from firmware_agent.store import Store
    from hal.hal import Hal

KEY_STATE = "state"
KEY_BOOT_COUNT = "boot"
KEY_HIGHEST = "highest"  # highest sequence accepted from the acquirer
KEY_REPORT = "report"  # the last self-test's report as it was queued, for a slip, a code or a file at any later time
KEY_WALL = "wall"  # the last time known from a signed source: the clock's floor


class Terminal:
    """hal: brought up; store: open; identity: loaded; log: one line for a technician."""

    def __init__(self, hal: "Hal", store: "Store", identity: "Identity", log: "Callable[[str], None]") -> None:
        self.hal = hal
        self.store = store
        self.identity = identity
        self.log = log
        self.boot_count = _number(store, KEY_BOOT_COUNT)
        self.outbox = Outbox(store, identity.terminal, self.boot_count)
        self.state = load_state(store)
        self.changes_seen = 0  # grows with each change of state, so that a page knows when it is out of date
        self.connection = 0  # number of the connection to the broker, as the state message tells it
        self.online = False
        self.link_cause = ""  # why the last connection failed, as LinkError.cause tells it

    @staticmethod
    def count_boot(store: "Store") -> None:
        """The first thing that a boot does."""
        store.put(KEY_BOOT_COUNT, encode(_number(store, KEY_BOOT_COUNT) + 1))

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
        self.hal.clock.raise_floor(_number(self.store, KEY_WALL))
        damage: list[tuple[str, dict[str, object]]] = []
        if self.store.damaged:
            damage.append(("event", {"name": "store_damaged", "detail": "%d places" % self.store.damaged}))
        self.apply([Booted(function_tests(self.hal))], damage)

    def apply(
        self,
        events: "list[Event]",
        messages: "list[tuple[str, dict[str, object]]] | None" = None,
        changes: "list[tuple[str, bytes | None]] | None" = None,
    ) -> None:
        """Take events into the state. The new state, the messages that it makes due, further messages of the caller's, and further changes
        to the store are one write: after a power cut all of it happened, or nothing.
        """
        state = self.state
        due: list[str] = []
        for event in events:
            state, more = reduce(state, event, self.wall_s)
            due.extend([name for name in more if name not in due])
        changed = state.to_list() != self.state.to_list()
        outgoing = list(messages or [])
        if SEND_APPLICATION in due:
            outgoing.append(("application", _application_body(state)))
        if SEND_STATE in due:
            outgoing.append(("state", self.state_body(state)))
        writes = list(changes or [])
        if changed:
            writes.append((KEY_STATE, encode(state.to_list())))
        queued = self.outbox.changes(outgoing, self.wall_s)
        for (kind, _), (_, entry) in zip(outgoing, queued):  # noqa: B905  the entries come first, in the order of the messages
            if kind == "report":
                writes.append((KEY_REPORT, entry))
        writes.extend(queued)
        if writes:
            self.store.put_all(writes)
        if changed:
            self.log("state %s -> %s %s" % (self.state.mode, state.mode, state.step))
            self.state = state
            self.changes_seen += 1

    def send(self, kind: str, body: "dict[str, object]") -> None:
        """Queue one message."""
        self.apply([], [(kind, body)])

    def last_report(self) -> "Claims | None":
        """The report of the last self-test, sent or not; None where none is kept that this version can read."""
        if self.store.get(KEY_REPORT) is None:
            return None
        try:
            return self.outbox.message(KEY_REPORT)
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
        }


def function_tests(hal: "Hal") -> "tuple[str, ...]":
    """The function tests that these devices allow."""
    devices = {"print": hal.printer, "scan": hal.scanner, "pay": hal.card_reader}
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


def _application_body(state: State) -> "dict[str, object]":
    return {
        "application": state.application,
        "purpose": "reactivation",
        "reasons": [reason.told() for reason in state.reasons],
    }


def _number(store: "Store", key: str) -> int:
    record = store.get(key)
    value = decode(record) if record is not None else 0
    return value if isinstance(value, int) else 0
