"""Safe mode: after starts that came to nothing, the least that can tell a person and the acquirer so, and no more until somebody asks."""

import asyncio

from firmware_agent.boot.boot_guard import CAUSE_BOOT_LOOP, CAUSE_BROWNOUT, STAGE_GOOD, STAGE_TESTING
from firmware_agent.flows.safe_mode_pages import safe_mode_page
from firmware_agent.state.machine import Suspended
from firmware_agent.state.reasons import ACTOR_POI, Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.boot.boot_guard import BootGuard
    from firmware_agent.flows.ui import Ui
    from firmware_agent.selftest.phases import Result
    from firmware_agent.terminal import Terminal
    from hal.device import Health
    from hal.hal import Hal

# Cause of the safe mode -> the reason it suspends the terminal for, and the component that is named.
REASONS = {CAUSE_BOOT_LOOP: ("software_fault", "firmware"), CAUSE_BROWNOUT: ("hardware_fault", "power")}


class SafeMode:
    """In the place of the counter. terminal: None where there is no memory or no identity: then nobody but the person is told; checks: as
    for the counter.
    """

    def __init__(
        self,
        hal: "Hal",
        ui: "Ui",
        guard: "BootGuard",
        reset: "Callable[[], None]",
        log: "Callable[[str], None]",
        terminal: "Terminal | None" = None,
        checks: "dict[str, Callable[[], Awaitable[Health]]] | None" = None,
    ) -> None:
        self._hal = hal
        self._ui = ui
        self._guard = guard
        self._reset = reset
        self._log = log
        self._terminal = terminal
        self._checks = checks
        self._asked_for = False
        self.ready = asyncio.Event()  # the page stands

    def ask_self_test(self, plan_name: str) -> None:
        """Test the devices. Which plan was asked for makes no difference: here they are tested one by one, without a person."""
        self._asked_for = True

    async def run(self) -> None:
        """For as long as the agent runs."""
        self._log("safe mode: %s" % self._told())
        self._log("diagnosis %s %s" % (REASONS[self._guard.cause][1], self._guard.cause))
        results: list[Result] = []
        while True:
            page = safe_mode_page(self._ui.texts, self._guard, results)
            if not self.ready.is_set():
                self._suspend()
                self._ui.show(page)
                self._guard.reached(STAGE_GOOD)
                self.ready.set()
            key = await self._ui.ask(page, lambda: self._asked_for)
            if key == "1":
                self._log("restarting normally, as asked")
                self._guard.restarting(normally=True)
                self._reset()
            self._asked_for = False
            results = await self._test_devices()

    def _suspend(self) -> None:
        """And tell the acquirer, once: each safe mode of a row would tell the same."""
        terminal = self._terminal
        if terminal is None:
            return
        code, component = REASONS[self._guard.cause]
        reason = Reason(code, ACTOR_POI, terminal.wall_s, component=component, note=self._guard.cause)
        if not any(held.same_cause(reason) and held.note == reason.note for held in terminal.state.reasons):
            terminal.tell([("event", {"name": "safe_mode", "detail": self._told()})], [Suspended(reason)])  # the page stands all the same

    def _told(self) -> str:
        guard = self._guard
        told = "%d crashes, %d power losses" % (guard.crashes, guard.power_losses)
        return told + ("; " + guard.last_crash if guard.last_crash else "")

    async def _test_devices(self) -> "list[Result]":
        """One after the other, each named to the guard first: one that takes the terminal with it is known at the next start."""
        from firmware_agent.flows.selftest_pages import progress_page
        from firmware_agent.selftest.engine import run_phase
        from firmware_agent.selftest.plans import POWER_ON, plan_phases
        from firmware_agent.selftest.subject import Subject

        hal = self._hal
        subject = Subject(hal, self._terminal, checks=self._checks)
        phases = plan_phases(POWER_ON, hal)
        results: dict[str, Result] = {}
        for phase in phases:
            self._guard.reached(STAGE_TESTING, phase.id)
            self._ui.show(progress_page(self._ui.texts, phases, results))
            device = getattr(hal, phase.kind, None)
            if device is not None and not device.enabled:
                await hal.bring_up((phase.kind,))  # what fails in it, the phase finds
            result = await run_phase(subject, phase)
            self._log("self-test %s %s %s %d ms" % (phase.id, result.outcome, result.cause or "-", result.duration_ms))
            results[phase.id] = result
        self._guard.reached(STAGE_GOOD)
        return [results[phase.id] for phase in phases]
