"""The network, set up at the counter: which one, its password, its addresses; then it is on trial, and checked layer by layer.

What was entered is kept in the store step by step, so that a power cut, or a person who leaves, loses none of it. A network on trial that
does not lead to the broker is left by itself (network_trial.py), whoever has gone away meanwhile.
"""

from firmware_agent.flows.entry import DIGITS, TEXT, choose, enter_text
from firmware_agent.flows.menu import network_pages as pages
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.messages.cbor import CborError, decode, encode
from firmware_agent.selftest.plans import DEVICE
from firmware_agent.settings import MAX_PASSPHRASE, MAX_SSID_BYTES, STATIC, SettingError, is_good
from hal.errors import DeviceError
from hal.network import is_numeric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from firmware_agent.flows.first_network import Newcomer
    from firmware_agent.flows.menu.menu import Visit
    from firmware_agent.store import Store

KEY_DRAFT = "network.draft"  # [ssid, is_protected, password, static], as far as it was entered
PLAN = DEVICE + "network"
SCAN_MS = 20000  # an attempt to join that is under way ends before
LEAVE_MS = 12000  # for the connection by the network before: what is in flight is waited for
LOOK_MS = 100


class Draft:
    """What was entered. ssid, password and static ('' or [] for an automatic address) are None until then; is_protected: it needs a
    password, None where only its name is known.
    """

    def __init__(
        self,
        ssid: "str | None" = None,
        is_protected: "bool | None" = None,
        password: "str | None" = None,
        static: "list[str] | None" = None,
    ) -> None:
        self.ssid = ssid
        self.is_protected = is_protected
        self.password = password
        self.static = static

    @staticmethod
    def load(store: "Store") -> "Draft":
        """One that cannot be read counts as not begun."""
        try:
            return Draft(*decode(store.get(KEY_DRAFT) or b""))
        except (CborError, TypeError):
            return Draft()

    def settings(self) -> "list[object]":
        """All of it, as pairs of [name, value]."""
        pairs: list[object] = [["ssid", self.ssid or ""], ["password", self.password]]
        return pairs + [[setting, self.static[place] if self.static else ""] for place, setting in enumerate(STATIC)]

    def keep(self, store: "Store") -> None:
        store.put(KEY_DRAFT, encode([self.ssid, self.is_protected, self.password, self.static]))


async def network_flow(visit: "Visit") -> None:
    """Until the person goes back. Raises StoreError."""
    network = visit.terminal.hal.network
    assert network is not None
    ui = visit.ui
    while not visit.left():
        page = pages.network_page(ui.texts, visit.settings, network)
        key = await ui.ask(page, visit.left, (KEY_BACK,))
        if key == "1":
            if await ui.ask(pages.warning_page(ui.texts), visit.left, (KEY_BACK,)) == "1":
                await set_up(visit, _try)
        elif key == "2":
            await _check(visit)
        else:
            return


# What is entered.


async def set_up(visit: "Visit | Newcomer", attempt: "Callable[[Any, Draft], Awaitable[bool]]") -> None:
    """The step that comes is the first that has nothing yet; back is the one before. attempt: is called with all of it; False: the person
    wants to change it.
    """
    store = visit.terminal.store
    draft = Draft.load(store)
    while not visit.left():
        if draft.ssid is None:
            if not await _choose(visit, draft):
                return
        elif draft.password is None:
            if not await _password(visit, draft):
                draft.ssid = None
        elif draft.static is None:
            if not await _addresses(visit, draft):
                if visit.left():
                    return
                draft.password = None
                if draft.is_protected is False:
                    draft.ssid = None
        else:
            key = await visit.ui.ask(pages.summary_page(visit.ui.texts, draft), visit.left, (KEY_BACK,))
            if key == "1":
                draft.keep(store)
                if await attempt(visit, draft):
                    return
                draft.static = None
                if draft.is_protected is not False:
                    draft.password = None
            elif key == "2":
                draft = Draft()
            elif key == KEY_BACK:
                draft.static = None
        if not visit.left():
            draft.keep(store)


async def _choose(visit: "Visit | Newcomer", draft: Draft) -> bool:
    """A network of those in range, or one by its name."""
    ui, texts = visit.ui, visit.ui.texts
    network = visit.terminal.hal.network
    assert network is not None
    while not visit.left():
        ui.show(pages.searching_page(texts))
        try:
            heard = pages.shown(await network.scan(SCAN_MS))
        except DeviceError as error:
            visit.terminal.log("network %s" % error)
            heard = []
        visit.stay()
        items = pages.heard_items(texts, heard)
        chosen = await choose(ui, visit.left, "networks", texts.get("network.list.title"), items)
        if chosen < 0:
            return False
        if chosen < len(heard):
            draft.ssid, _, draft.is_protected = heard[chosen]
            draft.password = None if draft.is_protected else ""
            return True
        if chosen == len(heard):
            name = await enter_text(ui, visit.left, "network.name", texts.get("network.name.title"), longest=MAX_SSID_BYTES)
            if name and is_good("ssid", name):
                draft.ssid, draft.is_protected, draft.password = name, None, None
                return True
    return False


async def _password(visit: "Visit | Newcomer", draft: Draft) -> bool:
    texts = visit.ui.texts
    note = texts.get("network.password_long" if draft.is_protected else "network.password_or_none")
    while not visit.left():
        title = texts.get("network.password.title")
        typed = await enter_text(visit.ui, visit.left, "network.password", title, "", TEXT, MAX_PASSPHRASE + 1, True, note)
        if typed is None:
            return False
        if is_good("password", typed) and (typed or not draft.is_protected):
            draft.password = typed
            return True
        note = texts.get("network.password_wrong")
    return False


async def _addresses(visit: "Visit | Newcomer", draft: Draft) -> bool:
    ui = visit.ui
    while not visit.left():
        key = await ui.ask(pages.addresses_page(ui.texts), visit.left, (KEY_BACK,))
        if key == "1":
            draft.static = []
            return True
        if key != "2":
            return False
        static = await _static(visit)
        if static:
            draft.static = static
            return True
    return False


async def _static(visit: "Visit | Newcomer") -> "list[str]":
    """The four of STATIC; [] where the person goes back."""
    values = ["", "255.255.255.0", "", ""]
    place = 0
    note = ""
    while 0 <= place < len(STATIC):
        if place == 2 and not values[2]:
            values[2] = values[0][: values[0].rindex(".") + 1] + "1"
        if place == 3 and not values[3]:
            values[3] = values[2]
        typed = await _address(visit, STATIC[place], values[place], note)
        note = ""
        if typed:
            values[place] = typed
            place += 1
        elif visit.left():
            return []
        else:
            place -= 1
        if place == len(STATIC):
            try:
                visit.settings.changes([[name, values[number]] for number, name in enumerate(STATIC)])
            except SettingError:
                place, note = 0, "network.addresses_wrong"
    return values if place else []


async def _address(visit: "Visit | Newcomer", name: str, value: str, note: str) -> str:
    """'' where the person goes back."""
    typed = value
    untouched = bool(value)  # what was proposed gives way to the first digit
    while not visit.left():
        page = pages.address_page(visit.ui.texts, name, typed, note)
        key = await visit.ui.ask(page, visit.left, tuple(DIGITS) + ("enter", "clear", KEY_BACK))
        if key == "enter":
            if is_numeric(typed):
                return typed
            typed = with_dot(typed)
        elif key == "clear":
            typed = "" if untouched else typed[:-1]
        elif key in DIGITS:
            typed = with_digit("" if untouched else typed, key)
        else:
            return ""
        untouched = False
    return ""


def with_digit(typed: str, digit: str) -> str:
    """An IPv4 address with one digit more, which begins the next part where it does not fit into this one."""
    part = typed.split(".")[-1]
    if part == "0" or len(part) == 3 or int(part + digit) > 255:
        return typed + "." + digit if typed.count(".") < 3 else typed
    return typed + digit


def with_dot(typed: str) -> str:
    return typed + "." if typed and typed[-1] != "." and typed.count(".") < 3 else typed


# What comes of it.


async def _try(visit: "Visit", draft: Draft) -> bool:
    """Put it on trial, and check it; False: the person wants to change it."""
    terminal, settings, ui, trial = visit.terminal, visit.settings, visit.ui, visit.trial
    texts = ui.texts
    name = draft.ssid or ""
    if trial is None:
        return True
    try:
        changes = settings.changes(draft.settings())
    except SettingError as error:
        terminal.log("network: %s" % error)
        await ui.ask(pages.ended_page(texts, name, "network.refused", False), visit.left, (KEY_BACK,))
        return False
    terminal.apply([], [("event", {"name": "network_set", "detail": "at the counter"})], changes)

    def is_decided() -> bool:
        return not settings.on_trial

    if is_decided():
        await _check(visit)  # nothing has changed
        return True
    wanted = settings.network
    ui.show(pages.joining_page(texts, name))
    await trial.watch()
    until_ms = terminal.hal.clock.monotonic_ms() + LEAVE_MS
    while not is_decided() and not trial.has_left() and terminal.hal.clock.monotonic_ms() < until_ms:
        await terminal.hal.clock.sleep_ms(LOOK_MS)
    while True:
        way, found, _ = await _walk(visit)
        await trial.watch()
        key = ""
        if not is_decided():
            page = pages.trial_page(texts, way, found)
            key = await ui.ask(page, lambda: visit.left() or is_decided())
        if is_decided():
            is_kept = settings.network == wanted
            if is_kept:
                terminal.store.put_all([(KEY_DRAFT, None)])
            end = "network.kept" if is_kept else "network.fell_back"
            await ui.ask(pages.ended_page(texts, settings.get("ssid"), end, is_kept), visit.left, (KEY_BACK,))
            return True
        if key == "3":
            told: dict[str, object] = {"name": "network_fell_back", "detail": "at the counter"}
            terminal.apply([], [("event", told)], settings.fallen_back())
            ui.show(pages.joining_page(texts, settings.get("ssid")))
            await trial.watch()
        elif key == "4":
            told = {"name": "network_set", "detail": "kept unproven"}
            terminal.apply([], [("event", told)], settings.kept() + [(KEY_DRAFT, None)])
        if key != "1":
            return key != "2"


async def _check(visit: "Visit") -> None:
    while not visit.left():
        way, found, is_sound = await _walk(visit)
        page = pages.checked_page(visit.ui.texts, way, found, is_sound)
        if await visit.ui.ask(page, visit.left, (KEY_BACK,)) != "2":
            return


async def _walk(visit: "Visit") -> "tuple[list[str], tuple[str, ...], bool]":
    """The self-test of the network: how far the way goes, in words, the lines of its result, and whether nothing was found."""
    from firmware_agent.flows.selftest_flow import selftest_flow
    from firmware_agent.selftest.run import last_result

    page, unsettled = await selftest_flow(visit.subject, visit.ui, PLAN)
    visit.stay()
    last = last_result(visit.terminal, "network.path")
    result = last[2] if last is not None else None
    if result is not None and result.cause == "failed_before":
        last = last_result(visit.terminal, "network")
        result = last[2] if last is not None else None
    return pages.way_lines(visit.ui.texts, result), page.lines, not unsettled
