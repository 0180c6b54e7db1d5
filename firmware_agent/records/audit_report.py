"""The audit of the evidence log: whether its chain holds, what is missing, and who did how much. Read entry by entry, none is kept."""

from firmware_agent.records.evidence import BROKEN, Damage, walked
from firmware_agent.records.prompts import ANSWERED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.records.evidence import Entry, Walk
    from firmware_agent.store import Store

MOST_PEOPLE = 8
# What is counted: facts by their kind, and events by their name.
REPORTS, TESTS, ORDERS, REFUSED, APPLICATIONS, CHOICES = "report", "test", "accepted", "refused", "application", ANSWERED
SIGNED_ON, SIGN_ON_REFUSED = "signed_on", "sign_on_refused"
COUNTED = (ORDERS, REFUSED, CHOICES, APPLICATIONS, REPORTS, TESTS, SIGNED_ON, SIGN_ON_REFUSED)


class AuditReport:
    """walk: the log's, to its end; damage: what is wrong with it now, and no entry tells of, or None; kept: number of the entry up to which
    the acquirer keeps it, 0 = none; broken: entries that say that something was missing before; since, until: Unix seconds of the first and
    the last entry whose time is known, or 0; starts: of the terminal; counts: of COUNTED; people: sign-ons by badge or PIN.
    """

    def __init__(self, store: "Store", kept: "tuple[int, bytes]") -> None:
        self.kept = kept[0]
        self.broken = 0
        self.since = 0
        self.until = 0
        self.starts = 0
        self.counts = {what: 0 for what in COUNTED}
        self.people: dict[str, int] = {}
        self._boot = 0
        self._times: dict[str, int] = {}  # of what is entered the first, second, fourth time of a boot: how often it was
        walk, damage = walked(store, kept, self._met)
        self.walk: Walk = walk
        self.damage: Damage | None = damage
        self._add_times()

    def _met(self, entry: "Entry") -> None:
        if entry.boot_count != self._boot:
            self._add_times()
            self._boot = entry.boot_count
            self.starts += 1
        if entry.wall_s:
            self.since = self.since or entry.wall_s
            self.until = entry.wall_s
        for fact in entry.facts:
            self._count(fact)

    def _count(self, fact: "list[object]") -> None:
        kind = str(fact[0])
        if kind == BROKEN:
            self.broken += 1
        elif kind == REFUSED and len(fact) > 2:
            self._times[REFUSED + " " + str(fact[1])] = _number(fact[2])
        elif kind == "event" and len(fact) > 3 and fact[1] in COUNTED:
            if fact[1] == SIGNED_ON:
                self.counts[SIGNED_ON] += 1
                who = str(fact[2]).split(" ")[-1]  # 'badge T-0042', or 'PIN'
                if who in self.people or len(self.people) < MOST_PEOPLE:
                    self.people[who] = self.people.get(who, 0) + 1
            else:
                self._times[str(fact[1]) + " " + str(fact[2])] = _number(fact[3])
        elif kind in self.counts:
            self.counts[kind] += 1

    def _add_times(self) -> None:
        """What the boot came to that is over."""
        for what, times in self._times.items():
            self.counts[what.split(" ")[0]] += times
        self._times = {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
