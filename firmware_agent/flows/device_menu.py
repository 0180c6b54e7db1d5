"""The device menu: the last results for whoever asks, and for a technician who signed on, tests, slip, code and export."""

from firmware_agent.flows import device_pages as pages
from firmware_agent.flows.result_slip import code_of, print_result, show_code
from firmware_agent.flows.selftest_flow import selftest_flow
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
from firmware_agent.selftest.diagnosis import TAMPER, diagnose_all, is_unsettled
from firmware_agent.selftest.export import json_lines, junit_lines, last_run
from firmware_agent.selftest.plans import DEVICE, FULL, all_phases, plan_phases
from firmware_agent.selftest.run import last_result
from firmware_agent.state.machine import OUT_OF_ORDER, TechnicianConfirmed
from firmware_agent.state.reasons import ACTOR_POI
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.identity.technician import Technician
    from firmware_agent.screens.page import Page
    from firmware_agent.selftest.phases import Phase
    from firmware_agent.selftest.subject import Subject
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

VIEWED_MS = 60000  # without a key, until the menu gives way
SESSION_MS = 600000  # the same, for who is signed on
BADGE_MS = 30000  # for a badge to be held to the reader
BADGE_LOOK_MS = 300  # at a time, so that the cancel key is heard
KEY_BACK = "cancel"
DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
# The lines between which an export stands on the console; the form follows.
EXPORT_BEGINS, EXPORT_ENDS = "----- begin self-test ", "----- end self-test "

# Keys of the technician's menu.
TEST_ALL, TEST_DEVICE, TEST_FAILED, RESULTS, SLIP, CODE, EXPORT, CONFIRM, SIGN_OFF = "1", "2", "3", "4", "5", "6", "7", "8", "9"


class DeviceMenu:
    """One visit to the menu, from the key that opened it to its end. outdated: the state wants another page, which whoever only looks makes
    way for; who is signed on does not: a test that is due waits until he has gone.
    """

    def __init__(self, terminal: "Terminal", ui: "Ui", settings: "Settings", subject: "Subject", outdated: "Callable[[], bool]") -> None:
        self._terminal = terminal
        self._hal = terminal.hal
        self._clock = terminal.hal.clock
        self._ui = ui
        self._settings = settings
        self._subject = subject
        self._outdated = outdated
        self._who: Technician | None = None
        self._tested_all = False  # everything, while this technician was signed on
        self._until_ms = 0

    async def run(self) -> None:
        """Until the person leaves, or has left. Raises StoreError."""
        self._key_seen()
        texts = self._ui.texts
        while not self._is_over():
            ways = self._ways()
            page = pages.menu_page(texts, self._terminal, self._settings, last_run(self._terminal), bool(ways))
            key = await self._ask(page, (KEY_BACK,))
            if key == "1":
                await self._results()
            elif key == "2":
                self._who = await self._sign_on(ways)
                if self._who is not None:
                    await self._session()
                    return
            else:
                return

    # Keys and time.

    def _key_seen(self) -> None:
        self._until_ms = self._clock.monotonic_ms() + (VIEWED_MS if self._who is None else SESSION_MS)

    def _is_over(self) -> bool:
        """Nobody has pressed a key for too long, or whoever only looks is in the way of something."""
        return self._clock.monotonic_ms() >= self._until_ms or (self._who is None and self._outdated())

    async def _ask(self, page: "Page", further_keys: "tuple[str, ...]" = (), outdated: "Callable[[], bool] | None" = None) -> str:
        """The key pressed; '' when the menu is over, or the page out of date."""
        key = await self._ui.ask(page, lambda: self._is_over() or (outdated is not None and outdated()), further_keys)
        if key:
            self._key_seen()
        return key

    async def _choose(self, name: str, title: str, items: "list[str]") -> int:
        """The place in the list of what was chosen, -1 for none."""
        first = 0
        while True:
            page, keys = pages.list_page(self._ui.texts, name, title, items, first)
            key = await self._ask(page, keys + (KEY_BACK,))
            if key in keys:
                return first + int(key) - 1
            if key != pages.KEY_MORE:
                return -1
            first += pages.ENTRIES
            if first >= len(items):
                first = 0

    async def _note(self, text: str, tone: str = "normal") -> None:
        await self._ask(pages.note_page(self._ui.texts, text, tone), (KEY_BACK,))

    # Results.

    async def _results(self) -> None:
        texts = self._ui.texts
        while not self._is_over():
            entries = pages.entries_of(texts, self._terminal)
            if not entries:
                await self._note(texts.get("menu.no_run"))
                return
            items = ["%s\t%s" % (texts.get("device." + entry.component), entry.told) for entry in entries]
            chosen = await self._choose("results", texts.get("results.title"), items)
            if chosen < 0:
                return
            await self._result(entries[chosen])

    async def _result(self, entry: "pages.Entry") -> None:
        number = 0
        while not self._is_over():
            key = await self._ask(pages.result_page(self._ui.texts, self._terminal, self._settings, entry, number), (KEY_BACK,))
            if key == "1":
                number = (number + 1) % len(entry.results)
            elif key == "2":
                await self._ask(pages.about_page(self._ui.texts, entry.results[number][2].phase), (KEY_BACK,))
            else:
                return

    # Signing on.

    def _ways(self) -> "tuple[str, ...]":
        """How somebody can sign on at this terminal: 'pin', 'badge'."""
        hal = self._hal
        ways: tuple[str, ...] = ()
        if hal.keypad is not None and has_pin(self._terminal.store):
            ways += ("pin",)
        if hal.card_reader is not None and hal.card_reader.enabled:
            ways += ("badge",)
        return ways

    async def _sign_on(self, ways: "tuple[str, ...]") -> "Technician | None":
        way = ways[0]
        if len(ways) > 1:
            key = await self._ask(pages.sign_on_page(self._ui.texts), (KEY_BACK,))
            if key not in ("1", "2"):
                return None
            way = ways[int(key) - 1]
        return await (self._by_pin() if way == "pin" else self._by_badge())

    async def _by_pin(self) -> "Technician | None":
        texts = self._ui.texts
        refused = False
        digits = ""
        while not self._is_over():
            if not await self._waited():
                return None
            key = await self._ask(pages.pin_page(texts, len(digits), refused), DIGITS + ("enter", "clear", KEY_BACK))
            if key in DIGITS:
                digits = (digits + key)[:MAX_DIGITS]
            elif key == "clear":
                digits = ""
            elif key == "enter":
                if len(digits) < MIN_DIGITS:
                    continue
                refusal, who = await sign_on_by_pin(self._terminal, digits)
                digits = ""
                if who is not None:
                    return who
                refused = bool(refusal)
            else:
                return None
        return None

    async def _waited(self) -> bool:
        """Wait out the delay that wrong PINs cost; False where the person left."""
        while wait_ms(self._terminal):
            wait_s = (wait_ms(self._terminal) + 999) // 1000

            def changed(shown_s: int = wait_s) -> bool:
                return (wait_ms(self._terminal) + 999) // 1000 != shown_s

            if await self._ask(pages.wait_page(self._ui.texts, wait_s), (KEY_BACK,), changed) or self._is_over():
                return False
        return True

    async def _by_badge(self) -> "Technician | None":
        while not self._is_over():
            refusal, who = await self._read_badge()
            if who is not None or not refusal:
                return who
            if await self._ask(pages.refused_page(self._ui.texts, refusal), (KEY_BACK,)) != "1":
                return None
        return None

    async def _read_badge(self) -> "tuple[str, Technician | None]":
        """(why not, None), ('', None) where the person left, or ('', who)."""
        reader = self._hal.card_reader
        assert reader is not None
        self._ui.show(pages.badge_page(self._ui.texts))
        until_ms = self._clock.monotonic_ms() + BADGE_MS
        try:
            while not await reader.find_card(BADGE_LOOK_MS):
                if self._clock.monotonic_ms() >= until_ms:
                    return NO_CARD, None
                if self._outdated() or await self._key() == KEY_BACK:
                    return "", None
        except DeviceError as error:
            self._terminal.log("sign-on: %s" % error)
            return CARD_FAILED, None
        self._key_seen()  # a badge that is held to the reader shows that somebody is there, too
        return await sign_on_by_badge(self._terminal, reader)

    async def _key(self) -> str:
        keypad = self._hal.keypad
        return await keypad.read(1) or "" if keypad is not None and keypad.enabled else ""

    # Signed on.

    async def _session(self) -> None:
        """Until the technician signs off, or has pressed no key for ten minutes."""
        who = self._who
        assert who is not None
        self._key_seen()
        actions = {
            TEST_ALL: self._test_all,
            TEST_DEVICE: self._test_device,
            TEST_FAILED: self._test_failed,
            RESULTS: self._results,
            SLIP: self._print,
            CODE: self._show_code,
            EXPORT: self._export,
            CONFIRM: self._confirm,
        }
        while not self._is_over():
            key = await self._ask(pages.technician_page(self._ui.texts, who, self._offered()), (KEY_BACK,))
            if key not in actions:
                break
            await actions[key]()
        self._who = None
        self._terminal.log("signed off")

    def _offered(self) -> "list[str]":
        """What this terminal can do now."""
        has_run = self._terminal.last_report() is not None
        offered = [TEST_ALL, TEST_DEVICE]
        if self._failed():
            offered.append(TEST_FAILED)
        offered.append(RESULTS)
        if has_run and self._hal.printer is not None and self._ui.slips is not None:
            offered.append(SLIP)
        if has_run and self._hal.display is not None:
            offered.append(CODE)
        if has_run:
            offered.append(EXPORT)
        if self._may_confirm():
            offered.append(CONFIRM)
        return offered + [SIGN_OFF]

    def _failed(self) -> "list[Phase]":
        """The phases whose last result says that something is wrong, or that were left out for those."""
        failed = []
        for phase in all_phases(self._hal):
            last = last_result(self._terminal, phase.id)
            if last is not None and is_unsettled(last[2]):
                failed.append(phase)
        return failed

    async def _test(self, plan: str, phases: "list[Phase] | None" = None) -> None:
        """Run it; its time does not count as time without a key."""
        whole = phases is None
        while not self._is_over():
            begun_ms = self._clock.monotonic_ms()
            page, again = await selftest_flow(self._subject, self._ui, plan, phases)
            self._until_ms += self._clock.monotonic_ms() - begun_ms
            self._tested_all = self._tested_all or (plan == FULL and whole)
            if not page.choices:
                page.footer = self._ui.texts.get("hint.back")
            if await self._ask(page, (KEY_BACK, "enter")) != "2" or not again:
                return
            phases, whole = again, False

    async def _test_all(self) -> None:
        await self._test(FULL)

    async def _test_device(self) -> None:
        texts = self._ui.texts
        kinds, names = pages.device_items(texts, plan_phases(FULL, self._hal))
        chosen = await self._choose("devices", texts.get("devices.title"), names)
        if chosen >= 0:
            await self._test(DEVICE + kinds[chosen])

    async def _test_failed(self) -> None:
        failed = self._failed()
        kinds = [phase.kind for phase in failed]
        await self._test(DEVICE + kinds[0] if kinds == kinds[:1] * len(kinds) else FULL, failed)

    async def _print(self) -> None:
        texts = self._ui.texts
        run = last_run(self._terminal)
        if run is None:
            return
        self._ui.show(pages.note_page(texts, texts.get("slip.printing")))
        try:
            await print_result(self._terminal, self._ui, self._settings, run)
        except (DeviceError, ValueError) as error:
            self._terminal.log("slip %s" % error)
            cause = error.cause if isinstance(error, DeviceError) and error.cause else "check_failed"
            await self._note(texts.get("slip.failed", cause=pages.cause_text(texts, cause)), "alert")

    async def _show_code(self) -> None:
        """On all of the display, until a key is pressed."""
        texts = self._ui.texts
        run = last_run(self._terminal)
        display = self._hal.display
        if run is None or display is None:
            return
        self._ui.show(pages.note_page(texts, texts.get("code.running")))
        try:
            shown = show_code(display, await code_of(self._terminal, run))
        except (DeviceError, ValueError) as error:
            self._terminal.log("code %s" % error)
            shown = False
        if not shown:
            await self._note(texts.get("code.too_large"))
            return
        self._terminal.log("code of report %d on the display" % run.claims.sequence)
        while not self._is_over():
            if await self._key():
                self._key_seen()
                return
            await self._clock.sleep_ms(50)

    async def _export(self) -> None:
        written = ""
        while True:
            run = last_run(self._terminal)
            key = await self._ask(pages.export_page(self._ui.texts, written), (KEY_BACK,))
            if key not in ("1", "2") or run is None:
                return
            form, lines = ("JSON", json_lines(run)) if key == "1" else ("JUnit XML", junit_lines(run))
            self._terminal.log(EXPORT_BEGINS + form)
            for line in lines:
                self._terminal.log(line)
                await self._clock.sleep_ms(0)
            self._terminal.log(EXPORT_ENDS + form)
            written = form

    # Tamper.

    def _may_confirm(self) -> bool:
        """By badge alone, after a test of everything in this session, when nothing that was found says tamper any more."""
        state = self._terminal.state
        if self._who is None or not self._who.has_badge or not self._tested_all:
            return False
        if state.mode != OUT_OF_ORDER or ACTOR_POI in state.tamper_consents:
            return False
        results = [last_result(self._terminal, phase.id) for phase in all_phases(self._hal)]
        found = diagnose_all([last[2] for last in results if last is not None], self._hal.buses)
        return not any(finding.cause.suggests == TAMPER for finding in found)

    async def _confirm(self) -> None:
        """The technician's half of lifting a tamper; the acquirer's order is the other."""
        if not self._may_confirm() or self._who is None:
            return
        if await self._ask(pages.confirm_page(self._ui.texts), (KEY_BACK,)) != "1":
            return
        told: dict[str, object] = {"name": "technician_confirmed", "detail": "badge " + self._who.number}
        self._terminal.apply([TechnicianConfirmed()], [("event", told)])
        self._terminal.log("confirmed by badge %s" % self._who.number)
