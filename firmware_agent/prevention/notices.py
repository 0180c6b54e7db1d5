"""What the acquirer wants the merchant to know: notices, each kept until he has confirmed it, and the next maintenance window.

A notice comes as a message `notice`, or by the order `message`. The order `maintenance` announces a window: a notice that stays until it is
over, comes back as a reminder, and suspends the terminal from its beginning to its end. Each is one record in the store.
"""

from firmware_agent.foreign_text import plain_text
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, PROBATION, Lifted, Suspended
from firmware_agent.state.reasons import ACTOR_HOST, Reason
from hal.clock import TRUST_SET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.messages.schema import Claims
    from firmware_agent.state.machine import Event
    from firmware_agent.store import Store
    from firmware_agent.terminal import Terminal

    Changes = list[tuple[str, "bytes | None"]]

PREFIX = "notice."  # of the keys; what follows is the sequence of the message that brought it, so that they sort as they came
MAX_NOTICES = 8  # waiting for the merchant, a maintenance window not counted; a full list is refused, nothing unread is dropped

HOUR_S = 3600
DAY_S = 24 * HOUR_S
MAX_WINDOW_S = 7 * DAY_S  # what takes longer is a suspension
MAX_AHEAD_S = 366 * DAY_S

# By what it came. With the number it names the notice: 'order 17', 'notice 3'.
BY_ORDER = "order"
BY_NOTICE = "notice"

ABOUT_MESSAGE = "message"
ABOUT_MAINTENANCE = "maintenance"
MAINTENANCE = "maintenance"  # code of the reason

# How far a window is announced.
STAGE_AHEAD = 0
STAGE_TODAY = 1  # its day has begun, where the terminal stands
STAGE_LAST_HOUR = 2


class NoticeError(Exception):
    """code: a key of inbound.REFUSALS; the message is for the log."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Notice:
    """by: BY_*; number: of the order, or the acquirer's own of a notice; about: a word of schema.NOTICES; since, until: Unix seconds, 0 =
    not told; read: how many stages of it the merchant has confirmed; text: '' where it is left in the store.
    """

    def __init__(self, key: str, by: str, number: int, about: str, since: int, until: int, read: int = 0, text: str = "") -> None:
        self.key = key
        self.by = by
        self.number = number
        self.about = about
        self.since = since
        self.until = until
        self.read = read
        self.text = text

    @property
    def name(self) -> str:
        return "%s %d" % (self.by, self.number)

    @property
    def is_window(self) -> bool:
        """Whether it suspends the terminal: no mere notice does, whatever it is about."""
        return self.by == BY_ORDER and self.about == ABOUT_MAINTENANCE

    def encoded(self, read: int, text: str) -> bytes:
        return encode([self.by, self.number, self.about, self.since, self.until, read, text])

    def stage(self, wall_s: int, utc_offset_min: int) -> int:
        """STAGE_*, by a clock that shows wall_s, 0 = not known: without the time there are no reminders."""
        if not self.is_window or not wall_s:
            return STAGE_AHEAD
        if wall_s >= self.since - HOUR_S:
            return STAGE_LAST_HOUR
        offset_s = 60 * utc_offset_min
        return STAGE_TODAY if (wall_s + offset_s) // DAY_S == (self.since + offset_s) // DAY_S else STAGE_AHEAD


class Notices:
    """Those in the store, in the order in which they came. Their texts, which can be long, stay there.

    all: as a list that is never changed, but replaced by `load`.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store
        self.all: list[Notice] = []
        self.load()

    def load(self) -> None:
        """Take over what is in the store. A record that cannot be read is none: what rotted is reported by the store."""
        found = [self._read(key) for key in self._store.keys(PREFIX)]
        self.all = [notice for notice in found if notice is not None]
        for notice in self.all:
            notice.text = ""

    def text(self, notice: Notice) -> str:
        """'' where it has gone."""
        stored = self._read(notice.key)
        return stored.text if stored is not None else ""

    def window(self) -> "Notice | None":
        """The maintenance window that is announced or under way."""
        for notice in self.all:
            if notice.is_window:
                return notice
        return None

    def due(self, wall_s: int, utc_offset_min: int) -> "list[Notice]":
        """Those that the merchant has to confirm now, the oldest first."""
        return [notice for notice in self.all if notice.read <= notice.stage(wall_s, utc_offset_min)]

    def _read(self, key: str) -> "Notice | None":
        try:
            by, number, about, since, until, read, text = decode(self._store.get(key) or b"")
            if all([isinstance(value, int) for value in (number, since, until, read)]):
                return Notice(key, str(by), number, str(about), since, until, read, str(text))
        except (CborError, TypeError, ValueError):
            pass  # as below
        return None


# What the acquirer's messages do. Each gives the changes to the store, and the events for the state.


def message_changes(terminal: "Terminal", claims: "Claims") -> "Changes":
    """The order `message`. Raises NoticeError."""
    return _added(terminal, claims, Notice("", BY_ORDER, claims.sequence, ABOUT_MESSAGE, 0, 0))


def notice_changes(terminal: "Terminal", claims: "Claims") -> "Changes":
    """A message `notice`; one of a number that is here already takes its place. Raises NoticeError."""
    since, until = claims.number("since"), claims.number("until")
    if until and (until <= since or until <= _now_s(terminal, claims)):
        raise NoticeError("wrong_time", "a notice that is over")
    return _added(terminal, claims, Notice("", BY_NOTICE, claims.number("notice"), claims.text("about"), since, until))


def maintenance_changes(terminal: "Terminal", claims: "Claims") -> "tuple[Changes, list[Event]]":
    """The order `maintenance`: a window in the place of the one before; without times, none. A suspension by the window before goes on with
    the new one if that has begun as well, and is lifted if not. Raises NoticeError.
    """
    since, until = claims.number("since"), claims.number("until")
    if not since and not until:
        return withdrawn(terminal)
    now_s = _now_s(terminal, claims)
    if not since < until <= since + MAX_WINDOW_S or until <= now_s or since > now_s + MAX_AHEAD_S:
        raise NoticeError("wrong_time", "no maintenance from %d to %d" % (since, until))
    changes, events = withdrawn(terminal)
    if events and _has_begun(since, terminal):
        events = [Suspended(_reason(since, until))]
    window = Notice("", BY_ORDER, claims.sequence, ABOUT_MAINTENANCE, since, until)
    changes.append((_key(claims), window.encoded(0, _text(claims, may_be_empty=True))))
    return changes, events


def withdrawn(terminal: "Terminal") -> "tuple[Changes, list[Event]]":
    """No window any more, and no suspension by it."""
    window = terminal.notices.window()
    if window is None:
        return [], []
    return [(window.key, None)], _lifted(terminal, window)


def _added(terminal: "Terminal", claims: "Claims", notice: Notice) -> "Changes":
    text = _text(claims)
    others = [held for held in terminal.notices.all if not held.is_window]
    same = [held.key for held in others if held.name == notice.name]
    if not same and len(others) >= MAX_NOTICES:
        raise NoticeError("too_many", "%d notices wait for the merchant" % len(others))
    changes: Changes = [(key, None) for key in same]
    changes.append((_key(claims), notice.encoded(0, text)))
    return changes


def _key(claims: "Claims") -> str:
    return "%s%012x" % (PREFIX, claims.sequence)


def _text(claims: "Claims", may_be_empty: bool = False) -> str:
    try:
        text = plain_text(claims.text("text"))
    except ValueError as error:
        raise NoticeError("wrong_text", str(error))
    if not text and not may_be_empty:
        raise NoticeError("wrong_text", "no text")
    return text


def _now_s(terminal: "Terminal", claims: "Claims") -> int:
    """It is that late at least: by a clock that may be behind, and by when the message was signed."""
    return max(terminal.wall_s, claims.issued_at)


# What the merchant does, and what time does.


def confirm(terminal: "Terminal", notice: Notice, utc_offset_min: int) -> None:
    """The merchant has read it: it goes, or, a window, comes back at its next stage. Raises StoreError: he has to confirm it again."""
    if all([held.key != notice.key for held in terminal.notices.all]):
        return  # called off in the moment when he pressed the key
    record = None
    if notice.is_window:
        record = notice.encoded(notice.stage(terminal.wall_s, utc_offset_min) + 1, terminal.notices.text(notice))
    terminal.apply([], [("event", {"name": "notice_confirmed", "detail": notice.name})], [(notice.key, record)])
    terminal.log("notice confirmed: %s" % notice.name)


def watch(terminal: "Terminal") -> None:
    """To be called often. What is over goes, confirmed or not, and the acquirer hears of it; a window that has begun suspends the terminal,
    one that has ended lifts that again. Raises StoreError: nothing of it has happened.

    A time that has passed by a clock that may be behind has passed; but only by one that is set has a window begun, or it might be over.
    """
    wall_s = terminal.wall_s
    for notice in terminal.notices.all:
        if notice.until and wall_s >= notice.until:
            detail = notice.name if notice.read else notice.name + ", not confirmed"
            terminal.apply(_lifted(terminal, notice), [("event", {"name": "notice_over", "detail": detail})], [(notice.key, None)])
            terminal.log("notice over: %s" % detail)
        elif notice.is_window and _has_begun(notice.since, terminal) and terminal.state.mode in (IN_SERVICE, PROBATION, COMMISSIONING):
            # One that is suspended already stays as it is: its recovery would begin anew with another reason.
            terminal.apply([Suspended(_reason(notice.since, notice.until))])


def _has_begun(since: int, terminal: "Terminal") -> bool:
    return terminal.hal.clock.trust == TRUST_SET and terminal.wall_s >= since


def _reason(since: int, until: int) -> Reason:
    return Reason(MAINTENANCE, ACTOR_HOST, since, until)


def _lifted(terminal: "Terminal", notice: Notice) -> "list[Event]":
    """The end of the suspension by a window; of one that the acquirer ordered by itself this is not the end."""
    if notice.is_window and any([_is_of(notice, reason) for reason in terminal.state.reasons]):
        return [Lifted(MAINTENANCE)]
    return []


def _is_of(window: Notice, reason: Reason) -> bool:
    return reason.to_list() == _reason(window.since, window.until).to_list()
