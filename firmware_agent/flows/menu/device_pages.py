"""Pages about the devices: results for everybody, and what a technician can do."""

from firmware_agent.flows.dates import local_time
from firmware_agent.screens.page import Page
from firmware_agent.selftest.diagnosis import diagnose, diagnose_all
from firmware_agent.selftest.phases import PASS, SKIP
from firmware_agent.selftest.plans import DEVICE, all_phases
from firmware_agent.selftest.run import last_result
from firmware_agent.selftest.trends import history

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.identity.technician import Technician
    from firmware_agent.selftest.diagnosis import Diagnosis
    from firmware_agent.selftest.export import LastRun
    from firmware_agent.selftest.phases import Phase, Result
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

TREND_VALUES = 5  # of a measurement on a page
PIN_PLACES = 8


class Entry:
    """One line of the results. results: what its pages show, each with when and in which plan it was found; told: in a few words."""

    def __init__(self, component: str, told: str, results: "list[tuple[int, str, Result]]") -> None:
        self.component = component
        self.told = told
        self.results = results


def entries_of(texts: "Texts", terminal: "Terminal") -> "list[Entry]":
    """What is known of each device, by the last result of each phase: first what is broken or about to break, the worst first."""
    known = []
    for phase in all_phases(terminal.hal):
        last = last_result(terminal, phase.id)
        if last is not None:
            known.append(last)
    findings = diagnose_all([result for _, _, result in known], terminal.hal.buses)
    entries = []
    for finding in findings:
        of = [last for last in known if last[2].phase == finding.result.phase]
        entries.append(Entry(finding.component, cause_text(texts, finding.cause.code), [(of[0][0], of[0][1], finding.result)]))
    kinds: list[str] = []
    for _, _, result in known:
        if result.kind not in kinds and not diagnosed(result.kind, known):
            kinds.append(result.kind)
    for kind in kinds:
        of = [last for last in known if last[2].kind == kind]
        outcome = PASS if any(result.outcome == PASS for _, _, result in of) else SKIP
        entries.append(Entry(kind, texts.get("outcome." + outcome), of))
    return entries


def diagnosed(kind: str, known: "list[tuple[int, str, Result]]") -> bool:
    return any(result.kind == kind and diagnose(result) is not None for _, _, result in known)


def cause_text(texts: "Texts", code: str) -> str:
    """A cause that has no words, of a driver that somebody else wrote, stands as its own word."""
    try:
        return texts.get("cause." + code)
    except KeyError:
        return code


def plan_text(texts: "Texts", plan: str) -> str:
    """'Full test', or the device that was tested."""
    if plan.startswith(DEVICE):
        return texts.get("device." + plan[len(DEVICE) :])
    return texts.get("plan." + plan)


def time_text(texts: "Texts", settings: "Settings", wall_s: int) -> str:
    return local_time(wall_s, settings.utc_offset_min) if wall_s else texts.get("menu.no_time")


def result_page(texts: "Texts", terminal: "Terminal", settings: "Settings", entry: Entry, number: int) -> Page:
    """One result of an entry: what, who mends it, what to do; and how its measurements developed."""
    wall_s, plan, result = entry.results[number]
    device = texts.get("device." + entry.component)
    lines = [texts.get("selftest.line", device=texts.get("phase." + result.phase), outcome=texts.get("outcome." + result.outcome))]
    if result.cause:
        lines.append(texts.get("result.cause", cause=cause_text(texts, result.cause)))
    if result.code:
        lines.append(texts.get("result.error", error=result.error))
    finding = diagnose(result)
    if finding is not None:
        lines.append(texts.get("result.mends", who=texts.get("mends." + finding.cause.mends)))
        lines.append(texts.get("result.network", answer=texts.get("answer.yes" if finding.cause.needs_network else "answer.no")))
        lines.append(texts.get("selftest.next", step=texts.get("next." + finding.cause.step)))
    lines.append(texts.get("result.at", time=time_text(texts, settings, wall_s)))
    for name in sorted(result.measurements):
        values = history(terminal.store, result.phase, name)[-TREND_VALUES:]
        if values:  # of what has a limit
            lines.append(texts.get("result.trend", measure=name, values=" ".join([str(value) for value in values])))
    choices = [("1", texts.get("result.choice.1"))] if len(entry.results) > 1 else []
    choices.append(("2", texts.get("result.choice.2")))
    tone = "good" if result.outcome == PASS and not result.cause else "normal" if result.outcome in (PASS, SKIP) else "alert"
    return Page("result", device, lines, choices, texts.get("hint.back"), tone)


def about_page(texts: "Texts", phase: str) -> Page:
    """What a phase is for, what happens in it, and how to see by hand whether it is right."""
    prefix = "phase." + phase
    lines = [
        texts.get(prefix),
        texts.get("about.purpose", text=texts.get(prefix + ".purpose")),
        texts.get("about.steps", text=texts.get(prefix + ".steps")),
        texts.get("about.verify", text=texts.get(prefix + ".verify")),
    ]
    return Page("about", texts.get("about.title"), lines, footer=texts.get("hint.back"))


def sign_on_page(texts: "Texts") -> Page:
    choices = [("1", texts.get("sign_on.choice.1")), ("2", texts.get("sign_on.choice.2"))]
    return Page("sign_on", texts.get("sign_on.title"), [texts.get("sign_on.how")], choices, texts.get("hint.back"))


def pin_page(texts: "Texts", digits: int, refused: bool = False) -> Page:
    """digits: how many were typed; they are shown as dots."""
    dots = texts.get("pin.dot") * digits + texts.get("pin.place") * (PIN_PLACES - digits)  # first, so that a small display shows them
    lines = [dots, texts.get("pin.wrong" if refused else "pin.enter")]
    return Page("pin", texts.get("pin.title"), lines, footer=texts.get("hint.pin"), tone="alert" if refused else "normal")


def wait_page(texts: "Texts", wait_s: int) -> Page:
    lines = [texts.get("pin.wait"), texts.get("pin.wait_time", wait="%d:%02d" % (wait_s // 60, wait_s % 60))]
    return Page("pin", texts.get("pin.title"), lines, footer=texts.get("hint.back"), tone="alert")


def badge_page(texts: "Texts") -> Page:
    return Page("badge", texts.get("badge.title"), [texts.get("badge.hold")], footer=texts.get("hint.back"))


def refused_page(texts: "Texts", refusal: str) -> Page:
    lines = [texts.get("refused.text"), texts.get("refused." + refusal)]
    choices = [("1", texts.get("refused.choice.1"))]
    return Page("refused", texts.get("refused.title"), lines, choices, texts.get("hint.back"), "alert")


def technician_page(texts: "Texts", who: "Technician", choices: "list[tuple[str, str]]") -> Page:
    """choices: what this terminal can do now."""
    line = texts.get("technician.badge", who=who.name, number=who.number) if who.has_badge else texts.get("technician.pin")
    return Page("technician", texts.get("technician.title"), [line], choices, texts.get("hint.choose"))


def export_page(texts: "Texts", written: str = "") -> Page:
    """written: '', or the form that was written."""
    lines = [texts.get("export.how")]
    if written:
        lines.append(texts.get("export.written", form=written))
    choices = [("1", texts.get("export.choice.1")), ("2", texts.get("export.choice.2"))]
    return Page("export", texts.get("export.title"), lines, choices, texts.get("hint.back"))


def note_page(texts: "Texts", text: str, tone: str = "normal") -> Page:
    """One sentence; the person goes back."""
    return Page("note", texts.get("note.title"), [text], [("1", texts.get("note.choice.1"))], texts.get("hint.back"), tone)


def device_items(texts: "Texts", phases: "list[Phase]") -> "tuple[list[str], list[str]]":
    """(kinds, their names) of the devices that these phases test, in their order."""
    kinds: list[str] = []
    for phase in phases:
        if phase.kind not in kinds:
            kinds.append(phase.kind)
    return kinds, [texts.get("device." + kind) for kind in kinds]


def slip_lines(texts: "Texts", settings: "Settings", run: "LastRun") -> "list[str]":
    """A run on paper: each phase with its outcome and cause in words, and what to do about each finding."""
    lines = [
        texts.get("slip.terminal", terminal=run.terminal),
        texts.get("slip.time", time=time_text(texts, settings, run.at)),
        texts.get("slip.plan", plan=plan_text(texts, run.plan)),
        "",
    ]
    for result in run.results:
        lines.append(_slip_line(texts, result))
    lines.append("")
    for finding in run.findings:
        lines.append(_finding_line(texts, finding))
        lines.append(texts.get("selftest.next", step=texts.get("next." + finding.cause.step)))
    if not run.findings:
        lines.append(texts.get("slip.no_findings"))
    lines.append("")
    return lines


def _slip_line(texts: "Texts", result: "Result") -> str:
    try:
        name = texts.get("phase." + result.phase)
    except KeyError:  # of another version's report
        name = result.phase
    outcome = texts.get("outcome." + result.outcome)
    if result.cause:
        outcome = texts.get("slip.cause", outcome=outcome, cause=cause_text(texts, result.cause))
    return texts.get("slip.phase", phase=name, outcome=outcome)


def _finding_line(texts: "Texts", finding: "Diagnosis") -> str:
    device = texts.get("device." + finding.component)
    return texts.get("slip.phase", phase=device, outcome=cause_text(texts, finding.cause.code))
