"""The page of a notice: what the acquirer wants the merchant to know, and what draws his eye, or his ear, to it."""

from firmware_agent.flows.dates import local_time
from firmware_agent.flows.status_pages import maintenance_lines
from firmware_agent.messages.schema import NOTICES
from firmware_agent.prevention.notices import ABOUT_MESSAGE
from firmware_agent.screens.page import TONE_ALERT, TONE_NORMAL, Page
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.prevention.notices import Notice
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

TONE_HZ, TONE_MS = 2000, 200  # where the ear is sensitive, and a small buzzer loud


def notice_page(texts: "Texts", terminal: "Terminal", settings: "Settings", notices: "list[Notice]") -> Page:
    """The first of those that are due. One about something newer than this program knows is a message."""
    notice = notices[0]
    about = notice.about if notice.about in NOTICES else ABOUT_MESSAGE
    lines = [texts.get("notice.about", number=notice.number, about=texts.get("notice.about_" + about))]
    text = terminal.notices.text(notice)
    if text:
        lines.append(text)
    if notice.is_window:
        lines.extend(maintenance_lines(texts, terminal, settings) or _time_lines(texts, notice, settings))
        lines.append(texts.get("notice.window"))
    else:
        lines.extend(_time_lines(texts, notice, settings))
    if len(notices) > 1:
        lines.append(texts.get("notice.more", count=len(notices) - 1))
    choices = [("1", texts.get("notice.choice.1"))]
    tone = TONE_ALERT if notice.is_window else TONE_NORMAL
    return Page("notice", texts.get("notice.title"), lines, choices, texts.get("hint.choose"), tone)


def _time_lines(texts: "Texts", notice: "Notice", settings: "Settings") -> "list[str]":
    lines = []
    if notice.since:
        lines.append(texts.get("notice.since", since=local_time(notice.since, settings.utc_offset_min)))
    if notice.until:
        lines.append(texts.get("notice.until", until=local_time(notice.until, settings.utc_offset_min)))
    return lines


async def attract(terminal: "Terminal") -> None:
    """One tone, where there is a sounder; one that fails is the self-test's to find."""
    sounder = terminal.hal.sounder
    if sounder is not None and sounder.enabled:
        try:
            await sounder.tone(TONE_HZ, TONE_MS)
        except DeviceError as error:
            terminal.log("sounder %s" % error)
