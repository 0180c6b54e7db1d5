"""What customers read: why no payments are taken, since when, until when, and how else they can pay; and the merchant's message to them.

In their words: what the acquirer holds against a merchant is no business of his customers'.
"""

from firmware_agent.flows.dates import local_time
from firmware_agent.flows.handout import print_slip, show_code
from firmware_agent.screens.page import Page
from firmware_agent.shop import OWN, code_of, promotion_now, ways_of
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, PROBATION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.shop import Promotion
    from firmware_agent.state.machine import State
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

KEY_CUSTOMER = "0"  # shows this page, on whatever page says that no payments are taken
KEY_PRINT, KEY_CODE = "1", "2"
OTHER_KEYS = ("0", "3", "4", "5", "6", "7", "8", "9", "cancel", "clear", "enter", "help")

_FAMILIES = {"maintenance": "maintenance", "hardware_fault": "technical", "software_fault": "technical", "network_fault": "network"}


def family_of(state: "State") -> str:
    """Why no payments are taken, as far as a customer is told: of several reasons the one that tells the least."""
    if state.mode == COMMISSIONING:
        return "testing"
    families = {_FAMILIES.get(reason.code, "unavailable") for reason in state.reasons} or {"unavailable"}
    return families.pop() if len(families) == 1 else "unavailable"


def since_until(state: "State") -> "tuple[int, int]":
    """Unix seconds, 0 = not known: the first reason began it, and the last one to go ends it."""
    begun = [reason.since for reason in state.reasons if reason.since]
    ends = [reason.until for reason in state.reasons]
    return (min(begun) if begun else 0), (max(ends) if ends and all(ends) else 0)


def customer_lines(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    """For the page and for the slip."""
    state = terminal.state
    since, until = since_until(state)
    lines = [texts.get("customer.because_" + family_of(state))]
    if since:
        lines.append(texts.get("customer.since", since=local_time(since, settings.utc_offset_min)))
    if until > terminal.wall_s:
        lines.append(texts.get("customer.until", until=local_time(until, settings.utc_offset_min)))
    elif state.mode != COMMISSIONING:  # that is over soon
        lines.append(texts.get("customer.until_unknown"))
    ways = texts.get("list.and").join([texts.get("way." + way) for way in ways_of(settings)])
    lines.append(texts.get("customer.ways", ways=ways) if ways else texts.get("customer.no_ways"))
    lines.append(texts.get("customer.thanks"))
    return lines


def customer_page(texts: "Texts", terminal: "Terminal", settings: "Settings", may_print: bool, note: str = "") -> Page:
    """note: what became of a slip, in the place of the thanks."""
    lines = customer_lines(texts, terminal, settings)
    if note:
        lines[-1] = note
    choices = []
    if may_print:
        choices.append((KEY_PRINT, texts.get("customer.choice.1")))
    if code_of(settings) and terminal.hal.display is not None:
        choices.append((KEY_CODE, texts.get("customer.choice.2")))
    return Page("customer", texts.get("customer.title"), lines, choices, texts.get("customer.back"), large=1)


async def customer_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """The page for customers, until a key, or until the terminal stands otherwise."""
    note = ""
    while True:
        page = customer_page(ui.texts, terminal, settings, ui.slips is not None, note)
        key = await ui.ask(page, outdated, OTHER_KEYS)
        note = ""
        if key == KEY_PRINT:
            note = await print_slip(
                terminal, ui, ui.texts.get("customer.title"), customer_lines(ui.texts, terminal, settings), code_of(settings)
            )
        elif key == KEY_CODE:
            note = await show_code(terminal, ui, code_of(settings), outdated)
        else:
            return


# The merchant's message.


def promotion_text(texts: "Texts", promotion: "Promotion") -> str:
    """In his own words, or a ready sentence in the terminal's language."""
    if promotion.word == OWN:
        return promotion.text
    first, second = (promotion.numbers + ("", ""))[:2]
    return texts.get("promotion." + promotion.word, first=first, second=second)


def promotion_lines(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    """For the idle page, and for the foot of slips: the message that stands now, while payments are taken."""
    promotion = promotion_now(terminal, settings) if terminal.state.mode in (IN_SERVICE, PROBATION) else None
    return [promotion_text(texts, promotion)] if promotion is not None else []
