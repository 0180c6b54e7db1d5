"""What the merchant is reminded of, looked at and set: dates of his papers and fees, and the physical maintenance; and the program."""

from firmware_agent import VERSION
from firmware_agent.flows.entry import DIGITS, choose, enter_text
from firmware_agent.flows.reminder_pages import maintenance_lines, name_of, reminder_page
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.prevention.reminders import (
    FIRMWARE,
    MAINTENANCE,
    PAPERS,
    every_days,
    maintained,
    maintenance_due,
    papers,
    reminders,
    set_by_merchant,
    today,
)
from firmware_agent.screens.page import Page
from firmware_agent.settings import MAX_EVERY_DAYS, SettingError
from hal.calendar import date_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal


async def reminders_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Until the person leaves. Raises StoreError: what was typed last was not kept."""
    texts = ui.texts
    while not outdated():
        days = dict(papers(settings))
        items = ["%s\t%s" % (texts.get("reminder.name." + name), _date(texts.get("dates.none"), days[name])) for name in PAPERS]
        due = maintenance_due(terminal, settings)
        items.append("%s\t%s" % (texts.get("reminder.name." + MAINTENANCE), _date(texts.get("dates.none"), due)))
        day = today(terminal, settings)
        items.append("%s\t%s" % (texts.get("update.title"), VERSION))
        known = PAPERS + (MAINTENANCE, FIRMWARE)
        others = [reminder for reminder in reminders(terminal, settings, day) if reminder.name not in known] if day else []
        items.extend(["%s\t%s" % (name_of(texts, reminder), date_of(reminder.day)) for reminder in others])
        chosen = await choose(ui, outdated, "dates", texts.get("dates.title"), items)
        if chosen < 0:
            return
        if chosen < len(PAPERS):
            await _enter(terminal, ui, settings, outdated, "due_" + PAPERS[chosen], texts.get("reminder.name." + PAPERS[chosen]))
        elif chosen == len(PAPERS):
            await _maintenance(terminal, ui, settings, outdated)
        elif chosen == len(PAPERS) + 1:
            from firmware_agent.flows.menu.update_flow import update_flow

            await update_flow(terminal, ui, settings, outdated)
        else:
            page = reminder_page(texts, terminal, settings, others[chosen - len(PAPERS) - 2])
            page.footer = texts.get("hint.back")
            await ui.ask(page, outdated, (KEY_BACK,))


async def _maintenance(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    texts = ui.texts
    every, due = every_days(settings), maintenance_due(terminal, settings)
    lines = [texts.get("maintained.every", count=every)] if every else [texts.get("maintained.never")]
    if due:
        lines.append(texts.get("maintained.next", date=date_of(due)))
    lines.extend(maintenance_lines(texts, terminal))
    choices = [("1", texts.get("maintained.choice.1")), ("2", texts.get("dates.choice.2"))]
    title = texts.get("reminder.name." + MAINTENANCE)
    key = await ui.ask(Page("maintained", title, lines, choices, texts.get("hint.back")), outdated, (KEY_BACK,))
    if key == "1":
        maintained(terminal, settings)
    elif key == "2":
        await _enter(terminal, ui, settings, outdated, "maintenance_every_days", title)


async def _enter(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]", name: str, title: str) -> None:
    """Have a date, or a number of days, typed until it can be, or the person gives up; nothing typed: there is none."""
    texts = ui.texts
    is_date = name != "maintenance_every_days"
    note = texts.get("dates.how") if is_date else texts.get("maintained.how", count=MAX_EVERY_DAYS)
    typed = "".join([part for part in settings.get(name).split("-")])
    while True:
        entered = await enter_text(ui, outdated, "date", title, typed, DIGITS, 8 if is_date else 3, note=note)
        if entered is None:
            return
        typed = entered
        try:
            set_by_merchant(terminal, settings, name, "-".join([typed[:4], typed[4:6], typed[6:]]) if is_date and typed else typed)
            return
        except SettingError:
            note = texts.get("dates.wrong")


def _date(none: str, day: int) -> str:
    return date_of(day) if day else none
