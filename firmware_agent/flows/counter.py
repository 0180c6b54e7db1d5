"""The counter: what the person before the terminal sees, by the terminal's mode, for as long as it runs."""

from firmware_agent.flows.function_test_flow import function_test_flow, tests_due_page
from firmware_agent.flows.recovery_flow import KEY_BACK, recovery_answer, recovery_page
from firmware_agent.flows.selftest_pages import progress_page, result_page
from firmware_agent.flows.status_pages import idle_page, out_of_order_page, restored_page, suspended_page
from firmware_agent.selftest.phases import power_on_plan
from firmware_agent.selftest.run import self_test
from firmware_agent.state.machine import COMMISSIONING, IN_SERVICE, OUT_OF_ORDER, PROBATION, RECOVERING, RecoveryStarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.ui import Ui
    from firmware_agent.screens.page import Page
    from firmware_agent.selftest.phases import Result
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal

RESULT_SHOWN_MS = 60000  # a self-test's result that nobody answers gives way


class Counter:
    """terminal, ui and settings outlive it; nothing is kept here that a restart would miss."""

    def __init__(self, terminal: "Terminal", ui: "Ui", settings: "Settings") -> None:
        self._terminal = terminal
        self._ui = ui
        self._settings = settings
        self._asked_for = ""  # plan of a self-test that was asked for and has not begun
        self._restored = False
        self._seen = 0  # what the state's count of changes was when the page was drawn
        self._link = (False, "", 0)  # what the idle page told of the link and the clock
        self._give_way_ms = 0

    def ask_self_test(self, plan_name: str) -> None:
        """Run a self-test as soon as the page on the screen gives way."""
        self._asked_for = plan_name

    async def run(self) -> None:
        """For as long as the agent runs: first the power-on self-test, then page after page."""
        await self._self_test("power_on")
        while True:
            if self._asked_for:
                plan_name = self._asked_for
                self._asked_for = ""
                await self._self_test(plan_name)
            else:
                await self._one_page()

    async def _self_test(self, plan_name: str) -> None:
        texts = self._ui.texts
        plan = power_on_plan(self._terminal.hal)
        results: dict[str, Result] = {}

        def shown(result: "Result") -> None:
            results[result.phase] = result
            self._ui.show(progress_page(texts, plan, results))

        self._ui.show(progress_page(texts, plan, results))
        await self_test(self._terminal, plan_name, plan, shown)
        page = result_page(texts, plan, results)
        if page.choices:
            self._look()
            self._give_way_ms = self._terminal.hal.clock.monotonic_ms() + RESULT_SHOWN_MS
            if await self._ui.ask(page, self._given_way) == "2":
                self._asked_for = plan_name

    async def _one_page(self) -> None:
        """Show the page of this mode, and take the answer into the state."""
        terminal = self._terminal
        texts = self._ui.texts
        mode = terminal.state.mode
        self._look()
        if mode in (IN_SERVICE, PROBATION):
            if self._restored:
                self._restored = False
                await self._ask(restored_page(texts))
            else:
                page = idle_page(texts, terminal, self._settings)
                await self._ui.ask(page, lambda: self._outdated() or self._link != self._link_now())
        elif mode == COMMISSIONING:
            if await self._ask(tests_due_page(texts, terminal)) == "1":
                await function_test_flow(terminal, self._ui, self._settings, self._outdated)
                self._restored = terminal.state.mode in (IN_SERVICE, PROBATION)
        elif mode == RECOVERING:
            key = await self._ask(recovery_page(texts, terminal, self._settings), (KEY_BACK,))
            event = recovery_answer(terminal, key)
            if event is not None:
                terminal.apply([event])
        elif mode == OUT_OF_ORDER:
            await self._ask(out_of_order_page(texts, terminal, self._settings))
        else:
            key = await self._ask(suspended_page(texts, terminal, self._settings))
            if key == "1":
                terminal.apply([RecoveryStarted()])
            elif key == "2":
                self._asked_for = "full"

    # A page is out of date when the state has changed since it was drawn; the idle page tells of the link, too.

    async def _ask(self, page: "Page", further_keys: "tuple[str, ...]" = ()) -> str:
        return await self._ui.ask(page, self._outdated, further_keys)

    def _look(self) -> None:
        self._seen = self._terminal.changes_seen
        self._link = self._link_now()

    def _link_now(self) -> "tuple[bool, str, int]":
        return self._terminal.online, self._terminal.link_cause, self._terminal.hal.clock.trust

    def _outdated(self) -> bool:
        return bool(self._asked_for) or self._seen != self._terminal.changes_seen

    def _given_way(self) -> bool:
        return self._outdated() or self._terminal.hal.clock.monotonic_ms() >= self._give_way_ms
