"""What ends or is due on a day that is known: the merchant is reminded well ahead, and the acquirer told when the day has passed.

The days are settings (papers, contract, fees, the firmware that is required), follow from the last physical maintenance, or stand in the
certificates. What a self-test found about to fail, and firmware that is required at once, is due since the day when that was first seen.
Each has stages; one that the merchant has confirmed is not shown again, and another day or another finding begins anew.
"""

from firmware_agent import VERSION
from firmware_agent.boot.versions import is_newer
from firmware_agent.identity.certificate import CertificateError, validity
from firmware_agent.messages.cbor import CborError, decode, encode
from hal.calendar import date_of, day_of
from hal.clock import TRUST_SET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

    Changes = list[tuple[str, "bytes | None"]]
    Messages = list[tuple[str, dict[str, object]]]

PREFIX = "remind."  # + name: [what, day, stage that is confirmed, whether the acquirer was told]
TESTED = "test."  # of the keys of selftest.run
KEY_MAINTAINED = "maintained"  # day of the last physical maintenance, or when they began to be counted

# Names. Those of PAPERS have their day in the setting 'due_' + name.
PAPERS = ("licence", "contract", "card", "id", "fee", "data_card")
MAINTENANCE = "maintenance"
CERTIFICATE = "certificate"
FIRMWARE = "firmware"
DEVICE = "device."  # + component, about to fail

DAY_S = 86400
AHEAD_DAYS = (30, 7, 1, 0)  # each begins a stage; the first one is stage 1
OVERDUE = 5  # the stage of the first week after the day; each further week is one more
CERTIFICATE_PART = 6  # of a certificate's life is left when it is time to worry: it should have been renewed at a third
MAINTENANCE_PART = 3  # of the time between two is left when the next one is reminded of
LOOK_MS = 60000


class Reminder:
    """name: as above; what: the cause of a device about to fail, the version that is required, else ''; day: from 1970-01-01, where the
    terminal stands; left: days until then, negative where it has passed; stage: 0 while it is far off; confirmed: the stage that the
    merchant has confirmed; told: whether the acquirer was.
    """

    def __init__(self, name: str, what: str, day: int, today: int, ahead: int = AHEAD_DAYS[0]) -> None:
        self.name = name
        self.what = what
        self.day = day
        self.left = day - today
        self.stage = 0 if self.left > ahead else stage_of(self.left)
        self.confirmed = 0
        self.told = False
        self.is_kept = False  # there is a record of just this

    @property
    def key(self) -> str:
        """What tells it, at this stage, from any other."""
        return "%s%s %s %d %d" % (PREFIX, self.name, self.what, self.day, self.stage)

    @property
    def is_due(self) -> bool:
        """Whether the merchant has to confirm it now."""
        return self.stage > self.confirmed

    def encoded(self, confirmed: int, told: bool) -> bytes:
        return encode([self.what, self.day, confirmed, told])


def stage_of(left: int) -> int:
    """left: days until then, negative where it has passed."""
    if left < 0:
        return OVERDUE + (-left - 1) // 7
    return len([days for days in AHEAD_DAYS if left <= days])


def today(terminal: "Terminal", settings: "Settings") -> int:
    """The day, from 1970-01-01, where the terminal stands; 0 while its clock cannot be trusted: then there are no reminders."""
    if terminal.hal.clock.trust != TRUST_SET:
        return 0
    return (terminal.wall_s + 60 * settings.utc_offset_min) // DAY_S


def reminders(terminal: "Terminal", settings: "Settings", day: int) -> "list[Reminder]":
    """All there are on that day, however far off, the most urgent first."""
    found = [Reminder(name, "", due, day) for name, due in papers(settings) if due]
    due = maintenance_due(terminal, settings)
    if due:
        found.append(Reminder(MAINTENANCE, "", due, day, min(AHEAD_DAYS[0], every_days(settings) // MAINTENANCE_PART)))
    certificate = _certificate(terminal, settings, day)
    if certificate is not None:
        found.append(certificate)
    required = firmware_required(settings)
    if required:
        found.append(_since_found(terminal, FIRMWARE, required, day, _day(settings, "firmware_due")))
    for component, cause in _about_to_fail(terminal):
        found.append(_since_found(terminal, DEVICE + component, cause, day))
    for reminder in found:
        kept = _kept(terminal, reminder.name)
        if kept is not None and kept[:2] == (reminder.what, reminder.day):
            reminder.is_kept = True
            reminder.confirmed, reminder.told = kept[2:]
    return sorted(found, key=lambda reminder: (reminder.day, reminder.name))


def papers(settings: "Settings") -> "list[tuple[str, int]]":
    """(name, day) of what the merchant and the acquirer have set; 0: not set."""
    return [(name, _day(settings, "due_" + name)) for name in PAPERS]


def maintenance_due(terminal: "Terminal", settings: "Settings") -> int:
    """The day of the next physical maintenance; 0 for none, or while it is not counted yet."""
    every = every_days(settings)
    maintained = _maintained(terminal)
    return maintained + every if every and maintained else 0


def every_days(settings: "Settings") -> int:
    """0: no physical maintenance is asked for."""
    try:
        return int(settings.get("maintenance_every_days"))
    except ValueError:
        return 0


def firmware_required(settings: "Settings") -> str:
    """The version that the acquirer requires, if it is newer than this one, else ''."""
    required = settings.get("firmware_required")
    try:
        return required if required and is_newer(required, VERSION) else ""
    except ValueError:
        return ""


# What time does.


class Reminders:
    """Sees to it that `terminal.reminders` are those that the merchant has to confirm now. There is one to a terminal."""

    def __init__(self, terminal: "Terminal", settings: "Settings") -> None:
        self._terminal = terminal
        self._settings = settings
        self._looked_ms = -LOOK_MS
        self._changes_seen = -1

    def watch(self) -> None:
        """To be called often; looks once a minute, and when something has changed. Raises StoreError: nothing has happened."""
        now_ms = self._terminal.hal.clock.monotonic_ms()
        if now_ms - self._looked_ms >= LOOK_MS or self._changes_seen != self._terminal.changes_seen:
            self._looked_ms, self._changes_seen = now_ms, self._terminal.changes_seen
            look(self._terminal, self._settings)


def look(terminal: "Terminal", settings: "Settings") -> None:
    """Which are due; tell the acquirer, once, of each that is overdue or about to fail, and forget what is no more. Raises StoreError."""
    day = today(terminal, settings)
    if not day:
        terminal.reminders = []
        return
    changes: Changes = []
    messages: Messages = []
    if every_days(settings) and not _maintained(terminal):
        changes.append((KEY_MAINTAINED, encode(day)))
    found = reminders(terminal, settings, day)
    names = [PREFIX + reminder.name for reminder in found]
    changes.extend([(key, None) for key in terminal.store.keys(PREFIX) if key not in names])
    for reminder in found:
        is_found = reminder.name.startswith(DEVICE)
        if not reminder.told and (is_found or reminder.stage >= OVERDUE):
            name, detail = ("device_about_to_fail", device_detail(reminder)) if is_found else ("date_overdue", detail_of(reminder))
            messages.append(("event", {"name": name, "detail": detail}))
            changes.append((PREFIX + reminder.name, reminder.encoded(reminder.confirmed, True)))
        elif reminder.what and not reminder.is_kept:
            changes.append((PREFIX + reminder.name, reminder.encoded(0, False)))  # since when it is so
    if changes:
        terminal.apply([], messages, changes)
    for _, body in messages:
        terminal.log("%s: %s" % (body["name"], body["detail"]))
    terminal.reminders = [reminder for reminder in found if reminder.is_due]


# What a person does. Each raises StoreError: nothing has happened.


def confirm(terminal: "Terminal", settings: "Settings", reminder: Reminder) -> None:
    """The merchant has read it: it comes back at its next stage."""
    record = reminder.encoded(reminder.stage, reminder.told)
    _tell(terminal, "reminder_confirmed", detail_of(reminder), [(PREFIX + reminder.name, record)])
    look(terminal, settings)


def maintained(terminal: "Terminal", settings: "Settings") -> None:
    """The physical maintenance is done: the next one is counted from today. Without the time, from the day when it is known."""
    day = today(terminal, settings)
    record = encode(day) if day else None
    _tell(terminal, "maintenance_done", date_of(day) if day else "", [(KEY_MAINTAINED, record), (PREFIX + MAINTENANCE, None)])
    look(terminal, settings)


def set_by_merchant(terminal: "Terminal", settings: "Settings", name: str, value: str) -> None:
    """name: of a setting. Raises SettingError for a value that it cannot have."""
    _tell(terminal, "date_set", "%s %s" % (name, value or "-"), settings.changes([[name, value]]))
    look(terminal, settings)


def _tell(terminal: "Terminal", name: str, detail: str, changes: "Changes") -> None:
    terminal.apply([], [("event", {"name": name, "detail": detail})], changes)
    terminal.log("%s: %s" % (name, detail))


def detail_of(reminder: Reminder) -> str:
    """For the acquirer: 'licence 2026-12-01', 'firmware 0.2.0 2026-12-01'."""
    return " ".join([word for word in (reminder.name, reminder.what, date_of(reminder.day)) if word])


def device_detail(reminder: Reminder) -> str:
    """For the acquirer: 'printer print_head'."""
    return reminder.name[len(DEVICE) :] + " " + reminder.what


def _day(settings: "Settings", name: str) -> int:
    try:
        return day_of(settings.get(name))
    except ValueError:
        return 0


def _maintained(terminal: "Terminal") -> int:
    return _number(terminal.store.get(KEY_MAINTAINED))


def _number(record: "bytes | None") -> int:
    try:
        value = decode(record or b"")
    except CborError:
        return 0
    return value if isinstance(value, int) else 0


def _kept(terminal: "Terminal", name: str) -> "tuple[str, int, int, bool] | None":
    """What is kept of a reminder: what, day, confirmed, told. One that cannot be read is none: it is shown once more."""
    try:
        what, day, confirmed, told = decode(terminal.store.get(PREFIX + name) or b"")
    except (CborError, TypeError, ValueError):
        return None
    if not isinstance(what, str) or not isinstance(day, int) or not isinstance(confirmed, int):
        return None
    return what, day, confirmed, told is True


def _since_found(terminal: "Terminal", name: str, what: str, day: int, due: int = 0) -> Reminder:
    """due: the day when it is, 0: since it was first seen."""
    if not due:
        kept = _kept(terminal, name)
        due = kept[1] if kept is not None and kept[0] == what and kept[1] <= day else day
    return Reminder(name, what, due, day)


def _certificate(terminal: "Terminal", settings: "Settings", day: int) -> "Reminder | None":
    """That of the two which ends first. They are renewed by themselves long before: a reminder means that this has not come about."""
    first: Reminder | None = None
    for certificate in (terminal.identity.certificate, terminal.identity.transport_certificate):
        try:
            since, until = validity(certificate)
        except CertificateError:
            continue  # the self-test says so
        ahead = min(AHEAD_DAYS[0], (until - since) // DAY_S // CERTIFICATE_PART)
        reminder = Reminder(CERTIFICATE, "", (until + 60 * settings.utc_offset_min) // DAY_S, day, ahead)
        if first is None or reminder.day < first.day:
            first = reminder
    return first


def _about_to_fail(terminal: "Terminal") -> "list[tuple[str, str]]":
    """(component, cause) of what passed its last test, and will not for long: what drifts towards a limit, or a technician has to mend.
    Certificates are renewed.
    """
    if not terminal.store.keys(TESTED):
        return []
    # What is about this is loaded by whoever has tested.
    from firmware_agent.selftest.diagnosis import TECHNICIAN, diagnose
    from firmware_agent.selftest.plans import all_phases
    from firmware_agent.selftest.run import last_result
    from firmware_agent.selftest.trends import DRIFTING

    found: list[tuple[str, str]] = []
    for phase in all_phases(terminal.hal):
        last = last_result(terminal, phase.id)
        if last is None or not last[2].is_marginal or last[2].kind == CERTIFICATE:
            continue
        diagnosis = diagnose(last[2])
        if diagnosis is None or diagnosis.component in [component for component, _ in found]:
            continue
        if diagnosis.cause.mends == TECHNICIAN or last[2].detail.startswith(DRIFTING):
            found.append((diagnosis.component, diagnosis.cause.code))
    return found
