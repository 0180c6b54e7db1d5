"""What a terminal tells of beside its state: every event there is, which of them are told at once, and how the others wait.

A critical event is a message of its own. The others wait in the store, for power cuts, and go as one message: with the next critical event
or report, when the oldest has waited for WAIT_MS, or when there are too many. While there is no connection they go on waiting, so that
they take no place of reports in the outbox; only too many of them go there all the same.

What happens again while it waits is counted, not listed twice. A critical event that happens again within REPEAT_MS waits, too.
"""

from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.schema import SchemaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firmware_agent.store import Store
    from hal.clock import Clock

    Message = tuple[str, dict[str, object]]
    Change = tuple[str, bytes | None]
    Waiting = dict[str, list[Any]]  # key -> [name, detail, when it last happened, how often]

PREFIX = "event."
WAIT_MS = 15 * 60 * 1000
REPEAT_MS = 10 * 60 * 1000
MOST = 16  # that wait
MOST_BYTES = 1500  # of them together; with the longest event there can be, that is still one message


class EventKind:
    """is_critical: somebody has to act on it, or waits for it; what: for the document."""

    def __init__(self, name: str, is_critical: bool, what: str) -> None:
        self.name = name
        self.is_critical = is_critical
        self.what = what


EVENTS = (
    EventKind("safe_mode", True, "a start in safe mode; detail: after how many crashes and power losses"),
    EventKind("store_damaged", True, "records of the terminal's memory rotted, and count with their older values"),
    EventKind("storage_refuses", True, "the terminal's memory cannot be written: reports go on, orders are refused as `not_kept`"),
    EventKind("storage_rolled_back", True, "the terminal's memory is an older copy of it; told at each start until an inquiry is answered"),
    EventKind("storage_works", True, "it can be written again: what was refused as `not_kept` is worth sending anew"),
    EventKind("evidence_damaged", True, "the evidence log is not whole; detail: what is wrong with it, and at which entry"),
    EventKind("sign_on_refused", True, "wrong PINs in a row, or a badge that is altered, copied, expired, revoked or somebody else's"),
    EventKind("network_fell_back", True, "the network's settings are again those of before they were changed; detail: why"),
    EventKind("technician_confirmed", True, "a technician's half of lifting a tamper; the acquirer's order is the other"),
    EventKind("review_asked", True, "the merchant, or the terminal for him, asks for the review's state; detail: the application's number"),
    EventKind("update_refused", True, "a newer program in the spare slot is not what the acquirer signed; detail: why, and which file"),
    EventKind("update_fell_back", True, "a newer program did not come to a good start; detail: which version runs"),
    EventKind("anomaly", True, "something went wrong during a probation; detail: self_test, sign_in, restart or network, and what of it"),
    EventKind("visitor_checked", True, "somebody's badge or code was checked; detail: whose it is, or why it was refused"),
    EventKind("probation_over", False, "a probation came to its end; detail: how many anomalies of each kind there were"),
    EventKind("training_done", False, "a member of staff practised each daily operation; detail: the staff number"),
    EventKind("shop_changed", False, "the merchant changed settings of his shop; detail: which"),
    EventKind("transactions_settled", True, "transactions that were left unfinished have come to an end; detail: how many, and which"),
    EventKind("limit_near", True, "today's payments are near a limit, or over it, told once a day; detail: which, and percent"),
    EventKind("network_set", False, "the network was set at the counter, and is on trial; detail: also if it was kept unproven"),
    EventKind("signed_on", False, "a technician signed on; detail: by PIN, or by which badge"),
    EventKind("notice_confirmed", False, "the merchant confirmed a notice; detail: its number"),
    EventKind("notice_over", False, "a notice or maintenance window is over by its time; detail: its number, and if nobody confirmed it"),
    EventKind("update_verified", False, "a newer program in the spare slot is good, and can be installed; detail: its version"),
    EventKind("update_installed", False, "a newer program came to a good start, and stays; detail: its version"),
    EventKind("date_overdue", False, "a day has passed that the merchant was reminded of; detail: what, and which day"),
    EventKind("device_about_to_fail", False, "a test passed, and will not for long; detail: component and cause"),
    EventKind("reminder_confirmed", False, "the merchant confirmed a reminder; detail: what, and which day"),
    EventKind("maintenance_done", False, "the merchant confirmed the physical maintenance; detail: the day"),
    EventKind("date_set", False, "the merchant set a day that he is to be reminded of; detail: the setting and its value"),
    EventKind("messages_refused", False, "more messages were refused than got a receipt; detail: the refusal; how often: messages"),
    EventKind("messages_lost", False, "the outbox was full, and its oldest messages gave way; how often: messages"),
)


def event_kind(name: object) -> EventKind:
    """Raises SchemaError for an event that does not exist."""
    for kind in EVENTS:
        if kind.name == name:
            return kind
    raise SchemaError("malformed", "there is no event %s" % name)


class Events:
    """store: open; clock: the terminal's."""

    def __init__(self, store: "Store", clock: "Clock") -> None:
        self._store = store
        self._clock = clock
        self._since_ms = clock.monotonic_ms() - WAIT_MS  # of the oldest that waits; what an earlier boot left has waited long enough
        self._told_ms: dict[tuple[str, str], int] = {}  # (name, detail) of a critical event -> when it was told at once
        self._telling: list[tuple[str, str]] = []  # what is told at once if this write succeeds

    @property
    def have_waited(self) -> bool:
        """Whether anything waits, and has done so for long enough."""
        return self._clock.monotonic_ms() - self._since_ms >= WAIT_MS and bool(self._store.keys(PREFIX))

    def sort(self, messages: "list[Message]", wall_s: int, online: bool) -> "tuple[list[Message], list[Change]]":
        """(what of these messages is to be queued now, with what waited if its time has come; the changes to the store that belong to it).

        Of an event that can wait the body may say `times`, how often it happened. wall_s: 0 when the clock cannot be trusted. Raises
        SchemaError for an event that does not exist. `settled` is to be called when it is written.
        """
        outgoing: list[Message] = []
        later: list[dict[str, object]] = []
        self._telling = []
        is_time = online and self.have_waited
        for name, body in messages:
            if name == "event" and not self._is_told_at_once(body):
                later.append(body)
                continue
            outgoing.append((name, body))
            is_time = is_time or (online and name in ("event", "report"))
        if not later and not is_time:
            return outgoing, []
        waiting = self._waiting()
        counted = {self._count(waiting, body, wall_s) for body in later}
        size = sum([len(encode(entry)) for entry in waiting.values()])
        if is_time or len(waiting) >= MOST or size >= MOST_BYTES:
            if waiting:
                outgoing.insert(0, ("events", {"events": [waiting[key] for key in sorted(waiting)]}))
            return outgoing, [(key, None) for key in self._store.keys(PREFIX)]
        return outgoing, [(key, encode(waiting[key])) for key in sorted(counted)]

    def settled(self) -> None:
        """What was last sorted is written, or kept."""
        now_ms = self._clock.monotonic_ms()
        self._told_ms = {event: at_ms for event, at_ms in self._told_ms.items() if now_ms - at_ms < REPEAT_MS}
        for event in self._telling:
            self._told_ms[event] = now_ms
        self._telling = []

    def _is_told_at_once(self, body: "dict[str, object]") -> bool:
        """Whether this event is critical, and was not told a moment ago."""
        event = _event(body)
        if not event_kind(event[0]).is_critical or event in self._telling:
            return False
        at_ms = self._told_ms.get(event)
        if at_ms is not None and self._clock.monotonic_ms() - at_ms < REPEAT_MS:
            return False
        self._telling.append(event)
        return True

    def _waiting(self) -> "Waiting":
        """Without what this version cannot read."""
        waiting: Waiting = {}
        for key in self._store.keys(PREFIX):
            try:
                entry = decode(self._store.get(key) or b"")
            except ValueError:
                continue
            if isinstance(entry, list) and len(entry) == 4 and isinstance(entry[3], int):
                waiting[key] = entry
        return waiting

    def _count(self, waiting: "Waiting", body: "dict[str, object]", wall_s: int) -> str:
        """Put one event to what waits. Gives its key: that of the same event, or one behind all others."""
        event = _event(body)
        same = [key for key in waiting if (waiting[key][0], waiting[key][1]) == event]
        if same:
            key = same[0]
        else:
            if not waiting:
                self._since_ms = self._clock.monotonic_ms()
            taken = [int(key[len(PREFIX) :]) for key in self._store.keys(PREFIX) + sorted(waiting)]
            key = PREFIX + "%04d" % (max(taken) + 1 if taken else 0)
            waiting[key] = [event[0], event[1], 0, 0]
        waiting[key][2] = wall_s
        waiting[key][3] += body.get("times", 1)
        return key


def _event(body: "dict[str, object]") -> "tuple[str, str]":
    return str(body.get("name", "")), str(body.get("detail", ""))
