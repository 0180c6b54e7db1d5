"""What happened in one suspension, and when: read from the entries of the evidence log, one by one. Pure.

The log is bounded, an entry may be missing, and a clock may not be set: what is known is told, and `is_whole` says whether that is all.
"""

from firmware_agent.records.evidence import BROKEN, UNKEPT
from firmware_agent.state.machine import IN_SERVICE, PROBATION, STEP_CHECK, STEP_CONTACT, STEP_MATERIALS, STEP_REASON
from firmware_agent.state.reasons import reason_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware_agent.records.evidence import Entry

# What can have happened. On the wire it is its place here, so words are only ever added at the end.
SUSPENDED = "suspended"  # about: number of the reason
RECOVERY_STARTED = "recovery_started"
REASON_READ = "reason_read"
CONTACTED = "contacted"
CHECKED = "checked"
MATERIALS_READY = "materials_ready"
APPLIED = "applied"  # about: number of the application
RECEIVED = "received"
UNDER_REVIEW = "under_review"
MORE_NEEDED = "more_needed"
APPROVED = "approved"
REJECTED = "rejected"
NEW_KEYS = "new_keys"
TECHNICIAN = "technician"  # signed on
TECHNICIAN_CONFIRMED = "technician_confirmed"
TRAINED = "trained"
LIFTED = "lifted"  # about: number of the reason
BACK = "back"
MOMENTS = (SUSPENDED, RECOVERY_STARTED, REASON_READ, CONTACTED, CHECKED, MATERIALS_READY, APPLIED, RECEIVED, UNDER_REVIEW, MORE_NEEDED) + (
    APPROVED,
    REJECTED,
    NEW_KEYS,
    TECHNICIAN,
    TECHNICIAN_CONFIRMED,
    TRAINED,
    LIFTED,
    BACK,
)
ROLE_TECHNICIAN, ROLE_STAFF = "technician", "staff"
ROLES = (ROLE_TECHNICIAN, ROLE_STAFF)

MOST_MOMENTS = 32  # beyond that those in the middle give way
MOST_PEOPLE = 8
_OF_STEPS = {STEP_REASON: REASON_READ, STEP_CONTACT: CONTACTED, STEP_CHECK: CHECKED, STEP_MATERIALS: MATERIALS_READY}
_OF_REVIEW = (RECEIVED, UNDER_REVIEW, MORE_NEEDED, APPROVED, REJECTED)


class Timeline:
    """began, ended: Unix seconds, 0 = not known, or not yet; moments: (word, Unix seconds or 0, about), about a number or 0; tests:
    function tests, each [name, how often, last outcome, when]; people: (role, badge number or staff number), never a name; is_back: the
    terminal takes payments again; is_whole: nothing is missing between the first entry asked for and the last.
    """

    def __init__(self) -> None:
        self.began = 0
        self.ended = 0
        self.moments: list[tuple[str, int, int]] = []
        self.tests: list[list[object]] = []
        self.people: list[tuple[str, str]] = []
        self.is_back = False
        self.is_whole = True


def timeline_of(entries: "Iterable[Entry]", first: int = 0) -> Timeline:
    """entries: the log's, the oldest first; first: number of the entry with which the suspension began, 0 where that is not known."""
    reading = _Reading(first)
    for entry in entries:
        if entry.number >= first:
            reading.take(entry)
    return reading.timeline


class _Reading:
    def __init__(self, first: int) -> None:
        self.timeline = Timeline()
        self._begun = False
        self._next = first  # number of the entry that is to come
        self._when = 0
        self._step = ""  # where the recovery stood
        self._reasons: list[int] = []
        if not first:
            self.timeline.is_whole = False

    def take(self, entry: "Entry") -> None:
        timeline = self.timeline
        if entry.number != self._next:
            timeline.is_whole = False
            self._step = ""  # what was missed may have been a step
        elif not self._begun:
            timeline.began = entry.wall_s
        self._begun = True
        self._next = entry.number + 1
        self._when = entry.wall_s
        for fact in entry.facts:
            try:
                self._fact(fact)
            except (IndexError, KeyError, TypeError, ValueError):
                timeline.is_whole = False  # of another version

    def _fact(self, fact: "list[object]") -> None:
        kind = fact[0]
        if kind == "state":
            self._state(fact)
        elif kind == "accepted" and fact[1] == "status" and str(fact[4]) in _OF_REVIEW:
            self._moment(str(fact[4]))
        elif kind == "application" and fact[2] not in ("registration", "renewal"):
            self._moment(APPLIED, _number(fact[1]))
        elif kind == "test":
            self._test(str(fact[1]), str(fact[2]))
        elif kind == "event":
            self._event(str(fact[1]), str(fact[2]))
        elif kind in (BROKEN, UNKEPT):
            self.timeline.is_whole = False

    def _state(self, fact: "list[object]") -> None:
        events, mode, step, codes = fact[1:5]
        if not isinstance(events, list) or not isinstance(codes, list):
            raise TypeError("a state has another form")
        reasons = [reason_kind(str(code).split(" ")[0]).number for code in codes]
        for number in reasons:
            if number not in self._reasons and "Suspended" in events:
                self._moment(SUSPENDED, number)
        if "RecoveryStarted" in events:
            self._moment(RECOVERY_STARTED)
        if "StepDone" in events and self._step in _OF_STEPS:
            self._moment(_OF_STEPS[self._step])
        if "Registered" in events:
            self._moment(NEW_KEYS)
        for number in self._reasons:
            if number not in reasons:
                self._moment(LIFTED, number)
        self._reasons = reasons
        self._step = str(step)
        is_back = mode in (IN_SERVICE, PROBATION)
        if is_back and not self.timeline.is_back:
            self._moment(BACK)
            self.timeline.ended = self._when
        self.timeline.is_back = is_back

    def _test(self, name: str, outcome: str) -> None:
        for test in self.timeline.tests:
            if test[0] == name:
                test[1:] = [_number(test[1]) + 1, outcome, self._when]
                return
        self.timeline.tests.append([name, 1, outcome, self._when])

    def _event(self, name: str, detail: str) -> None:
        if name in ("signed_on", "technician_confirmed"):
            self._person(ROLE_TECHNICIAN, detail.split(" ")[-1])  # 'badge T-0042', or 'PIN'
            self._moment(TECHNICIAN if name == "signed_on" else TECHNICIAN_CONFIRMED)
        elif name == "training_done":
            self._person(ROLE_STAFF, detail)
            self._moment(TRAINED)

    def _person(self, role: str, number: str) -> None:
        people = self.timeline.people
        if (role, number) not in people and len(people) < MOST_PEOPLE:
            people.append((role, number))

    def _moment(self, word: str, about: int = 0) -> None:
        """What happens again and again is told once, as long as nothing else happens."""
        moments = self.timeline.moments
        if moments and moments[-1][0] == word and moments[-1][2] == about:
            return
        if len(moments) >= MOST_MOMENTS:
            del moments[MOST_MOMENTS // 2]
            self.timeline.is_whole = False
        moments.append((word, self._when, about))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
