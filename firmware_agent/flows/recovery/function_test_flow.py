"""The function tests with their pages: each test that is due, one after the other, until it passes or the person leaves it for later."""

from firmware_agent.flows.status_pages import not_done_page
from firmware_agent.screens.page import Page
from firmware_agent.selftest.engine import run_phase
from firmware_agent.selftest.phases import PASS
from firmware_agent.selftest.plans import FUNCTION_TEST_OF, phase_named
from firmware_agent.state.machine import FunctionTestPassed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.selftest.subject import Subject
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts


def tests_due_page(texts: "Texts", terminal: "Terminal") -> Page:
    """Which tests are passed, and which are still to come."""
    lines = [texts.get("test.due")]
    for test in terminal.state.tests_able:
        outcome = "not_run" if test in terminal.state.tests_due else "pass"
        lines.append(texts.get("test.line", test=texts.get("test." + test), outcome=texts.get("outcome." + outcome)))
    return Page("test", texts.get("test.title"), lines, [("1", texts.get("test.choice.1"))], texts.get("hint.choose"))


async def function_test_flow(terminal: "Terminal", ui: "Ui", subject: "Subject", outdated: "Callable[[], bool]") -> None:
    """Run the first test that is due. The result, and what it means for the state, are one write."""
    texts = ui.texts
    test = terminal.state.tests_due[0]
    phase = phase_named(next(id for id in FUNCTION_TEST_OF if FUNCTION_TEST_OF[id] == test), subject.hal)
    result = await run_phase(subject, phase)
    body: dict[str, object] = {"name": test, "outcome": result.outcome}
    if result.cause:
        body["cause"] = result.cause
    terminal.log("function test %s %s %s" % (test, result.outcome, result.cause or "-"))
    passed = result.outcome == PASS
    if not terminal.tell([("test", body)], [FunctionTestPassed(test)] if passed else []) and passed:
        await ui.ask(not_done_page(texts), outdated)
    if not passed:
        await ui.ask(_failed_page(texts, test), outdated)


def _failed_page(texts: "Texts", test: str) -> Page:
    lines = [texts.get("test.failed", test=texts.get("test." + test))]
    choices = [("1", texts.get("test.failed.choice.1")), ("2", texts.get("test.failed.choice.2"))]
    return Page("test.failed", texts.get("test.failed.title"), lines, choices, texts.get("hint.choose"), "alert")
