"""The step `check`: what can be looked at, tested and put right on the spot, by the reasons that hold."""

from firmware_agent.screens.page import Page
from firmware_agent.selftest.plans import DAILY, DEVICE, plan_phases
from firmware_agent.state.machine import STEP_CHECK
from firmware_agent.state.reasons import ACTOR_POI

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.recovery.recovery_flow import Recovery
    from firmware_agent.settings import Settings
    from firmware_agent.state.reasons import Reason
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

GO_ON, TEST, RESTART, TEST_NETWORK, OPERATIONS = "1", "2", "3", "4", "5"  # keys of the page
# What can be done for a reason beside what its words say.
ACTIONS = {
    "hardware_fault": (TEST,),
    "software_fault": (TEST, RESTART),
    "network_fault": (TEST_NETWORK,),
    "operator_error": (OPERATIONS,),
}
NETWORK = "network"
SHOWN = 12  # operations on the page, the latest first
RESTART_MS = 2000  # for a person to see why the screen goes dark


async def check_step(at: "Recovery") -> str:
    """Gives the plan of the self-test that is asked for; its result stands on this page when it comes back."""
    terminal = at.terminal
    key = await at.ask(check_page(at.texts, terminal))
    if key == TEST:
        return plan_again(terminal)
    if key == TEST_NETWORK:
        return DEVICE + NETWORK
    if key == OPERATIONS:
        await at.ask_within(operations_page(at.texts, terminal, at.settings))
    elif key == RESTART and at.restart is not None:
        at.ui.show(Page("restart", at.texts.get("restart.title"), [at.texts.get("restart.text")], footer=at.texts.get("hint.wait")))
        terminal.log("restart, as the merchant asks")
        await terminal.hal.clock.sleep_ms(RESTART_MS)
        at.restart()
    else:
        at.went(STEP_CHECK, key)
    return ""


def plan_again(terminal: "Terminal") -> str:
    """All phases of the device that this terminal found broken, else what can be tested without a person."""
    kinds = [phase.kind for phase in plan_phases(DAILY, terminal.hal)]
    for reason in terminal.state.reasons:
        if reason.actor == ACTOR_POI and reason.component in kinds:
            return DEVICE + reason.component
    return DAILY


def check_page(texts: "Texts", terminal: "Terminal") -> Page:
    """What to check for each reason, and what the last test found of it."""
    lines: list[str] = []
    keys = [GO_ON]
    for reason in terminal.state.reasons:
        if not reason.kind.check:
            continue
        words = texts.get("check." + reason.code)
        if words not in lines:  # two devices that are broken are two reasons
            lines.append(words)
        keys.extend([key for key in ACTIONS.get(reason.code, ()) if key not in keys])
        lines.extend(found_lines(texts, terminal, reason))
    name = "recovery." + STEP_CHECK
    choices = [(key, texts.get(name + ".choice." + key)) for key in sorted(keys)]
    return Page(name, texts.get(name + ".title"), lines, choices, texts.get("hint.list"))


def found_lines(texts: "Texts", terminal: "Terminal", reason: "Reason") -> "list[str]":
    """Of the device that the reason is about, by the last test of each of its phases: what is wrong, or that nothing is. Of the network
    that is the first layer that does not do its part.
    """
    from firmware_agent.flows.selftest_pages import diagnosis_line  # with what it needs, a lot for a page
    from firmware_agent.selftest.diagnosis import diagnose_all
    from firmware_agent.selftest.plans import all_phases
    from firmware_agent.selftest.run import last_result

    kind = reason.component or (NETWORK if reason.code == "network_fault" else "")
    lasts = [last_result(terminal, phase.id) for phase in all_phases(terminal.hal) if phase.kind == kind]
    results = [last[2] for last in lasts if last is not None]
    if not results:
        return []
    findings = diagnose_all(results, terminal.hal.buses)
    if not findings:
        return [texts.get("selftest.line", device=texts.get("device." + kind), outcome=texts.get("outcome.pass"))]
    return [diagnosis_line(texts, findings[0]), texts.get("selftest.next", step=texts.get("next." + findings[0].cause.step))]


def operations_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    """What was done at this terminal and from afar, as the evidence log has it, the latest first."""
    from firmware_agent.flows.menu.records_pages import operation_lines

    lines: list[str] = []
    for line in operation_lines(texts, terminal, settings.utc_offset_min):
        lines.append(line)
        if len(lines) == SHOWN:
            break
    return Page("operations", texts.get("operations.title"), lines, footer=texts.get("hint.back"))
