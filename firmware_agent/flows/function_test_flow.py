"""The function tests with their pages: each test that is due, one after the other, until it passes or the person leaves it for later."""

from firmware_agent.flows.dates import local_time
from firmware_agent.screens.page import Page
from firmware_agent.selftest.function_tests import Outcome, pay_test, print_test, scan_test
from firmware_agent.selftest.phases import FAIL, PASS, SKIP
from firmware_agent.state.machine import FunctionTestPassed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts


def tests_due_page(texts: "Texts", terminal: "Terminal") -> Page:
    """Which tests are passed, and which are still to come."""
    lines = [texts.get("test.due")]
    for test in terminal.state.tests_able:
        outcome = "not_run" if test in terminal.state.tests_due else "pass"
        lines.append(texts.get("test.line", test=texts.get("test." + test), outcome=texts.get("outcome." + outcome)))
    return Page("test", texts.get("test.title"), lines, [("1", texts.get("test.choice.1"))], texts.get("hint.choose"))


async def function_test_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> None:
    """Run the first test that is due. The result, and what it means for the state, are one write."""
    texts = ui.texts
    test = terminal.state.tests_due[0]
    if test == "print":
        outcome = await _print(terminal, ui, settings, outdated)
    elif test == "scan":
        outcome = await _scan(terminal, ui)
    else:
        outcome = await _pay(terminal, ui)
    body: dict[str, object] = {"name": test, "outcome": outcome.outcome}
    if outcome.cause:
        body["cause"] = outcome.cause
    terminal.log("function test %s %s %s" % (test, outcome.outcome, outcome.cause or "-"))
    passed = outcome.outcome == PASS
    terminal.apply([FunctionTestPassed(test)] if passed else [], [("test", body)])
    if not passed:
        await ui.ask(_failed_page(texts, test), outdated)


async def _print(terminal: "Terminal", ui: "Ui", settings: "Settings", outdated: "Callable[[], bool]") -> Outcome:
    texts = ui.texts
    ui.show(Page("test.print", texts.get("test.print.title"), [texts.get("test.print.running")], footer=texts.get("hint.wait")))
    if ui.slips is None:
        return Outcome(SKIP, "absent")
    outcome = await print_test(ui.slips, texts.get("slip.title"), test_slip(texts, terminal, settings))
    if outcome.outcome != PASS:
        return outcome
    choices = [("1", texts.get("test.print.choice.1")), ("2", texts.get("test.print.choice.2"))]
    page = Page(
        "test.print", texts.get("test.print.title"), [texts.get("test.print.question")], choices, texts.get("hint.choose")
    )
    answer = await ui.ask(page, outdated)
    return outcome if answer == "1" else Outcome(FAIL, "not_readable" if answer else "not_answered")


async def _scan(terminal: "Terminal", ui: "Ui") -> Outcome:
    texts = ui.texts
    ui.show(Page("test.scan", texts.get("test.scan.title"), [texts.get("test.scan.hold")]))
    scanner = terminal.hal.scanner
    return await scan_test(scanner) if scanner is not None else Outcome(SKIP, "absent")


async def _pay(terminal: "Terminal", ui: "Ui") -> Outcome:
    texts = ui.texts
    ui.show(Page("test.pay", texts.get("test.pay.title"), [texts.get("test.pay.hold")]))
    reader = terminal.hal.card_reader
    return await pay_test(reader) if reader is not None else Outcome(SKIP, "absent")


def _failed_page(texts: "Texts", test: str) -> Page:
    lines = [texts.get("test.failed", test=texts.get("test." + test))]
    choices = [("1", texts.get("test.failed.choice.1")), ("2", texts.get("test.failed.choice.2"))]
    return Page("test.failed", texts.get("test.failed.title"), lines, choices, texts.get("hint.choose"), "alert")


def test_slip(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    """The lines of the test slip below its title: it says that it is no receipt."""
    lines = [texts.get("slip.terminal", terminal=terminal.identity.terminal)]
    if terminal.wall_s:
        lines.append(texts.get("slip.time", time=local_time(terminal.wall_s, settings.utc_offset_min)))
    lines.append(texts.get("slip.sample"))
    lines.append(texts.get("slip.no_value"))
    return lines
