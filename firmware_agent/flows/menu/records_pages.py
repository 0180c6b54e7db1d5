"""What is kept, in words, line by line: the summary of a suspension, the operation log, the audit of the log."""

from firmware_agent.flows.dates import local_time
from firmware_agent.flows.status_pages import code_of
from firmware_agent.records.audit_report import APPLICATIONS, CHOICES, ORDERS, REFUSED, REPORTS, SIGN_ON_REFUSED, TESTS
from firmware_agent.records.evidence import BROKEN, UNKEPT, entries
from firmware_agent.records.prompts import ANSWERED, SHOWN
from firmware_agent.records.summary import reasons_of, steps_of
from firmware_agent.records.timeline import APPLIED, LIFTED, ROLE_STAFF, ROLES, SUSPENDED
from firmware_agent.selftest.plans import DEVICE
from firmware_agent.state.machine import IN_SERVICE, PROBATION
from firmware_agent.state.reasons import reason_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware_agent.messages.schema import Claims
    from firmware_agent.records.audit_report import AuditReport
    from firmware_agent.records.evidence import Entry
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

# Events of the state machine that are no line of their own: another fact of the same entry says it.
_TOLD_OTHERWISE = ("Booted", "FunctionTestPassed", "ReviewAnswered", "TechnicianConfirmed")
DETAIL = "op.detail."
DUE = "due_"  # a setting: a day that the merchant is reminded of
_COUNTS = (ORDERS, REFUSED, CHOICES, APPLICATIONS, REPORTS, TESTS, SIGN_ON_REFUSED)


def summary_lines(texts: "Texts", claims: "Claims", utc_offset_min: int) -> "Iterator[str]":
    """A message `summary` in words."""
    yield texts.get("slip.terminal", terminal=claims.subject)
    yield texts.get("summary.number", number=claims.number("number"))
    for reason in reasons_of(claims):
        yield texts.get("suspended.reason", reason=texts.get("reason." + reason.code))
        yield texts.get("suspended.code", code=code_of(reason))
        if reason.component:
            yield texts.get("suspended.component", device=text_of(texts, "device.", reason.component))
        if reason.case:
            yield texts.get("suspended.case", case=reason.case)
    yield texts.get("suspended.since", since=_time(texts, claims.number("since"), utc_offset_min))
    if claims.body.get("back"):
        yield texts.get("summary.until", until=_time(texts, claims.number("until"), utc_offset_min))
    else:
        yield texts.get("summary.goes_on")
    if "duration_s" in claims.body:
        minutes = claims.number("duration_s") // 60
        yield texts.get("summary.took", hours=minutes // 60, minutes=minutes % 60)
    yield texts.get("summary.steps")
    for word, when, about in steps_of(claims):
        yield _time(texts, when, utc_offset_min) + " " + _step(texts, word, about)
    for values in claims.items("tests"):
        if isinstance(values, list) and len(values) > 2:
            name, count, outcome = values[:3]
            test, told = text_of(texts, "test.", str(name)), text_of(texts, "outcome.", str(outcome))
            yield texts.get("summary.test", test=test, outcome=told, count=count)
    for values in claims.items("people"):
        if isinstance(values, list) and len(values) > 1:
            is_staff = values[0] == ROLES.index(ROLE_STAFF)
            yield texts.get("summary.staff" if is_staff else "summary.technician", number=values[1])
    if not claims.body.get("whole"):
        yield texts.get("summary.gaps")
    yield texts.get("summary.advice")
    for number in claims.items("advice"):
        if isinstance(number, int) and _reason(number):
            yield texts.get("advice." + _reason(number))


def operation_lines(texts: "Texts", terminal: "Terminal", utc_offset_min: int) -> "Iterator[str]":
    """The operation log: who did what, the newest first; as many lines as the evidence log has facts that say something to a person. One
    entry is in memory at a time.
    """
    for entry in entries(terminal.store, newest_first=True):
        for place in range(len(entry.facts) - 1, -1, -1):
            told = _fact(texts, entry.facts[place])
            if told:
                yield _when(texts, entry, utc_offset_min) + " " + told


def audit_lines(texts: "Texts", terminal: "Terminal", report: "AuditReport", utc_offset_min: int) -> "Iterator[str]":
    yield texts.get("slip.terminal", terminal=terminal.identity.terminal)
    yield texts.get("slip.time", time=_time(texts, terminal.wall_s, utc_offset_min))
    if report.damage is not None:
        yield texts.get("audit.damaged", detail=report.damage)
    elif report.broken:
        yield texts.get("audit.broken", count=report.broken)
    else:
        yield texts.get("audit.whole")
    yield texts.get("audit.entries", count=report.walk.entries, number=report.walk.number)
    if report.since:
        yield texts.get("suspended.since", since=local_time(report.since, utc_offset_min))
        yield texts.get("notice.until", until=local_time(report.until, utc_offset_min))
    yield texts.get("audit.kept", number=report.kept) if report.kept else texts.get("audit.not_kept")
    yield texts.get("audit.starts", count=report.starts)
    for what in _COUNTS:
        yield texts.get("audit.count." + what, count=report.counts[what])
    for who in sorted(report.people):
        yield texts.get("audit.technician", number=who, count=report.people[who])
    yield texts.get("audit.head", detail=head_of(report))


def head_of(report: "AuditReport") -> str:
    """Number and head of the last entry, as `reinstate verify --head` takes it."""
    return "%d:%s" % (report.walk.number, "".join(["%02x" % byte for byte in report.walk.head]))


# One fact in words; '' for one that says nothing to a person, or is of another version.


def _fact(texts: "Texts", fact: "list[object]") -> str:
    try:
        return _told(texts, fact)
    except (IndexError, KeyError, TypeError, ValueError):
        return ""


def _told(texts: "Texts", fact: "list[object]") -> str:
    kind = fact[0]
    if kind == "state":
        return _state(texts, fact)
    if kind == "accepted":
        return _accepted(texts, fact)
    if kind == "refused":
        return texts.get("op.refused", detail=detail_in_words(texts, str(fact[1])), count=fact[2])
    if kind == "report":
        return texts.get("op.report", plan=_plan(texts, str(fact[1])), count=len(_list(fact[3])))
    if kind == "test":
        return texts.get("op.test", test=text_of(texts, "test.", str(fact[1])), outcome=text_of(texts, "outcome.", str(fact[2])))
    if kind == "application":
        return texts.get("op.application", number=fact[1])
    if kind == "event":
        told = [text_of(texts, "op.event.", str(fact[1]))]
        if fact[2]:
            told.append(detail_in_words(texts, str(fact[2])))
        return texts.get("op.and").join(told)
    if kind == SHOWN:
        return texts.get("op.shown", page=_page(texts, str(fact[1])))
    if kind == ANSWERED:
        return texts.get("op.chosen", text=_choice(texts, str(fact[1]), str(fact[2])))
    if kind == BROKEN:
        return texts.get("op.broken", detail=detail_in_words(texts, str(fact[1])), number=fact[2])
    if kind == UNKEPT:
        return texts.get("op.unkept", count=fact[1])
    return ""


def detail_in_words(texts: "Texts", detail: str) -> str:
    """An event's detail, which is written for the wire, in a person's words: each piece of it as a phrase, whose number is a value; else
    word by word. What has no text stands as it is.
    """
    told = []
    for piece in detail.replace("; ", ", ").replace(": ", ", ").split(", "):
        words = [word for word in piece.split(" ") if word != "%"]
        phrase = DETAIL + "_".join([word for word in words if not _has_digit(word)])
        try:
            told.append(texts.get(phrase, number=" ".join([word for word in words if _has_digit(word)])).strip())
        except KeyError:
            told.append(" ".join([_word(texts, word) for word in words]))
    return texts.get("op.and").join(told)


def _has_digit(word: str) -> bool:
    return any([character.isdigit() for character in word])


def _word(texts: "Texts", word: str) -> str:
    if _has_digit(word):
        return word  # a number, a date, a name
    if word.startswith(DUE):
        return text_of(texts, "reminder.name.", word[len(DUE) :])
    for prefix in (DETAIL, "cause.", "device.", "reminder.name.", "shop."):
        try:
            return texts.get(prefix + word, number="").strip()
        except KeyError:
            continue
    return word


def _state(texts: "Texts", fact: "list[object]") -> str:
    events, mode, codes = _list(fact[1]), fact[2], _list(fact[4])
    told = [text_of(texts, "op.did.", str(event)) for event in events if event not in _TOLD_OTHERWISE]
    if "Suspended" in events and codes:
        told.append(text_of(texts, "reason.", str(codes[-1]).split(" ")[0]))
    if mode in (IN_SERVICE, PROBATION) and "TimePassed" not in events and "Booted" not in events:
        told.append(texts.get("op.back"))
    return texts.get("op.and").join(told)


def _accepted(texts: "Texts", fact: "list[object]") -> str:
    """An order by its action, any other message by its kind; and the words that came with it."""
    kind = str(fact[1])
    words = [str(word) for word in fact[4:]]
    if kind == "order" and words:
        told = text_of(texts, "op.order.", words.pop(0))
        if words:
            words[0] = text_of(texts, "reason.", words[0])
    else:
        told = text_of(texts, "op.message.", kind)
        if kind == "status" and words:
            words[0] = text_of(texts, "review.", words[0])
    return texts.get("op.and").join([told] + words)


def _list(value: object) -> "list[object]":
    """Raises TypeError."""
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _page(texts: "Texts", name: str) -> str:
    try:
        return texts.get(name + ".title")
    except KeyError:
        return name


def _choice(texts: "Texts", page: str, key: str) -> str:
    try:
        return texts.get(page + ".choice." + key)
    except KeyError:
        return "%s (%s)" % (_page(texts, page), key)


def _plan(texts: "Texts", plan: str) -> str:
    return text_of(texts, "device.", plan[len(DEVICE) :]) if plan.startswith(DEVICE) else text_of(texts, "plan.", plan)


def _step(texts: "Texts", word: str, about: int) -> str:
    if word in (SUSPENDED, LIFTED):
        code = _reason(about)
        return texts.get("moment." + word, reason=texts.get("reason." + code) if code else "-")
    if word == APPLIED:
        return texts.get("moment.applied", number=about)
    return texts.get("moment." + word)


def _reason(number: int) -> str:
    """Its code; '' for one of a newer version."""
    try:
        return reason_kind(number).code
    except KeyError:
        return ""


def text_of(texts: "Texts", prefix: str, word: str) -> str:
    """A word that has no text, of a newer version or of somebody else's driver, stands as it is."""
    try:
        return texts.get(prefix + word)
    except KeyError:
        return word


def _when(texts: "Texts", entry: "Entry", utc_offset_min: int) -> str:
    return _time(texts, entry.wall_s, utc_offset_min)


def _time(texts: "Texts", wall_s: int, utc_offset_min: int) -> str:
    return local_time(wall_s, utc_offset_min) if wall_s else texts.get("menu.no_time")
