"""Pages of the self-test: the devices as their results come in, and what it came to."""

from firmware_agent.screens.page import Page
from firmware_agent.selftest.phases import ABORTED, ERROR, FAIL, PASS, SKIP, TIMEOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.selftest.diagnosis import Diagnosis
    from firmware_agent.selftest.phases import Phase, Result
    from firmware_agent.texts import Texts

RUNNING = "running"
WORST_FIRST = (FAIL, TIMEOUT, ERROR, ABORTED, RUNNING, PASS, SKIP)  # of several phases of one device


def progress_page(texts: "Texts", plan: "list[Phase]", results: "dict[str, Result]") -> Page:
    """How far it is, for a small display shows little more; and one line a device, in the plan's order."""
    return Page("selftest", _progress(texts, plan, results), _device_lines(texts, plan, results))


def result_page(texts: "Texts", plan: "list[Phase]", results: "dict[str, Result]", diagnoses: "list[Diagnosis]") -> Page:
    """What it came to: each thing that is broken with its cause, and what to do about the first; asks only when there is any."""
    if not diagnoses:  # and what was left out
        lines = [texts.get("selftest.all_passed")] + _device_lines(texts, plan, results, (PASS,))
        return Page("selftest", texts.get("selftest.title"), lines, tone="good")
    lines = [diagnosis_line(texts, diagnosis) for diagnosis in diagnoses]
    lines.append(texts.get("selftest.next", step=texts.get("next." + diagnoses[0].cause.step)))
    choices = [("1", texts.get("selftest.choice.1")), ("2", texts.get("selftest.choice.2"))]
    tone = "normal" if all(diagnosis.is_marginal for diagnosis in diagnoses) else "alert"
    return Page("selftest", texts.get("selftest.title"), lines, choices, texts.get("hint.choose"), tone)


def degraded_page(texts: "Texts", warning: str, plan: "list[Phase]", results: "dict[str, Result]") -> Page:
    """The memory or the identity cannot be read: the devices are tested, and nothing else can be done here. warning: key of the text."""
    lines = [texts.get(warning)]
    if len(results) < len(plan):
        lines.append(_progress(texts, plan, results))
    trouble = _device_lines(texts, plan, results, (PASS, SKIP, RUNNING))
    if len(results) == len(plan) and not trouble:
        trouble = [texts.get("selftest.all_passed")]
    lines.extend(trouble)
    return Page("warning", texts.get("warning.title"), lines, tone="alert")


def diagnosis_line(texts: "Texts", diagnosis: "Diagnosis") -> str:
    """'Printer\\tpaper out'. A cause that has no words, of a driver that somebody else wrote, stands as its own word."""
    try:
        cause = texts.get("cause." + diagnosis.cause.code)
    except KeyError:
        cause = diagnosis.cause.code
    return texts.get("selftest.cause", device=texts.get("device." + diagnosis.component), cause=cause)


def _progress(texts: "Texts", plan: "list[Phase]", results: "dict[str, Result]") -> str:
    return texts.get("selftest.running.title", done=len(results), count=len(plan))


def _device_lines(texts: "Texts", plan: "list[Phase]", results: "dict[str, Result]", left_out: "tuple[str, ...]" = ()) -> "list[str]":
    """One line a device, with the worst outcome of its phases, but for those with an outcome that is left out."""
    kinds: list[str] = []
    for phase in plan:
        if phase.kind not in kinds:
            kinds.append(phase.kind)
    lines = []
    for kind in kinds:
        outcomes = [results[phase.id].outcome if phase.id in results else RUNNING for phase in plan if phase.kind == kind]
        worst = next(outcome for outcome in WORST_FIRST if outcome in outcomes)
        if worst not in left_out:
            lines.append(texts.get("selftest.line", device=texts.get("device." + kind), outcome=texts.get("outcome." + worst)))
    return lines
