"""Reminders: each stage is confirmed once, nothing is reminded of by a clock that cannot be trusted, and what is overdue is told."""

from firmware_agent import VERSION
from firmware_agent.messages.cbor import encode
from firmware_agent.prevention.reminders import (
    DEVICE,
    KEY_MAINTAINED,
    OVERDUE,
    PREFIX,
    Reminders,
    confirm,
    look,
    maintained,
    reminders,
    set_by_merchant,
    stage_of,
    today,
)
from firmware_agent.selftest.phases import PASS, Result
from firmware_agent.selftest.run import KEY_LAST, _to_keep
from firmware_agent.selftest.trends import DRIFTING
from firmware_agent.settings import REMINDED, SettingError, Settings
from hal.calendar import date_of, day_of
from hal.clock import TRUST_FLOOR, TRUST_NONE, TRUST_SET
from tests.core.certificates import certificate_for
from tests.core.parts import Flash, PowerCut, Time
from tests.core.support import raises
from tests.core.terminal_parts import boot, provisioned

TODAY = day_of("2026-11-22")
DAY_MS = 86400000


class Shop:
    """A terminal whose time can be moved on."""

    def __init__(self, **values):
        self.flash = Flash()
        provisioned(self.flash)
        self.time = Time()
        self.boot()
        self.configure(**values)

    def boot(self):
        self.terminal = boot(self.flash, self.time)
        self.settings = Settings(self.terminal.store)

    def configure(self, **values):
        """The acquirer's order."""
        if values:
            self.terminal.apply([], [], self.settings.changes([[name, values[name]] for name in sorted(values)]))
        self.look()

    def look(self):
        look(self.terminal, self.settings)

    def goes_to(self, day):
        self.time.now_ms += (day - today(self.terminal, self.settings)) * DAY_MS
        self.look()

    @property
    def due(self):
        return [reminder.name for reminder in self.terminal.reminders]

    def confirm(self):
        confirm(self.terminal, self.settings, self.terminal.reminders[0])

    def told(self, name):
        head = name + ": "
        return [line[len(head) :] for line in self.terminal.lines if line.startswith(head)]

    def found(self, phase, cause, detail="", kind=""):
        """The last self-test passed, with that cause."""
        result = Result(phase, kind or phase, PASS, cause=cause, detail=detail)
        self.terminal.store.put(KEY_LAST + phase, encode([0, "daily", _to_keep(result), False]))
        self.look()


def test_stages_are_thirty_seven_and_one_day_ahead_the_day_itself_and_each_week_after_it():
    stages = [(31, 0), (30, 1), (8, 1), (7, 2), (2, 2), (1, 3), (0, 4), (-1, OVERDUE), (-7, OVERDUE), (-8, OVERDUE + 1), (-15, OVERDUE + 2)]
    for left, stage in stages:
        assert stage_of(left) == stage, left


def test_each_stage_of_a_date_is_shown_once_also_over_restarts():
    shop = Shop(due_licence=date_of(TODAY + 40))
    asked = []
    for day in range(TODAY, TODAY + 65):
        shop.goes_to(day)
        if shop.due:
            assert shop.due == ["licence"]
            asked.append(day - TODAY - 40)
            shop.confirm()
            assert shop.due == []
        if day % 9 == 0:
            shop.boot()
            shop.look()
            assert shop.due == []
    assert asked == [-30, -7, -1, 0, 1, 8, 15, 22]


def test_what_is_not_confirmed_stays_until_it_is():
    shop = Shop(due_contract=date_of(TODAY + 7))
    for day in (TODAY, TODAY + 3, TODAY + 9):
        shop.goes_to(day)
        assert shop.due == ["contract"]
    shop.confirm()  # the stages before are confirmed with it
    assert shop.due == []
    assert shop.told("reminder_confirmed") == ["contract " + date_of(TODAY + 7)]


def test_a_changed_date_begins_anew_and_one_that_is_taken_away_is_forgotten():
    shop = Shop(due_fee=date_of(TODAY + 1))
    shop.confirm()
    assert shop.due == []
    shop.configure(due_fee=date_of(TODAY + 20))
    assert shop.due == ["fee"]
    shop.confirm()
    shop.configure(due_fee="")
    assert shop.due == [] and shop.terminal.store.keys(PREFIX) == []
    shop.configure(due_fee=date_of(TODAY + 20))
    assert shop.due == ["fee"]


def test_the_most_urgent_comes_first_and_one_at_a_time():
    shop = Shop(due_data_card=date_of(TODAY + 6), due_card=date_of(TODAY - 3), due_id=date_of(TODAY), due_licence=date_of(TODAY + 31))
    assert shop.due == ["card", "id", "data_card"]
    shop.confirm()
    assert shop.due == ["id", "data_card"]


def test_the_acquirer_is_told_once_of_what_is_overdue_confirmed_or_not():
    shop = Shop(due_card=date_of(TODAY + 1))
    shop.goes_to(TODAY + 1)
    assert shop.told("date_overdue") == []
    shop.goes_to(TODAY + 2)
    assert shop.told("date_overdue") == ["card " + date_of(TODAY + 1)]
    shop.confirm()
    shop.boot()
    shop.goes_to(TODAY + 12)
    assert shop.due == ["card"] and shop.told("date_overdue") == []
    shop.configure(due_card=date_of(TODAY + 11))
    assert shop.told("date_overdue") == ["card " + date_of(TODAY + 11)]


def test_without_a_clock_that_can_be_trusted_nothing_is_reminded_of():
    shop = Shop(due_fee=date_of(TODAY - 5))
    assert shop.due == ["fee"]
    for trust in (TRUST_NONE, TRUST_FLOOR):
        shop.terminal.hal.clock.trust = trust
        shop.look()
        assert shop.due == [] and today(shop.terminal, shop.settings) == 0
    shop.terminal.hal.clock.trust = TRUST_SET
    shop.look()
    assert shop.due == ["fee"]


def test_the_day_is_the_shops():
    shop = Shop(due_fee=date_of(TODAY + 1), utc_offset_min="840")
    shop.time.now_ms += 11 * 3600 * 1000  # eleven in the morning in Greenwich is one at night there
    shop.look()
    assert today(shop.terminal, shop.settings) == TODAY + 1 and shop.terminal.reminders[0].left == 0


def test_a_power_cut_in_a_confirmation_leaves_it_confirmed_or_not_and_told_alike():
    for keep_bytes in (0, 20, 100000):
        shop = Shop(due_fee=date_of(TODAY))
        shop.flash.cut(1, keep_bytes)
        raises(PowerCut, shop.confirm)
        shop.flash.power_up()
        shop.boot()
        shop.look()
        told = any([b"reminder_confirmed" in (shop.terminal.store.get(key) or b"") for key in shop.terminal.store.keys("event.")])
        assert told == (shop.due == []) == (keep_bytes == 100000)


def test_a_record_that_cannot_be_read_is_shown_once_more():
    for record in (b"", b"\xff", encode(7), encode(["", "x", 1, False]), encode([0, TODAY, 4, True])):
        shop = Shop(due_fee=date_of(TODAY))
        shop.confirm()
        shop.terminal.store.put(PREFIX + "fee", record)
        shop.look()
        assert shop.due == ["fee"]
        shop.confirm()
        assert shop.due == []


def test_the_minute_between_two_looks_is_cut_short_by_what_changes():
    shop = Shop(due_fee=date_of(TODAY))
    shop.terminal.reminders = []
    watch = Reminders(shop.terminal, shop.settings)
    watch.watch()
    assert shop.due == ["fee"]
    shop.terminal.reminders = []
    watch.watch()
    assert shop.due == []
    shop.terminal.changes_seen += 1
    watch.watch()
    assert shop.due == ["fee"]
    shop.terminal.reminders = []
    shop.time.now_ms += 60000
    watch.watch()
    assert shop.due == ["fee"]


# Physical maintenance.


def test_maintenance_comes_back_so_many_days_after_it_was_done():
    shop = Shop(maintenance_every_days="90")
    assert shop.due == []
    shop.goes_to(TODAY + 60)
    assert shop.due == ["maintenance"]
    shop.confirm()  # later
    assert shop.due == []
    shop.goes_to(TODAY + 92)
    assert shop.due == ["maintenance"] and shop.told("date_overdue") == ["maintenance " + date_of(TODAY + 90)]
    maintained(shop.terminal, shop.settings)
    assert shop.due == [] and shop.told("maintenance_done") == [date_of(TODAY + 92)]
    shop.boot()
    shop.goes_to(TODAY + 92 + 59)
    assert shop.due == []
    shop.goes_to(TODAY + 92 + 60)
    assert shop.due == ["maintenance"]
    shop.configure(maintenance_every_days="")
    assert shop.due == []


def test_maintenance_is_counted_from_the_first_day_that_is_known():
    shop = Shop()
    shop.terminal.hal.clock.trust = TRUST_NONE
    shop.configure(maintenance_every_days="7")
    maintained(shop.terminal, shop.settings)
    assert shop.terminal.store.get(KEY_MAINTAINED) is None
    shop.terminal.hal.clock.trust = TRUST_SET
    shop.goes_to(TODAY + 3)
    assert [reminder.day for reminder in reminders(shop.terminal, shop.settings, TODAY + 3)] == [TODAY + 10]


# What follows from elsewhere.


def test_a_certificate_is_reminded_of_when_it_should_have_been_renewed():
    for days, first in ((365, 30), (30, 5), (3, 0)):
        shop = Shop()
        identity = shop.terminal.identity
        shop.terminal.identity = identity.changed(certificate=certificate_of(days), transport_certificate=certificate_of(days + 100))
        shop.goes_to(TODAY + days - first - 1)
        assert shop.due == [], days
        shop.goes_to(TODAY + days - first)
        assert shop.due == ["certificate"], days


def certificate_of(days):
    return certificate_for(bytes(64), b"261122000000Z", ("%s000000Z" % "".join(date_of(TODAY + days).split("-"))[2:]).encode())


def test_firmware_that_is_required_is_reminded_of_until_it_runs():
    shop = Shop(firmware_required="99.1", firmware_due=date_of(TODAY + 30))
    assert shop.due == ["firmware"] and shop.terminal.reminders[0].what == "99.1"
    shop.confirm()
    shop.goes_to(TODAY + 31)
    assert shop.due == ["firmware"] and shop.told("date_overdue") == ["firmware 99.1 " + date_of(TODAY + 30)]
    shop.configure(firmware_required=VERSION)
    assert shop.due == []
    shop.configure(firmware_required="0")
    assert shop.due == []


def test_firmware_that_is_required_at_once_is_due_since_that_was_said():
    shop = Shop(firmware_required="99.1")
    assert shop.due == ["firmware"] and shop.terminal.reminders[0].day == TODAY
    shop.boot()
    shop.goes_to(TODAY + 1)
    assert shop.terminal.reminders[0].day == TODAY and shop.told("date_overdue") == ["firmware 99.1 " + date_of(TODAY)]
    shop.confirm()
    shop.configure(firmware_required="99.2")
    assert shop.due == ["firmware"] and shop.terminal.reminders[0].day == TODAY + 1
    shop.confirm()
    shop.goes_to(TODAY + 2)
    assert shop.due == ["firmware"] and shop.terminal.reminders[0].day == TODAY + 1


def test_what_is_about_to_fail_is_shown_told_once_and_goes_when_it_is_mended():
    shop = Shop()
    shop.found("storage", "weak_signal")  # the clerk's to mend, and shown after the test
    shop.found("certificate", "ends_soon")
    assert shop.due == []
    shop.found("secure_element", "unstable_bus")
    shop.found("storage", "weak_signal", DRIFTING + " -70 -75 -80 -85")
    assert shop.due == [DEVICE + "secure_element", DEVICE + "storage"]
    assert shop.told("device_about_to_fail") == ["secure_element unstable_bus", "storage weak_signal"]
    shop.confirm()
    shop.confirm()
    shop.boot()
    shop.goes_to(TODAY + 1)
    assert shop.due == [DEVICE + "secure_element", DEVICE + "storage"]  # it stays so; then once a week
    shop.confirm()
    shop.confirm()
    shop.found("secure_element", "")
    shop.goes_to(TODAY + 8)
    assert shop.due == [DEVICE + "storage"] and shop.told("device_about_to_fail") == []
    shop.found("storage", "")
    assert shop.due == [] and shop.terminal.store.keys(PREFIX) == []


# By the merchant, and by order.


def test_the_merchant_sets_a_date_and_the_acquirer_hears_it():
    shop = Shop()
    set_by_merchant(shop.terminal, shop.settings, "due_licence", date_of(TODAY + 2))
    assert shop.due == ["licence"] and shop.told("date_set") == ["due_licence " + date_of(TODAY + 2)]
    set_by_merchant(shop.terminal, shop.settings, "due_licence", "")
    assert shop.due == [] and shop.told("date_set")[1:] == ["due_licence -"]
    raises(SettingError, set_by_merchant, shop.terminal, shop.settings, "due_licence", "2026-02-30")


def test_only_values_that_can_be_are_taken():
    settings = Shop().settings
    for name in REMINDED:
        good, bad = ["", "2026-11-22", "2024-02-29"], ["20261122", "2026-02-29", "tomorrow", "1969-12-31", " "]
        if name == "maintenance_every_days":
            good, bad = ["", "1", "90", "366"], ["0", "367", "-1", "1.5", "x", "1000", " "]
        elif name == "firmware_required":
            good, bad = ["", "1", "0.2.0"], ["v1", "1.2-rc1", "1."]
        for value in good:
            settings.changes([[name, value]])
        for value in bad:
            raises(SettingError, settings.changes, [[name, value]])
