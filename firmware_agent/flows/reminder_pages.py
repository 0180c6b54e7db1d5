"""The page of a reminder: what ends when, what to do about it, and whom to call."""

from firmware_agent import VERSION
from firmware_agent.prevention.reminders import DEVICE, FIRMWARE, MAINTENANCE, confirm, maintained
from firmware_agent.screens.page import TONE_ALERT, TONE_NORMAL, Page
from hal.calendar import date_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.prevention.reminders import Reminder
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

DONE, LATER = "1", "2"
# What a person does at a physical maintenance: on each terminal, and at each of these devices that it has.
AT_DEVICES = ("printer", "card_reader", "scanner")


def reminder_page(texts: "Texts", terminal: "Terminal", settings: "Settings", reminder: "Reminder", more: int = 0) -> Page:
    """more: how many others are due."""
    if reminder.name.startswith(DEVICE):
        lines = _device_lines(texts, reminder)
    else:
        lines = [_when(texts, reminder)]
        if reminder.name == MAINTENANCE:
            lines.extend(maintenance_lines(texts, terminal))
        elif reminder.name == FIRMWARE:
            lines.append(texts.get("reminder.do.firmware", version=reminder.what, running=VERSION))
        else:
            lines.append(texts.get("reminder.do." + reminder.name))
    line = settings.get("service_line")
    if line and reminder.name != MAINTENANCE:
        lines.append(texts.get("reminder.call", line=line))
    if more:
        lines.append(texts.get("reminder.more", count=more))
    choices = [("1", texts.get("reminder.choice.1"))]
    if reminder.name == MAINTENANCE:
        choices = [(DONE, texts.get("maintained.choice.1")), (LATER, texts.get("maintained.choice.2"))]
    tone = TONE_ALERT if reminder.left <= 0 else TONE_NORMAL
    return Page("reminder", texts.get("reminder.title"), lines, choices, texts.get("hint.choose"), tone)


def answered(terminal: "Terminal", settings: "Settings", reminder: "Reminder", key: str) -> None:
    """key: of one of the page's choices. Raises StoreError: it has to be pressed again."""
    if reminder.name == MAINTENANCE and key == DONE:
        maintained(terminal, settings)
    else:
        confirm(terminal, settings, reminder)


def maintenance_lines(texts: "Texts", terminal: "Terminal") -> "list[str]":
    """What is to be done at this terminal."""
    lines = [texts.get("maintained.do." + kind) for kind in AT_DEVICES if getattr(terminal.hal, kind) is not None]
    return lines + [texts.get("maintained.do.all")]


def name_of(texts: "Texts", reminder: "Reminder") -> str:
    if reminder.name.startswith(DEVICE):
        return texts.get("device." + reminder.name[len(DEVICE) :])
    return texts.get("reminder.name." + reminder.name)


def _when(texts: "Texts", reminder: "Reminder") -> str:
    what, date = name_of(texts, reminder), date_of(reminder.day)
    if reminder.left > 0:
        return texts.get("reminder.ahead", what=what, date=date, count=reminder.left)
    if reminder.left == 0:
        return texts.get("reminder.today", what=what, date=date)
    return texts.get("reminder.overdue", what=what, date=date, count=-reminder.left)


def _device_lines(texts: "Texts", reminder: "Reminder") -> "list[str]":
    """A cause that has no words, of a driver that somebody else wrote, stands as its own word."""
    from firmware_agent.selftest.diagnosis import cause_named

    try:
        step = texts.get("next." + cause_named(reminder.what).step)
        cause = texts.get("cause." + reminder.what)
    except KeyError:
        step, cause = "", reminder.what
    lines = [texts.get("reminder.device", device=name_of(texts, reminder), cause=cause), texts.get("reminder.do.device")]
    if step:
        lines.append(texts.get("selftest.next", step=step))
    return lines
