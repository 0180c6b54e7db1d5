"""The step `review`: where it stands, asked for at any time; and the page of an answer, shown when it comes."""

from firmware_agent.application.review import DECISIONS, ask, last_answer, see
from firmware_agent.flows.dates import local_time
from firmware_agent.flows.recovery.materials_flow import missing_lines, missing_of
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.screens.page import TONE_ALERT, TONE_GOOD, Page
from firmware_agent.state.machine import LEVEL_APPLICATION, REVIEW_APPROVED, REVIEW_REJECTED, REVIEW_SENT, RecoveryPaused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.application.review import Answer
    from firmware_agent.flows.recovery.recovery_flow import Recovery
    from firmware_agent.flows.ui import Ui
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

KEY_ASK, KEY_PRINT = "1", "2"


async def review_step(at: "Recovery") -> None:
    """One page of it, with a tone when another answer has come. Raises StoreError."""
    from firmware_agent.flows.notice_pages import attract

    terminal, texts = at.terminal, at.texts
    status = terminal.state.review
    if at.heard and status != at.heard and status != REVIEW_SENT:
        await attract(terminal)
    at.heard = status
    note = ""
    while True:
        key = await at.ask(review_page(texts, terminal, at.settings, note))
        note = ""
        if key == KEY_ASK:
            ask(terminal)
            note = texts.get("recovery.review.asked" if terminal.online else "recovery.review.asked_later")
        elif key == KEY_PRINT:
            note = await _print(terminal, at.ui, at.settings)
        else:
            if key == KEY_BACK:
                terminal.apply([RecoveryPaused()])
            return


async def answer_flow(terminal: "Terminal", ui: "Ui", settings: "Settings", answer: "Answer", outdated: "Callable[[], bool]") -> None:
    """The page of a decision, until the merchant has seen it. Raises StoreError: it is shown again."""
    note = ""
    while True:
        key = await ui.ask(answer_page(ui.texts, terminal, settings, answer, note), outdated)
        if key == "1":
            see(terminal, answer)
        if key != KEY_PRINT:
            return
        note = await _print(terminal, ui, settings)


async def _print(terminal: "Terminal", ui: "Ui", settings: "Settings") -> str:
    """Gives what a person has to know of it, or ''."""
    from firmware_agent.flows.handout import print_slip

    texts, state = ui.texts, terminal.state
    lines = [texts.get("slip.terminal", terminal=terminal.identity.terminal)] + said_lines(texts, terminal, settings)
    lines.append(texts.get("recovery.review.status", status=texts.get("review." + state.review)))
    if state.review in DECISIONS:
        lines.append(texts.get("answer." + state.review))
    return await print_slip(terminal, ui, texts.get("answer.title"), lines + lacking_lines(texts, terminal, settings))


def said_lines(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    """Of which application, when the acquirer answered last, and what the reviewer said."""
    state = terminal.state
    answer = last_answer(terminal)
    when = local_time(answer.at, settings.utc_offset_min) if answer is not None and answer.at else ""
    lines = [
        texts.get("form.level", level=texts.get("level." + str(state.level))),
        texts.get("recovery.review.number", number=state.application) + "\t" + when,
    ]
    if state.remark:
        lines.append(texts.get("recovery.review.remark", remark=state.remark))
    return lines


def lacking_lines(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    """What is still missing, as long as that may matter."""
    state = terminal.state
    if state.review in (REVIEW_APPROVED, REVIEW_REJECTED):
        return []
    return missing_lines(texts, missing_of(terminal, settings, state.level > LEVEL_APPLICATION))


def review_page(texts: "Texts", terminal: "Terminal", settings: "Settings", note: str = "") -> Page:
    name = "recovery.review"
    lines = [texts.get("recovery.review.status", status=texts.get("review." + terminal.state.review))]
    lines.extend(said_lines(texts, terminal, settings))
    lines.extend([note] if note else lacking_lines(texts, terminal, settings) or [texts.get(name + ".wait")])
    choices = [(KEY_ASK, texts.get(name + ".choice.1"))] + print_choices(texts, terminal)
    return Page(name, texts.get(name + ".title"), lines, choices, texts.get("hint.list"))


def answer_page(texts: "Texts", terminal: "Terminal", settings: "Settings", answer: "Answer", note: str = "") -> Page:
    """What it means first, then what was said."""
    tone = TONE_GOOD if answer.status == REVIEW_APPROVED else TONE_ALERT
    lines = [note or texts.get("answer." + answer.status)]
    lines.extend(said_lines(texts, terminal, settings) + lacking_lines(texts, terminal, settings))
    choices = [("1", texts.get("answer.choice.1"))] + print_choices(texts, terminal)
    return Page("answer", texts.get("answer.title"), lines, choices, texts.get("hint.choose"), tone)


def print_choices(texts: "Texts", terminal: "Terminal") -> "list[tuple[str, str]]":
    return [(KEY_PRINT, texts.get("answer.choice.2"))] if terminal.hal.printer is not None else []
