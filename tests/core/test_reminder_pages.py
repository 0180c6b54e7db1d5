"""What the merchant sees of reminders, and how he sets them."""

from firmware_agent import VERSION
from firmware_agent.flows.menu.reminders_flow import reminders_flow
from firmware_agent.flows.reminder_pages import answered, reminder_page
from firmware_agent.prevention.reminders import DEVICE, KEY_MAINTAINED, Reminder, look
from firmware_agent.settings import Settings
from hal.calendar import day_of
from tests.core.parts import Flash, Time, clock
from tests.core.terminal_parts import boot, provisioned

TODAY = day_of("2026-11-22")
DAY_MS = 86400000


class Words:
    """Texts as their keys, and the values in them: what they say is another test's."""

    language = "en"

    def get(self, key, **values):
        return " ".join([key] + [str(values[name]) for name in sorted(values)])


class Person:
    """Presses these keys one after the other; then is gone."""

    def __init__(self, keys):
        self.texts = Words()
        self.clock = clock()
        self.shown = []
        self.keys = list(keys)

    async def ask(self, page, outdated, further_keys=()):
        self.shown.append(page)
        while self.keys:
            key = self.keys.pop(0)
            if key in further_keys or key in [choice[0] for choice in page.choices]:
                return key
        return ""


def shop(time=None, **values):
    flash = Flash()
    provisioned(flash)
    terminal = boot(flash, time)
    settings = Settings(terminal.store)
    values["service_line"] = "95516"
    terminal.apply([], [], settings.changes([[name, values[name]] for name in sorted(values)]))
    return terminal, settings


def page_of(terminal, settings, name, left, what="", more=0):
    return reminder_page(Words(), terminal, settings, Reminder(name, what, TODAY + left, TODAY), more)


def test_the_page_says_what_when_what_to_do_and_whom_to_call():
    terminal, settings = shop()
    page = page_of(terminal, settings, "licence", 30, more=2)
    assert page.lines == (
        "reminder.ahead 30 2026-12-22 reminder.name.licence",
        "reminder.do.licence",
        "reminder.call 95516",
        "reminder.more 2",
    )
    assert page.tone == "normal" and page.choices == (("1", "reminder.choice.1"),)
    page = page_of(terminal, settings, "fee", 0)
    assert page.lines[0] == "reminder.today 2026-11-22 reminder.name.fee" and page.tone == "alert"
    page = page_of(terminal, settings, "fee", -3)
    assert page.lines[0] == "reminder.overdue 3 2026-11-19 reminder.name.fee" and page.tone == "alert"
    assert page_of(terminal, settings, "certificate", 5).lines[1] == "reminder.do.certificate"
    assert page_of(terminal, settings, "firmware", 5, "99").lines[1] == "reminder.do.firmware %s 99" % VERSION


def test_the_page_of_a_device_tells_to_have_it_maintained_before_it_fails():
    terminal, settings = shop()
    assert page_of(terminal, settings, DEVICE + "keypad", 0, "bounce").lines == (
        "reminder.device cause.bounce device.keypad",
        "reminder.do.device",
        "selftest.next next.replace",
        "reminder.call 95516",
    )
    assert page_of(terminal, settings, DEVICE + "keypad", 0, "of_a_newer_driver").lines[:2] == (
        "reminder.device of_a_newer_driver device.keypad",
        "reminder.do.device",
    )


def test_maintenance_is_done_or_put_off_by_a_key_and_names_what_this_terminal_has():
    time = Time()
    terminal, settings = shop(time, maintenance_every_days="7")
    look(terminal, settings)
    time.now_ms += 6 * DAY_MS
    look(terminal, settings)
    (reminder,) = terminal.reminders
    page = reminder_page(Words(), terminal, settings, reminder)
    assert page.choices == (("1", "maintained.choice.1"), ("2", "maintained.choice.2"))
    assert page.lines[1:] == ("maintained.do.printer", "maintained.do.card_reader", "maintained.do.scanner", "maintained.do.all")
    terminal.hal.printer = None
    assert "maintained.do.printer" not in reminder_page(Words(), terminal, settings, reminder).lines
    answered(terminal, settings, reminder, "2")
    assert terminal.reminders == [] and any(["reminder_confirmed" in line for line in terminal.lines])
    time.now_ms += DAY_MS
    look(terminal, settings)
    answered(terminal, settings, terminal.reminders[0], "1")
    assert terminal.reminders == [] and any(["maintenance_done: 2026-11-29" in line for line in terminal.lines])


def go(terminal, settings, keys):
    person = Person(keys)
    Time().run(reminders_flow(terminal, person, settings, lambda: not person.keys))
    return person.shown


def test_a_date_is_typed_corrected_and_taken_away():
    terminal, settings = shop()
    shown = go(terminal, settings, ["1"] + list("20261322") + ["enter"] + ["clear"] * 4 + list("1222") + ["enter", "cancel", "cancel"])
    assert settings.get("due_licence") == "2026-12-22" and [reminder.name for reminder in terminal.reminders] == ["licence"]
    assert any(["dates.wrong" in page.lines for page in shown])
    assert shown[-1].lines[:2] == ("1 reminder.name.licence\t2026-12-22", "2 reminder.name.contract\tdates.none")
    go(terminal, settings, ["1", "clear", "cancel", "cancel", "cancel"])
    assert settings.get("due_licence") == "2026-12-22"
    go(terminal, settings, ["1"] + ["clear"] * 8 + ["enter", "cancel", "cancel"])
    assert settings.get("due_licence") == "" and terminal.reminders == []


def test_the_maintenance_is_set_and_confirmed_in_the_menu():
    terminal, settings = shop()
    shown = go(terminal, settings, ["7", "2", "9", "0", "enter", "7", "1", "cancel", "cancel"])
    assert settings.get("maintenance_every_days") == "90" and terminal.store.get(KEY_MAINTAINED) is not None
    assert "7 reminder.name.maintenance\t2027-02-20" in shown[-1].lines
    assert any(["maintenance_done" in line for line in terminal.lines])


def test_the_program_stands_there_with_its_version_and_what_is_required():
    terminal, settings = shop(firmware_required="99", firmware_due="2026-12-01")
    shown = go(terminal, settings, ["8", "cancel", "cancel", "cancel"])
    assert "8 update.title\t" + VERSION in shown[0].lines
    assert shown[1].lines == ("menu.firmware " + VERSION, "update.required 99", "update.until 2026-12-01", "update.by_system")
