"""The probation: while it lasts each anomaly is told without being asked; at its end, how many there were. What is one is decided here."""

from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.state.machine import PROBATION, TimePassed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.selftest.diagnosis import Diagnosis
    from firmware_agent.terminal import Terminal

    Messages = list[tuple[str, dict[str, object]]]
    Changes = list[tuple[str, bytes | None]]

# What an anomaly is.
SELF_TEST = "self_test"  # a device failed, or is about to
SIGN_IN = "sign_in"  # the payment host refused it
RESTART = "restart"
NETWORK = "network"  # lost for OUTAGE_MS
ANOMALIES = (SELF_TEST, SIGN_IN, RESTART, NETWORK)
OUTAGE_MS = 10 * 60 * 1000

KEY_COUNTS = "probation"  # [until when it lasts, how often each of ANOMALIES]
KEY_OVER = "probation.over"  # how often each, until somebody has read it


def noted(terminal: "Terminal", what: str, details: "list[str]") -> "tuple[Messages, Changes]":
    """The messages that tell of anomalies of one kind, and the change to the store that counts them, for one write with what they are
    about; nothing outside of a probation. details: of each, a few words.
    """
    if terminal.state.mode != PROBATION or not details:
        return [], []
    counts = counts_of(terminal)
    counts[ANOMALIES.index(what)] += len(details)
    told: Messages = [("event", {"name": "anomaly", "detail": ("%s %s" % (what, detail)).strip()}) for detail in details]
    return told, [(KEY_COUNTS, encode([terminal.state.probation_until, counts]))]


def note(terminal: "Terminal", what: str, detail: str = "") -> None:
    """Tell of one anomaly by itself."""
    messages, changes = noted(terminal, what, [detail])
    if messages:
        terminal.tell(messages, changes=changes)


def details_of(diagnoses: "list[Diagnosis]") -> "list[str]":
    """A self-test's anomalies: what failed, and what still works but not well."""
    return ["%s %s" % (diagnosis.component, diagnosis.cause.code) for diagnosis in diagnoses]


def counts_of(terminal: "Terminal") -> "list[int]":
    """How often each of ANOMALIES was noted in this probation."""
    until, counts = 0, _none()
    try:
        until, counts = decode(terminal.store.get(KEY_COUNTS) or b"")
    except (CborError, TypeError, ValueError):
        pass
    # Those of a probation before this one do not count; one that began without the time of day has learned its end in the meantime.
    return _counts(counts) if until in (0, terminal.state.probation_until) else _none()


def watch(terminal: "Terminal") -> None:
    """To be called often. End it when its time is over, and tell how it was. Raises StoreError: it goes on."""
    state, wall_s = terminal.state, terminal.wall_s
    if state.mode != PROBATION or not wall_s or state.probation_until > wall_s:
        return
    if not state.probation_until:
        terminal.apply([TimePassed(wall_s)])  # its end could not be told before
        return
    counts = counts_of(terminal)
    told: dict[str, object] = {"name": "probation_over", "detail": _in_words(counts)}
    terminal.apply([TimePassed(wall_s)], [("event", told)], [(KEY_COUNTS, None), (KEY_OVER, encode(counts))])


def summary(terminal: "Terminal") -> "list[int] | None":
    """How often each of ANOMALIES was noted in the probation that is over, and that nobody has read of; else None."""
    record = terminal.store.get(KEY_OVER)
    if record is None:
        return None
    try:
        return _counts(decode(record))
    except CborError:
        return _none()


def read(terminal: "Terminal") -> None:
    """Somebody has read the summary. Raises StoreError."""
    terminal.apply([], [], [(KEY_OVER, None)])


class Outages:
    """Which losses of the network are anomalies: each once."""

    def __init__(self) -> None:
        self._since_ms = -1  # -1: it is online
        self._is_told = False

    def look(self, online: bool, now_ms: int) -> bool:
        """To be called often. Whether it has just been lost for OUTAGE_MS."""
        if online:
            self._since_ms, self._is_told = -1, False
            return False
        if self._since_ms < 0:
            self._since_ms = now_ms
        if self._is_told or now_ms - self._since_ms < OUTAGE_MS:
            return False
        self._is_told = True
        return True


def _none() -> "list[int]":
    return [0] * len(ANOMALIES)


def _counts(value: object) -> "list[int]":
    """A later version may count more kinds; what is no list of counts counts as none."""
    counts = list(value) if isinstance(value, list) and all([isinstance(count, int) for count in value]) else []
    return (counts + _none())[: len(ANOMALIES)]


def _in_words(counts: "list[int]") -> str:
    return ", ".join(["%s %d" % (ANOMALIES[place], counts[place]) for place in range(len(ANOMALIES))])
