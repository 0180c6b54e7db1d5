"""Pages of the self-test: the devices as their results come in, and what it came to."""

from firmware_agent.screens.page import Page
from firmware_agent.selftest.phases import PASS, SKIP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.selftest.phases import Phase, Result
    from firmware_agent.texts import Texts


def progress_page(texts: "Texts", plan: "list[Phase]", results: "dict[str, Result]") -> Page:
    """One line a device, in the plan's order."""
    lines = [texts.get("selftest.running")] + _device_lines(texts, plan, results)
    return Page("selftest", texts.get("selftest.title"), lines, footer=texts.get("hint.wait"))


def result_page(texts: "Texts", plan: "list[Phase]", results: "dict[str, Result]") -> Page:
    """What it came to; asks only when something did not pass."""
    failed = [result for result in results.values() if result.outcome not in (PASS, SKIP)]
    lines = _device_lines(texts, plan, results)
    if not failed:
        lines.append(texts.get("selftest.all_passed"))
        return Page("selftest", texts.get("selftest.title"), lines, tone="good")
    lines.append(texts.get("selftest.some_failed", count=len(failed)))
    choices = [("1", texts.get("selftest.choice.1")), ("2", texts.get("selftest.choice.2"))]
    return Page("selftest", texts.get("selftest.title"), lines, choices, texts.get("hint.choose"), "alert")


def degraded_page(texts: "Texts", warning: str, plan: "list[Phase]", results: "dict[str, Result]") -> Page:
    """The memory or the identity cannot be read: the devices were tested, and nothing else can be done here. warning: key of the text."""
    lines = [texts.get(warning)] + _device_lines(texts, plan, results)
    return Page("warning", texts.get("warning.title"), lines, tone="alert")


def _device_lines(texts: "Texts", plan: "list[Phase]", results: "dict[str, Result]") -> "list[str]":
    lines = []
    for phase in plan:
        outcome = results[phase.id].outcome if phase.id in results else "running"
        lines.append(texts.get("selftest.line", device=texts.get("device." + phase.kind), outcome=texts.get("outcome." + outcome)))
    return lines
