"""What stood on the screen, and what was pressed there, where that decides something: facts for the evidence log.

A fact costs little where an entry is made anyway, and much as an entry of its own. So what was shown waits in memory for the next entry, a
minute at most: what a key decides is an event, and its entry has the page and the key in it. A power cut takes what nobody answered.
Pages can be turned as often as somebody likes: the first, second, fourth, eighth time and so on is entered, until the terminal is back.
"""

from firmware_agent.records.evidence import BROKEN

SHOWN = "shown"  # fact: [shown, page, how often]
ANSWERED = "answered"  # fact: [answered, page, key, how often]: the page was shown, and the key pressed on it

# What a page's name begins with, up to its first dot. What is typed is no choice, and is never noted.
PAGES = ("suspended", "out_of_order", "recovery", "materials", "explanation", "fate", "confirm_form", "answer", "restart", "customer") + (
    "test",
    "exam",
    "restored",
    "probation",
    "confirm",
    "activate",
    "notice",
    "reminder",
    "warn",
    "warning",
    "not_done",
)
WAIT_MS = 60000
MOST = 12  # that wait; who shows more in a second than that is no person
_MAX_COUNTED = 96


class Prompts:
    """Nothing is kept here that a restart would miss but what was shown in the last minute."""

    def __init__(self) -> None:
        self._page = ""  # on the screen, and noted
        self._facts: list[list[object]] = []
        self._taken = 0  # of the facts: in the write that is being made
        self._since_ms = 0
        self._counts: dict[str, int] = {}

    def shown(self, page: str, now_ms: int) -> None:
        """A page is on the screen; one that is drawn again is the same."""
        if page == self._page:
            return
        self._page = page
        self._note([SHOWN, page], now_ms)

    def answered(self, page: str, key: str, now_ms: int) -> None:
        """A choice on the page was made by that key."""
        if self._facts and self._facts[-1][:2] == [SHOWN, page]:
            self._facts.pop()
        self._page = ""
        self._note([ANSWERED, page, key], now_ms)

    def are_due(self, now_ms: int) -> bool:
        """Whether they have waited long enough for an entry that is made anyway."""
        return bool(self._facts) and (len(self._facts) >= MOST or now_ms - self._since_ms >= WAIT_MS)

    def take(self) -> "list[list[object]]":
        """What waits, for an entry of its own."""
        facts, self._facts = self._facts, []
        return facts

    def before(self, facts: "list[list[object]]") -> "list[list[object]]":
        """What waits, and then these facts of an entry; `written` is to be called when it is made. A fact `broken` stays the first."""
        self._taken = 0
        if not facts or facts[0][0] == BROKEN:
            return facts
        self._taken = len(self._facts)
        return self._facts + facts

    def written(self) -> None:
        """The last entry is in the store, or waits in its memory."""
        del self._facts[: self._taken]
        self._taken = 0

    def count_anew(self) -> None:
        """The terminal is back: the next suspension is another story."""
        self._counts = {}

    def _note(self, fact: "list[object]", now_ms: int) -> None:
        if str(fact[1]).split(".")[0] not in PAGES:
            return
        name = " ".join([str(word) for word in fact])
        if len(self._counts) >= _MAX_COUNTED and name not in self._counts:
            self._counts = {}
        count = self._counts.get(name, 0) + 1
        self._counts[name] = count
        if count & (count - 1):
            return
        if not self._facts:
            self._since_ms = now_ms
        if len(self._facts) >= MOST:
            del self._facts[0]
        self._facts.append(fact + [count])
