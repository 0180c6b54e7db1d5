"""The page of the safe mode: what happened, and what to do next."""

from firmware_agent.boot.boot_guard import CAUSE_BROWNOUT
from firmware_agent.screens.page import Page
from firmware_agent.selftest.phases import PASS, SKIP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.boot.boot_guard import BootGuard
    from firmware_agent.selftest.phases import Result
    from firmware_agent.texts import Texts


def safe_mode_page(texts: "Texts", guard: "BootGuard", results: "list[Result]") -> Page:
    """results: of the devices that a person had tested in this safe mode; empty when none were."""
    lines = []
    if results:  # what they came to takes the place of what is known by now
        lines = _device_lines(texts, results)
    elif guard.cause == CAUSE_BROWNOUT:
        lines.append(texts.get("safe_mode.brownout", count=guard.power_losses))
        lines.append(texts.get("safe_mode.todo.brownout"))
    else:
        lines.append(texts.get("safe_mode.boot_loop", count=guard.crashes))
        lines.append(texts.get("safe_mode.todo.boot_loop"))
    if guard.link_failed:
        lines.append(texts.get("safe_mode.no_link"))
    if guard.last_crash:
        lines.append(texts.get("safe_mode.technician", detail=guard.last_crash))
    choices = [("1", texts.get("safe_mode.choice.1")), ("2", texts.get("safe_mode.choice.2"))]
    return Page("safe_mode", texts.get("safe_mode.title"), lines, choices, texts.get("hint.choose"), "alert")


def _device_lines(texts: "Texts", results: "list[Result]") -> "list[str]":
    """One line for each device that did not pass: the page has choices, which are not to leave the screen."""
    shown: list[str] = []
    lines = []
    for result in results:
        if result.outcome not in (PASS, SKIP) and result.kind not in shown:
            shown.append(result.kind)
            outcome = texts.get("outcome." + result.outcome)
            lines.append(texts.get("selftest.line", device=texts.get("device." + result.kind), outcome=outcome))
    return lines or [texts.get("selftest.all_passed")]
