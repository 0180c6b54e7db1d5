"""The recovery, page by page. Which page comes is the state's step; each page does one thing and says what it was told as an event."""

from firmware_agent.flows.status_pages import code_of, reason_lines
from firmware_agent.screens.page import Page
from firmware_agent.state.machine import (
    REVIEW_MORE_NEEDED,
    REVIEW_REJECTED,
    STEP_APPLICATION,
    STEP_CONTACT,
    STEP_LIFT,
    STEP_REASON,
    STEP_REGISTRATION,
    STEP_REVIEW,
    RecoveryPaused,
    StepDone,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.settings import Settings
    from firmware_agent.state.machine import Event
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

KEY_BACK = "cancel"


def recovery_page(texts: "Texts", terminal: "Terminal", settings: "Settings") -> Page:
    """The page of the step that the state is at."""
    step = terminal.state.step
    if step == STEP_REASON:
        return _page(texts, step, _reason(texts, terminal, settings), ("1",))
    if step == STEP_CONTACT:
        return _page(texts, step, _contact(texts, terminal, settings), ("1",))
    if step == STEP_APPLICATION:
        return _page(texts, step, _application(texts, terminal, settings), ("1", "2"))
    if step == STEP_REVIEW:
        return _page(texts, step, _review(texts, terminal), ())
    if step == STEP_REGISTRATION:
        return _page(texts, step, [texts.get("recovery.registration.running")], ())
    return _page(texts, STEP_LIFT, [texts.get("recovery.lift.wait")], ())


def recovery_answer(terminal: "Terminal", key: str) -> "Event | None":
    """What a key means on the page of the state's step; None: nothing."""
    if key == KEY_BACK or key == "2":
        return RecoveryPaused()
    if key == "1":
        return StepDone(terminal.state.step)
    return None


async def take_recovery_answer(terminal: "Terminal", settings: "Settings", key: str) -> None:
    """Take what a key means on the page of the state's step into the state. Raises StoreError."""
    event = recovery_answer(terminal, key)
    if event is None:
        return
    sealed = b""
    if isinstance(event, StepDone) and event.step == STEP_APPLICATION:
        from firmware_agent.applicant import sealed_applicant  # seldom needed

        sealed = await sealed_applicant(terminal, settings)
    terminal.apply([event], sealed=sealed)


def _page(texts: "Texts", step: str, lines: "list[str]", keys: "tuple[str, ...]") -> Page:
    name = "recovery." + step
    choices = [(key, texts.get(name + ".choice." + key)) for key in keys]
    footer = texts.get("hint.choose" if keys else "hint.wait")
    return Page(name, texts.get(name + ".title"), lines, choices, footer)


def _reason(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    reason = terminal.state.reasons[0]
    return reason_lines(texts, reason, settings) + [texts.get("todo." + reason.code)]


def _contact(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    reason = terminal.state.reasons[0]
    lines = [
        texts.get("recovery.contact.call", line=settings.get("service_line")),
        texts.get("recovery.contact.say"),
        texts.get("recovery.contact.terminal", terminal=terminal.identity.terminal),
        texts.get("recovery.contact.code", code=code_of(reason)),
    ]
    if reason.case:
        lines.append(texts.get("recovery.contact.case", case=reason.case))
    lines.append(texts.get("recovery.contact.warning"))
    return lines


def _application(texts: "Texts", terminal: "Terminal", settings: "Settings") -> "list[str]":
    reason = terminal.state.reasons[0]
    lines = []
    if terminal.state.review in (REVIEW_REJECTED, REVIEW_MORE_NEEDED):
        lines.append(texts.get("recovery.review." + terminal.state.review))
        if terminal.state.remark:
            lines.append(texts.get("recovery.review.remark", remark=terminal.state.remark))
    lines.append(texts.get("recovery.application.what"))
    lines.append(texts.get("recovery.application.terminal", terminal=terminal.identity.terminal))
    lines.append(texts.get("recovery.application.code", code=code_of(reason)))
    if reason.case:
        lines.append(texts.get("recovery.application.case", case=reason.case))
    contact = settings.get("contact_phone") or settings.get("contact_name")
    if contact and terminal.identity.sealing_key:
        lines.append(texts.get("recovery.application.contact", contact=contact))
    return lines


def _review(texts: "Texts", terminal: "Terminal") -> "list[str]":
    state = terminal.state
    lines = [
        texts.get("recovery.review.number", number=state.application),
        texts.get("recovery.review.status", status=texts.get("review." + state.review)),
    ]
    if state.remark:
        lines.append(texts.get("recovery.review.remark", remark=state.remark))
    lines.append(texts.get("recovery.review.wait"))
    return lines
