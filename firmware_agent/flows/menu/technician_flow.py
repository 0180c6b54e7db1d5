"""A technician proves himself by PIN or badge, and has a menu of his own until he signs off."""

from firmware_agent.flows.entry import DIGITS
from firmware_agent.flows.menu import device_pages as pages
from firmware_agent.flows.menu.menu import TECHNICIAN, choices_of
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.identity.technician import (
    CARD_FAILED,
    MAX_DIGITS,
    MIN_DIGITS,
    NO_CARD,
    has_pin,
    sign_on_by_badge,
    sign_on_by_pin,
    wait_ms,
)
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.menu.menu import Visit
    from firmware_agent.identity.technician import Technician
    from firmware_agent.terminal import Terminal

BADGE_MS = 30000  # for a badge to be held to the reader
BADGE_LOOK_MS = 300  # at a time, so that the cancel key is heard


def ways(terminal: "Terminal") -> "tuple[str, ...]":
    """How somebody can sign on at this terminal: 'pin', 'badge'."""
    hal = terminal.hal
    found: tuple[str, ...] = ()
    if hal.keypad is not None and has_pin(terminal.store):
        found += ("pin",)
    if hal.card_reader is not None and hal.card_reader.enabled:
        found += ("badge",)
    return found


async def technician_flow(visit: "Visit") -> None:
    """Until he signs off, or nobody could be signed on. Raises StoreError."""
    visit.who = await sign_on(visit)
    if visit.who is not None:
        await session(visit)


async def sign_on(visit: "Visit") -> "Technician | None":
    """Raises StoreError."""
    how = ways(visit.terminal)
    way = how[0]
    if len(how) > 1:
        key = await visit.ui.ask(pages.sign_on_page(visit.ui.texts), visit.outdated, (KEY_BACK,))
        if key not in ("1", "2"):
            return None
        way = how[int(key) - 1]
    return await (_by_pin(visit) if way == "pin" else _by_badge(visit))


async def session(visit: "Visit") -> None:
    """Until the technician signs off, or has pressed no key for ten minutes."""
    assert visit.who is not None
    visit.tested_all = False
    visit.stay()
    texts = visit.ui.texts
    while not visit.outdated():
        offered = visit.offered(TECHNICIAN)
        page = pages.technician_page(texts, visit.who, choices_of(texts, offered))
        key = await visit.ui.ask(page, visit.outdated, (KEY_BACK,))
        chosen = [entry for entry in offered if entry.key == key and entry.flow]
        if not chosen:
            break
        await visit.open(chosen[0])
    visit.who = None
    visit.end()
    visit.terminal.log("signed off")


async def _by_pin(visit: "Visit") -> "Technician | None":
    texts = visit.ui.texts
    refused = False
    digits = ""
    while not visit.outdated():
        if not await _waited(visit):
            return None
        page = pages.pin_page(texts, len(digits), refused)
        key = await visit.ui.ask(page, visit.outdated, tuple(DIGITS) + ("enter", "clear", KEY_BACK))
        if key in DIGITS:
            digits = (digits + key)[:MAX_DIGITS]
        elif key == "clear":
            digits = ""
        elif key == "enter":
            if len(digits) < MIN_DIGITS:
                continue
            refusal, who = await sign_on_by_pin(visit.terminal, digits)
            digits = ""
            if who is not None:
                return who
            refused = bool(refusal)
        else:
            return None
    return None


async def _waited(visit: "Visit") -> bool:
    """Wait out the delay that wrong PINs cost; False where the person left."""
    terminal = visit.terminal
    while wait_ms(terminal):
        wait_s = (wait_ms(terminal) + 999) // 1000

        def changed(shown_s: int = wait_s) -> bool:
            return visit.outdated() or (wait_ms(terminal) + 999) // 1000 != shown_s

        if await visit.ui.ask(pages.wait_page(visit.ui.texts, wait_s), changed, (KEY_BACK,)) or visit.outdated():
            return False
    return True


async def _by_badge(visit: "Visit") -> "Technician | None":
    while not visit.outdated():
        refusal, who = await _read_badge(visit)
        if who is not None or not refusal:
            return who
        if await visit.ui.ask(pages.refused_page(visit.ui.texts, refusal), visit.outdated, (KEY_BACK,)) != "1":
            return None
    return None


async def _read_badge(visit: "Visit") -> "tuple[str, Technician | None]":
    """(why not, None), ('', None) where the person left, or ('', who)."""
    hal = visit.terminal.hal
    reader = hal.card_reader
    assert reader is not None
    visit.ui.show(pages.badge_page(visit.ui.texts))
    until_ms = hal.clock.monotonic_ms() + BADGE_MS
    try:
        while not await reader.find_card(BADGE_LOOK_MS):
            if hal.clock.monotonic_ms() >= until_ms:
                return NO_CARD, None
            key = await hal.keypad.read(1) if hal.keypad is not None and hal.keypad.enabled else ""
            if visit.outdated() or key == KEY_BACK:
                return "", None
    except DeviceError as error:
        visit.terminal.log("sign-on: %s" % error)
        return CARD_FAILED, None
    visit.stay()  # a badge that is held to the reader shows that somebody is there, too
    return await sign_on_by_badge(visit.terminal, reader)
