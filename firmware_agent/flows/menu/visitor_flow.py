"""Who is calling or visiting: the official line, and whether a badge or a code is the acquirer's. Nobody is signed on by it."""

from firmware_agent.flows.dates import local_time
from firmware_agent.identity.technician import CARD_FAILED, NO_CARD, NOT_A_BADGE, BadgeError, check_badge, judge_badge
from firmware_agent.messages.signed_text import SignedTextError, decode_badge
from firmware_agent.screens.page import TONE_ALERT, TONE_GOOD, TONE_NORMAL, Page
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.identity.technician import Technician
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

BY_BADGE, BY_CODE = "1", "2"
SHOWN_MS = 30000  # for a badge or a code to be held to the terminal
LOOK_MS = 300  # at a time, so that the cancel key is heard
SCAN_MS = 1000
NO_CODE = "no_code"
UNREAD = (NO_CARD, CARD_FAILED, NO_CODE)  # nothing was found out about anybody


async def visitor_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Until the person leaves."""
    while not outdated():
        way = await ui.ask(visitor_page(ui.texts, terminal, settings), outdated, ("cancel",))
        if way not in (BY_BADGE, BY_CODE):
            return
        again = True
        while again:
            again = await _check(terminal, ui, settings, outdated, way)


async def _check(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]", way: str) -> bool:
    """Whether the person wants it once more. What was found out is told to the acquirer."""
    refusal, who = "", None
    try:
        who = await (_badge(terminal, ui, outdated) if way == BY_BADGE else _code(terminal, ui, outdated))
        if who is None:
            return False
        told = "good badge %s%s" % (who.number, "" if way == BY_BADGE else ", as a code")
    except BadgeError as error:
        refusal, told = error.code, ("%s %s" % (error.code, error.detail)).strip()
    terminal.log("visitor checked: %s" % told)
    if refusal not in UNREAD:
        terminal.send("event", {"name": "visitor_checked", "detail": told if who is not None else refusal})
    if who is not None:
        page = good_page(ui.texts, settings, who, way == BY_CODE)
    else:
        page = refused_page(ui.texts, settings, refusal)
    return await ui.ask(page, outdated, ("cancel",)) == "1"


async def _badge(terminal: "Terminal", ui: "Ui", outdated: "Callable[[], bool]") -> "Technician | None":
    """None where the person left. Raises BadgeError."""
    from firmware_agent.flows.menu.device_pages import badge_page

    reader = terminal.hal.card_reader
    if reader is None:
        return None
    clock = terminal.hal.clock
    ui.show(badge_page(ui.texts))
    until_ms = clock.monotonic_ms() + SHOWN_MS
    try:
        while not await reader.find_card(LOOK_MS):
            if clock.monotonic_ms() >= until_ms:
                raise BadgeError(NO_CARD)
            if outdated() or await _is_left(terminal):
                return None
        return await check_badge(terminal, reader)
    except DeviceError as error:
        raise BadgeError(CARD_FAILED, str(error))


async def _code(terminal: "Terminal", ui: "Ui", outdated: "Callable[[], bool]") -> "Technician | None":
    """None where the person left. Raises BadgeError."""
    scanner = terminal.hal.scanner
    if scanner is None:
        return None
    clock = terminal.hal.clock
    texts = ui.texts
    ui.show(Page("visitor.code", texts.get("visitor.title"), [texts.get("visitor.code")], footer=texts.get("hint.back")))
    until_ms = clock.monotonic_ms() + SHOWN_MS
    try:
        text = None
        while not text:
            if clock.monotonic_ms() >= until_ms:
                raise BadgeError(NO_CODE)
            if outdated() or await _is_left(terminal):
                return None
            text = await scanner.scan(SCAN_MS)
        return await judge_badge(terminal, decode_badge(text))
    except SignedTextError as error:
        raise BadgeError(NOT_A_BADGE, error.code)
    except DeviceError as error:
        raise BadgeError(NO_CODE, str(error))


async def _is_left(terminal: "Terminal") -> bool:
    keypad = terminal.hal.keypad
    return keypad is not None and keypad.enabled and await keypad.read(1) == "cancel"


# Pages.


def visitor_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    lines = _advice(texts, settings)
    choices = []
    if terminal.hal.card_reader is not None:
        choices.append((BY_BADGE, texts.get("visitor.choice.1")))
    if terminal.hal.scanner is not None:
        choices.append((BY_CODE, texts.get("visitor.choice.2")))
    return Page("visitor", texts.get("visitor.title"), lines, choices, texts.get("hint.back"))


def good_page(texts: "Texts", settings: "Settings", who: "Technician", is_code: bool) -> Page:
    """is_code: nothing was asked of a card, so that it may be a copy."""
    lines = [
        texts.get("visitor.who", who=who.name),
        texts.get("visitor.number", number=who.number),
        texts.get("visitor.until", until=local_time(who.expires, settings.utc_offset_min)),
        texts.get("visitor.code_only" if is_code else "visitor.not_proved"),
        texts.get("visitor.line", line=settings.get("service_line")),
        texts.get("visitor.never"),
    ]
    return _result(texts, "visitor.good", texts.get("visitor.good.title"), lines, TONE_NORMAL if is_code else TONE_GOOD)


def refused_page(texts: "Texts", settings: "Settings", refusal: str) -> Page:
    """refusal: one of technician.REFUSALS, or NO_CODE."""
    if refusal == NO_CODE:
        what = texts.get("visitor.refused.no_code")
    elif refusal == NOT_A_BADGE:
        what = texts.get("visitor.refused.not_a_badge")
    else:
        what = texts.get("refused." + refusal)
    if refusal in UNREAD:
        return _result(texts, "visitor.unread", texts.get("visitor.unread.title"), [what] + _advice(texts, settings), TONE_NORMAL)
    lines = [what, texts.get("visitor.refused.text")] + _advice(texts, settings)
    return _result(texts, "visitor.refused", texts.get("visitor.refused.title"), lines, TONE_ALERT)


def _advice(texts: "Texts", settings: "Settings") -> "list[str]":
    line = texts.get("visitor.line", line=settings.get("service_line"))
    return [line, texts.get("visitor.never"), texts.get("visitor.call")]


def _result(texts: "Texts", name: str, title: str, lines: "list[str]", tone: str) -> Page:
    choices = [("1", texts.get("visitor.again.choice.1")), ("2", texts.get("visitor.again.choice.2"))]
    return Page(name, title, lines, choices, texts.get("hint.choose"), tone)
