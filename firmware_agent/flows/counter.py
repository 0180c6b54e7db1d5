"""The counter: what the person before the terminal sees, by the terminal's mode, for as long as it runs."""

import asyncio

from firmware_agent.application.review import unseen_answer
from firmware_agent.flows.recovery.function_test_flow import function_test_flow, tests_due_page
from firmware_agent.flows.selftest_flow import selftest_flow, subject_at
from firmware_agent.flows.status_pages import (
    KEY_CUSTOMER,
    countdown,
    idle_page,
    not_done_page,
    out_of_order_page,
    probation_page,
    restored_page,
    suspended_page,
    with_customer,
)
from firmware_agent.prevention import probation
from firmware_agent.prevention.notices import confirm
from firmware_agent.selftest.plans import POWER_ON
from firmware_agent.selftest.run import interrupted_plans
from firmware_agent.shop import promotion_until
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, OUT_OF_ORDER, PROBATION, RECOVERING, SUSPENDED, RecoveryStarted
from firmware_agent.store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.application.review import Answer
    from firmware_agent.flows.activation_flow import ActivationDesk
    from firmware_agent.flows.recovery.recovery_flow import Recovery
    from firmware_agent.flows.selftest_flow import Checks
    from firmware_agent.flows.ui import Ui
    from firmware_agent.network_trial import NetworkTrial
    from firmware_agent.prevention.notices import Notice
    from firmware_agent.screens.page import Page
    from firmware_agent.selftest.phases import Phase
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

KEY_MENU = "help"  # opens the menu on the pages that stand for long
RESULT_SHOWN_MS = 60000  # a self-test's result, or a warning, that nobody answers gives way


class Counter:
    """terminal, ui and settings outlive it; checks: of the self-test, that the agent brings with it; restart: into a normal start; trial:
    of the network's settings; desk: gives one where an activation code can be typed. Nothing is kept here that a restart would miss.
    """

    def __init__(
        self,
        terminal: "Terminal",
        ui: "Ui",
        settings: "Settings",
        checks: "Checks",
        restart: "Callable[[], None] | None" = None,
        trial: "NetworkTrial | None" = None,
        desk: "Callable[[], ActivationDesk] | None" = None,
    ) -> None:
        self._terminal = terminal
        self._ui = ui
        self._settings = settings
        self._subject = subject_at(terminal, ui, settings, checks)
        self._restart = restart
        self._trial = trial
        self._desk = desk
        self._recovery: Recovery | None = None
        self.ready = asyncio.Event()  # a self-test, that of power-on, is finished and saved
        self._asked_for = ""  # plan of a self-test that was asked for and has not begun
        self._running = ""  # plan of the self-test that runs
        self._restored = False
        self._shown = ""  # key of the notice that was shown last, and is not confirmed
        self._seen = 0  # what the state's count of changes was when the page was drawn
        self._link: tuple[object, ...] = ()  # what the idle page told of the link, the clock and the next maintenance
        self._promotion_until = 0  # when the merchant's message leaves the idle page, 0: there is none
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
        answer = unseen_answer(terminal) if mode in (RECOVERING, SUSPENDED) and terminal.hal.keypad is not None else None
        if notices and not self._restored:
            await self._notice(notices)
        elif answer is not None:
            await self._answer(answer)
        elif mode in (IN_SERVICE, PROBATION):
            if self._restored:
                self._restored = False
                key = await self._ui.ask(restored_page(texts, terminal, self._settings), self._outdated)
                if key == "2":
                    from firmware_agent.flows.menu.training_flow import training_flow

                    await training_flow(terminal, self._ui, self._settings, self._makes_way())
                elif key == "3":
                    from firmware_agent.flows.menu.records_flow import show_summary

                    await show_summary(terminal, self._ui, self._settings, self._makes_way())
                    self._restored = True
            elif terminal.hal.keypad is not None and probation.summary(terminal) is not None:
                await self._probation_is_over()
            elif self._reminder_due():
                await self._remind()
            else:
                page = self._with_menu(idle_page(texts, terminal, self._settings))
                key = await self._ui.ask(page, self._idle_gives_way, (KEY_MENU,))
                await self._menu_if(key)
        elif mode == COMMISSIONING:
            key = await self._ask(self._with_menu(with_customer(texts, tests_due_page(texts, terminal))), (KEY_MENU,))
            if key == "1":
                await function_test_flow(terminal, self._ui, self._subject, self._outdated)
                self._restored = terminal.state.mode in (IN_SERVICE, PROBATION)
            await self._customer_if(key)
            await self._menu_if(key)
        elif mode == RECOVERING:
            if self._recovery is None:
                from firmware_agent.flows.recovery.recovery_flow import Recovery  # seldom needed

                self._recovery = Recovery(terminal, self._ui, self._settings, self._gives_way, self._restart, self._menu)
            self._asked_for = await self._recovery.run() or self._asked_for
        elif mode == OUT_OF_ORDER:
            key = await self._ask(self._with_menu(out_of_order_page(texts, terminal, self._settings)), (KEY_MENU,))
            await self._customer_if(key)
            await self._menu_if(key)
        else:
            key = await self._ask(self._with_menu(suspended_page(texts, terminal, self._settings)), (KEY_MENU,))
            if key == "1":
                terminal.apply([RecoveryStarted()])
            elif key == "2":
                from firmware_agent.flows.recovery.check_flow import plan_again

                self._asked_for = plan_again(terminal)
            await self._customer_if(key)
            await self._menu_if(key)

    async def _customer_if(self, key: str) -> None:
        """Show customers that no payments are taken, for as long as that is so."""
        if key == KEY_CUSTOMER:
            from firmware_agent.flows.customer_pages import customer_flow

            await customer_flow(self._terminal, self._ui, self._settings, self._makes_way())

    async def _probation_is_over(self) -> None:
        counts = probation.summary(self._terminal)
        if counts is not None and await self._ask(probation_page(self._ui.texts, self._terminal, self._settings, counts)) == "1":
            probation.read(self._terminal)

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

    async def _answer(self, answer: "Answer") -> None:
        """Show the acquirer's decision until the merchant has seen it; with a sound when it is new, or he is reminded of it."""
        from firmware_agent.flows.notice_pages import attract
        from firmware_agent.flows.recovery.review_flow import answer_flow

        key = "answer %d %s %d" % (answer.application, answer.status, answer.seen_at)
        if key != self._shown:
            self._shown = key
            await attract(self._terminal)
        await answer_flow(self._terminal, self._ui, self._settings, answer, self._gives_way)

    async def _remind(self) -> None:
        """Show the most urgent reminder until it is confirmed; a notice comes first."""
        from firmware_agent.flows.notice_pages import attract
        from firmware_agent.flows.reminder_pages import answered, reminder_page

        terminal = self._terminal
        due = self._reminder_due()
        if due != self._shown:
            self._shown = due
            await attract(terminal)
        reminder, more = terminal.reminders[0], len(terminal.reminders) - 1
        page = self._with_menu(reminder_page(self._ui.texts, terminal, self._settings, reminder, more))
        answer = await self._ui.ask(page, lambda: self._gives_way() or self._reminder_due() != due, (KEY_MENU,))
        if answer and answer != KEY_MENU:
            self._shown = ""
            answered(terminal, self._settings, reminder, answer)
        await self._menu_if(answer)

    def _reminder_due(self) -> str:
        """What tells the first reminder's stage from any other; '' for none. Nobody can confirm one without a keypad."""
        terminal = self._terminal
        if terminal.hal.keypad is None or not terminal.reminders:
            return ""
        return terminal.reminders[0].key

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
        if key == KEY_MENU:
            await self._menu()

    async def _menu(self) -> None:
        """It is loaded when somebody asks for it: a terminal at work has other use for its memory."""
        from firmware_agent.flows.menu.menu import Visit, menu

        await menu(Visit(self._terminal, self._ui, self._settings, self._subject, self._trial, self._makes_way(), self._desk))

    # A page is out of date when the state has changed since it was drawn; the idle page tells of the link, too.

    async def _ask(self, page: "Page", further_keys: "tuple[str, ...]" = ()) -> str:
        return await self._ui.ask(page, self._gives_way, further_keys)

    def _gives_way(self) -> bool:
        """Of the pages that stand for long: to whatever is new, and to a notice."""
        return self._outdated() or bool(self._notices_due())

    def _idle_gives_way(self) -> bool:
        is_over = 0 < self._promotion_until <= self._terminal.wall_s
        return self._gives_way() or is_over or bool(self._reminder_due()) or self._link != self._link_now()

    def _look(self) -> None:
        self._seen = self._terminal.changes_seen
        self._offset_min = self._settings.utc_offset_min
        self._link = self._link_now()
        self._promotion_until = promotion_until(self._terminal, self._settings)

    def _link_now(self) -> "tuple[object, ...]":
        terminal = self._terminal
        return terminal.online, terminal.link_cause, terminal.hal.clock.trust, countdown(terminal)

    def _outdated(self) -> bool:
        return bool(self._asked_for) or self._seen != self._terminal.changes_seen

    def _makes_way(self) -> "Callable[[], bool]":
        """When whoever looks at something else meanwhile is in the way: the terminal stands otherwise, or a self-test is asked for.
        What only its pages tell otherwise drives nobody out.
        """
        state = self._terminal.state
        return lambda: bool(self._asked_for) or self._terminal.state is not state

    async def _ask_for_a_while(self, page: "Page") -> str:
        self._look()
        self._give_way_ms = self._terminal.hal.clock.monotonic_ms() + RESULT_SHOWN_MS
        return await self._ui.ask(page, self._given_way)

    def _given_way(self) -> bool:
        return self._outdated() or self._terminal.hal.clock.monotonic_ms() >= self._give_way_ms
