"""The counter: what the person before the terminal sees, by the terminal's mode, for as long as it runs."""

import asyncio

from firmware_agent.flows.function_test_flow import function_test_flow, tests_due_page
from firmware_agent.flows.recovery_flow import KEY_BACK, recovery_page, take_recovery_answer
from firmware_agent.flows.selftest_flow import selftest_flow, subject_at
from firmware_agent.flows.status_pages import countdown, idle_page, not_done_page, out_of_order_page, restored_page, suspended_page
from firmware_agent.notices import confirm
from firmware_agent.selftest.plans import DAILY, DEVICE, POWER_ON, plan_phases
from firmware_agent.selftest.run import interrupted_plans
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, OUT_OF_ORDER, PROBATION, RECOVERING, RecoveryStarted
from firmware_agent.state.reasons import ACTOR_POI
from firmware_agent.store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.selftest_flow import Checks
    from firmware_agent.flows.ui import Ui
    from firmware_agent.notices import Notice
    from firmware_agent.screens.page import Page
    from firmware_agent.selftest.phases import Phase
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

KEY_MENU = "help"  # opens the device menu on the pages that stand for long
RESULT_SHOWN_MS = 60000  # a self-test's result, or a warning, that nobody answers gives way


class Counter:
    """terminal, ui and settings outlive it; checks: of the self-test, that the agent brings with it. Nothing is kept here that a restart
    would miss.
    """

    def __init__(self, terminal: "Terminal", ui: "Ui", settings: "Settings", checks: "Checks") -> None:
        self._terminal = terminal
        self._ui = ui
        self._settings = settings
        self._subject = subject_at(terminal, ui, settings, checks)
        self.ready = asyncio.Event()  # a self-test, that of power-on, is finished and saved
        self._asked_for = ""  # plan of a self-test that was asked for and has not begun
        self._running = ""  # plan of the self-test that runs
        self._restored = False
        self._shown = ""  # key of the notice that was shown last, and is not confirmed
        self._seen = 0  # what the state's count of changes was when the page was drawn
        self._link: tuple[object, ...] = ()  # what the idle page told of the link, the clock and the next maintenance
        self._offset_min = 0  # the setting: a page looks ten times a second what is due
        self._give_way_ms = 0

    def ask_self_test(self, plan_name: str) -> None:
        """Run a self-test as soon as the page on the screen gives way; one that runs already is not run twice."""
        if plan_name != self._running:
            self._asked_for = plan_name

    async def run(self) -> None:
        """For as long as the agent runs: first the power-on self-test, and what a power cut interrupted; then page after page."""
        await self._self_test(POWER_ON)
        for plan_name in interrupted_plans(self._terminal):
            await self._self_test(plan_name)
        while True:
            if self._asked_for:
                plan_name = self._asked_for
                self._asked_for = ""
                await self._self_test(plan_name)
            else:
                try:
                    await self._one_page()
                except StoreError as error:
                    self._terminal.log("not done: %s" % error)
                    await self._ask_for_a_while(not_done_page(self._ui.texts))

    async def _self_test(self, plan_name: str, phases: "list[Phase] | None" = None) -> None:
        """Run it, and let the person run again what did not pass."""
        while True:
            self._running = plan_name
            page, again = await selftest_flow(self._subject, self._ui, plan_name, phases)
            self._running = ""
            self.ready.set()
            if not again:
                return
            if await self._ask_for_a_while(page) != "2":
                return
            phases = again

    async def _one_page(self) -> None:
        """Show the page of this mode, and take the answer into the state."""
        terminal = self._terminal
        self._ui.speak(self._settings.language)
        texts = self._ui.texts
        mode = terminal.state.mode
        self._look()
        notices = self._notices_due()
        if notices and not self._restored:
            await self._notice(notices)
        elif mode in (IN_SERVICE, PROBATION):
            if self._restored:
                self._restored = False
                await self._ui.ask(restored_page(texts), self._outdated)
            else:
                page = self._with_menu(idle_page(texts, terminal, self._settings))
                key = await self._ui.ask(page, lambda: self._gives_way() or self._link != self._link_now(), (KEY_MENU,))
                await self._menu_if(key)
        elif mode == COMMISSIONING:
            if await self._ask(tests_due_page(texts, terminal)) == "1":
                await function_test_flow(terminal, self._ui, self._subject, self._outdated)
                self._restored = terminal.state.mode in (IN_SERVICE, PROBATION)
        elif mode == RECOVERING:
            key = await self._ask(recovery_page(texts, terminal, self._settings), (KEY_BACK,))
            await take_recovery_answer(terminal, self._settings, key)
        elif mode == OUT_OF_ORDER:
            await self._menu_if(await self._ask(self._with_menu(out_of_order_page(texts, terminal, self._settings)), (KEY_MENU,)))
        else:
            key = await self._ask(self._with_menu(suspended_page(texts, terminal, self._settings)), (KEY_MENU,))
            if key == "1":
                terminal.apply([RecoveryStarted()])
            elif key == "2":
                self._asked_for = self._plan_again()
            await self._menu_if(key)

    async def _notice(self, notices: "list[Notice]") -> None:
        """Show the oldest until the merchant has confirmed it, or it is over; with a sound when it is a new one."""
        from firmware_agent.flows.notice_pages import attract, notice_page

        terminal = self._terminal
        key = notices[0].key
        if key != self._shown:
            self._shown = key
            await attract(terminal)
        page = self._with_menu(notice_page(self._ui.texts, terminal, self._settings, notices))
        answer = await self._ui.ask(
            page, lambda: self._outdated() or [notice.key for notice in self._notices_due()][:1] != [key], (KEY_MENU,)
        )
        if answer == "1":
            self._shown = ""
            confirm(terminal, notices[0], self._offset_min)
        await self._menu_if(answer)

    def _notices_due(self) -> "list[Notice]":
        """Nobody can confirm one without a keypad."""
        terminal = self._terminal
        if terminal.hal.keypad is None or not terminal.notices.all:
            return []
        return terminal.notices.due(terminal.wall_s, self._offset_min)

    def _with_menu(self, page: "Page") -> "Page":
        """Name the menu's key at the foot of the page, where the keypad has it."""
        keypad = self._terminal.hal.keypad
        if keypad is not None and KEY_MENU in keypad.keys:
            page.footer = self._ui.texts.get("hint.choose_or_menu" if page.choices else "hint.menu")
        return page

    async def _menu_if(self, key: str) -> None:
        """The menu is loaded when somebody asks for it: a terminal at work has other use for its memory."""
        if key == KEY_MENU:
            from firmware_agent.flows.device_menu import DeviceMenu

            self._look()  # what changed while the key was on its way does not close the menu at once
            await DeviceMenu(self._terminal, self._ui, self._settings, self._subject, self._outdated).run()

    def _plan_again(self) -> str:
        """For a suspended terminal: all phases of the device that it found broken, else what can be tested without a person."""
        kinds = [phase.kind for phase in plan_phases(DAILY, self._terminal.hal)]
        for reason in self._terminal.state.reasons:
            if reason.actor == ACTOR_POI and reason.component in kinds:
                return DEVICE + reason.component
        return DAILY

    # A page is out of date when the state has changed since it was drawn; the idle page tells of the link, too.

    async def _ask(self, page: "Page", further_keys: "tuple[str, ...]" = ()) -> str:
        return await self._ui.ask(page, self._gives_way, further_keys)

    def _gives_way(self) -> bool:
        """Of the pages that stand for long: to whatever is new, and to a notice."""
        return self._outdated() or bool(self._notices_due())

    def _look(self) -> None:
        self._seen = self._terminal.changes_seen
        self._offset_min = self._settings.utc_offset_min
        self._link = self._link_now()

    def _link_now(self) -> "tuple[object, ...]":
        terminal = self._terminal
        return terminal.online, terminal.link_cause, terminal.hal.clock.trust, countdown(terminal)

    def _outdated(self) -> bool:
        return bool(self._asked_for) or self._seen != self._terminal.changes_seen

    async def _ask_for_a_while(self, page: "Page") -> str:
        self._look()
        self._give_way_ms = self._terminal.hal.clock.monotonic_ms() + RESULT_SHOWN_MS
        return await self._ui.ask(page, self._given_way)

    def _given_way(self) -> bool:
        return self._outdated() or self._terminal.hal.clock.monotonic_ms() >= self._give_way_ms
