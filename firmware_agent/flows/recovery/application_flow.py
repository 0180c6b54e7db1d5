"""The step `application`: a form that is filled in from lists rather than by typing, read through on the screen, then signed and sent; and,
after a refusal, the way to appeal.
"""

from firmware_agent.application.applicant import sealed_applicant
from firmware_agent.application.draft import LEVEL, MATERIALS, NAME, SENTENCES, TELEPHONE, WORDS
from firmware_agent.application.materials import EXPLANATION, at_hand, missing
from firmware_agent.application.review import applied
from firmware_agent.flows.entry import DIGITS_AND_SIGNS, ENTRIES, KEY_MORE, TEXT, enter_text, list_page
from firmware_agent.flows.recovery.materials_flow import materials_of, ticked_of
from firmware_agent.flows.status_pages import code_of
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.messages.cbor import encode
from firmware_agent.screens.page import TONE_ALERT, Page
from firmware_agent.settings import MAX_LINE, MAX_NAME, SettingError
from firmware_agent.state.machine import (
    LEVEL_APPLICATION,
    REVIEW_MORE_NEEDED,
    REVIEW_REJECTED,
    STEP_APPLICATION,
    RecoveryPaused,
    StepDone,
    StepTakenBack,
    levels_open,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.recovery.recovery_flow import Recovery
    from firmware_agent.state.reasons import Reason
    from firmware_agent.texts import Texts

# How many ready sentences there are for a statement, by reason.
STATEMENTS = {
    "account_issue": 5,
    "violation": 6,
    "compliance": 5,
    "contract_ended": 4,
    "regulation_change": 4,
    "dormant": 4,
}
MOST_SENTENCES = 5  # of a statement: what is sealed has a limit
MAX_WORDS = 60  # characters that are typed beside

ON, LATER, CONTACT, STATEMENT, OTHER_LEVEL = "1", "2", "3", "4", "5"  # keys of the form
KEY_WORDS, KEY_DONE = "0", "enter"  # of the list of sentences


class Form:
    """What is to be sent, as the draft has it. is_sealed: whether contact and statement can go, which nobody else may read."""

    def __init__(self, at: "Recovery") -> None:
        state, draft = at.terminal.state, at.draft
        self.is_sealed = bool(at.terminal.identity.sealing_key)
        self.levels = levels_open(state)
        self.level = draft.number(LEVEL) if draft.number(LEVEL) in self.levels else LEVEL_APPLICATION
        self.name = draft.text(NAME, at.settings.get("contact_name"))
        self.telephone = draft.text(TELEPHONE, at.settings.get("contact_phone"))
        offered = sentences_of(state.reasons)
        self.sentences = [name for name in offered if name in draft.items(SENTENCES)]
        self.words = draft.text(WORDS)
        ticked, appeal = ticked_of(at.terminal), self.level > LEVEL_APPLICATION
        materials = materials_of(at.terminal, at.settings, appeal)
        self.missing, self.at_hand = missing(materials, ticked), at_hand(materials, ticked)

    @property
    def lacks_statement(self) -> bool:
        return self.is_sealed and not self.sentences and not self.words

    @property
    def lacks_explanation(self) -> bool:
        """Without it no appeal is taken."""
        return self.level > LEVEL_APPLICATION and EXPLANATION in self.missing

    def statement(self, texts: "Texts") -> "list[str]":
        """In the terminal's language."""
        return [texts.get("statement." + name) for name in self.sentences] + ([self.words] if self.words else [])


def sentences_of(reasons: "tuple[Reason, ...]") -> "list[str]":
    """'<reason>.<number>' of each that is offered."""
    names = []
    for reason in reasons:
        for number in range(1, STATEMENTS.get(reason.code, 0) + 1):
            name = "%s.%d" % (reason.code, number)
            if name not in names:
                names.append(name)
    return names


async def application_step(at: "Recovery") -> None:
    """One page of it. Raises StoreError."""
    form = Form(at)
    key = await at.ask(form_page(at, form))
    if key == ON:
        await _go_on(at, form)
    elif key == LATER:
        at.terminal.apply([RecoveryPaused()])
    elif key == CONTACT:
        await _enter_contact(at, form)
    elif key == STATEMENT:
        await _choose_statement(at)
    elif key == OTHER_LEVEL:
        at.draft.put(LEVEL, form.levels[-1] if form.level == LEVEL_APPLICATION else LEVEL_APPLICATION)
    elif key == KEY_BACK:
        at.terminal.apply([StepTakenBack()])


async def _go_on(at: "Recovery", form: Form) -> None:
    """What is lacking first; then all of it once more, to be signed and sent."""
    if form.lacks_statement:
        await _choose_statement(at)
        return
    if form.lacks_explanation:
        if await at.ask_within(explanation_page(at.texts)) != "1":
            return
        at.draft.toggle(MATERIALS, EXPLANATION)
        form = Form(at)
    if await at.ask_within(confirm_page(at, form)) == "1":
        await _send(at, form)


async def _send(at: "Recovery", form: Form) -> None:
    terminal = at.terminal
    further: dict[str, object] = {"materials": form.at_hand}
    sealed = await sealed_applicant(terminal, form.name, form.telephone, "\n".join(form.statement(at.texts)))
    if sealed:
        further["sealed"] = sealed
    # The next one is an application again, unless the merchant says otherwise.
    changes = [applied(terminal), (LEVEL, encode(LEVEL_APPLICATION))]
    terminal.apply([StepDone(STEP_APPLICATION, form.level)], changes=changes, application=further)


async def _enter_contact(at: "Recovery", form: Form) -> None:
    """Name, then telephone; each is kept as it is entered."""
    texts = at.texts
    name = await _enter(at, NAME, "contact.name", texts.get("contact.name.title"), form.name, TEXT, MAX_NAME)
    if name is None or not await _keep_contact(at, "contact_name", NAME, name):
        return
    title = texts.get("contact.telephone.title")
    telephone = await _enter(at, TELEPHONE, "contact.telephone", title, form.telephone, DIGITS_AND_SIGNS, MAX_LINE)
    if telephone is not None:
        await _keep_contact(at, "contact_phone", TELEPHONE, telephone)


async def _enter(at: "Recovery", key: str, name: str, title: str, value: str, characters: "dict[str, str]", longest: int) -> "str | None":
    """As `enter_text`, for that record of the draft: a power cut, or a person who goes away, loses next to nothing of what is typed."""
    half_typed = at.draft.half_typed(key)
    if half_typed is not None:
        value = half_typed
    typed = await enter_text(at.ui, at.left, name, title, value, characters, longest, keep=lambda text: at.draft.type_on(key, text))
    if typed is None and not at.left():
        at.draft.drop(key)
    return typed


async def _keep_contact(at: "Recovery", setting: str, key: str, value: str) -> bool:
    """As strict as the setting that it stands for. Raises StoreError."""
    try:
        at.settings.changes([[setting, value]])
    except SettingError:
        await at.ask_within(note_page(at.texts, at.texts.get("contact.wrong")))
        return False
    at.draft.put(key, value)
    return True


async def _choose_statement(at: "Recovery") -> None:
    """Ticked by their numbers until enter; each is kept at once."""
    first = 0
    while True:
        form = Form(at)
        names = sentences_of(at.terminal.state.reasons)
        page, keys = statement_page(at.texts, names, form, first)
        key = await at.ask_within(page, keys + (KEY_DONE,))
        if key == KEY_WORDS:
            words = await _enter(at, WORDS, "words", at.texts.get("words.title"), form.words, TEXT, MAX_WORDS)
            if words is not None:
                at.draft.put(WORDS, words)
        elif key in keys:
            name = names[first + int(key) - 1]
            if name in form.sentences or len(form.sentences) < MOST_SENTENCES:
                at.draft.toggle(SENTENCES, name)
        elif key == KEY_MORE:
            first = first + ENTRIES if first + ENTRIES < len(names) else 0
        else:
            return


# Pages.


def form_page(at: "Recovery", form: Form) -> Page:
    """In short: a small display scrolls it, a large one shows it at once."""
    texts, state = at.texts, at.terminal.state
    lines = []
    if state.review in (REVIEW_REJECTED, REVIEW_MORE_NEEDED):
        lines.append(texts.get("recovery.review.status", status=texts.get("review." + state.review)))
        if state.remark:
            lines.append(texts.get("recovery.review.remark", remark=state.remark))
    lines.append(texts.get("form.level", level=texts.get("level." + str(form.level))))
    if form.is_sealed:
        lines.append(texts.get("form.contact", contact=form.telephone or form.name or texts.get("form.none")))
        if form.lacks_statement:
            lines.append(texts.get("form.no_statement"))
        else:
            lines.append(texts.get("form.sentences", count=len(form.sentences) + bool(form.words)))
    else:
        lines.append(texts.get("form.not_sealed"))
    if form.missing:
        lines.append(texts.get("form.missing", count=len(form.missing)))
    keys = [ON, LATER] + ([CONTACT, STATEMENT] if form.is_sealed else [])
    name = "recovery." + STEP_APPLICATION
    choices = [(key, texts.get(name + ".choice." + key)) for key in keys]
    if len(form.levels) > 1:
        other = form.levels[-1] if form.level == LEVEL_APPLICATION else LEVEL_APPLICATION
        choices.append((OTHER_LEVEL, texts.get("level.choice." + str(other))))
    return Page(name, texts.get(name + ".title"), lines, choices, texts.get("hint.list"))


def confirm_page(at: "Recovery", form: Form) -> Page:
    """All that is sent, word for word; it scrolls."""
    texts, terminal = at.texts, at.terminal
    lines = [
        texts.get("recovery.application.what"),
        texts.get("form.level", level=texts.get("level." + str(form.level))),
        texts.get("recovery.contact.terminal", terminal=terminal.identity.terminal),
    ]
    for reason in terminal.state.reasons:
        lines.append(texts.get("recovery.contact.code", code=code_of(reason)))
        if reason.case:
            lines.append(texts.get("recovery.contact.case", case=reason.case))
    names = [texts.get("material." + str(number)) for number in form.at_hand]
    lines.append(texts.get("form.materials", materials=texts.get("list.and").join(names)))
    if form.is_sealed:
        lines.append(texts.get("form.encrypted"))
        lines.extend([line for line in (form.name, form.telephone) if line])
        lines.extend(form.statement(texts))
    choices = [("1", texts.get("confirm_form.choice.1"))]
    return Page("confirm_form", texts.get("confirm_form.title"), lines, choices, texts.get("hint.list"))


def statement_page(texts: "Texts", names: "list[str]", form: Form, first: int) -> "tuple[Page, tuple[str, ...]]":
    """The sentences with their marks, and the keys that tick them."""
    items = []
    for name in names:
        mark = texts.get("list.ticked" if name in form.sentences else "list.open")
        items.append(texts.get("statement.line", mark=mark, sentence=texts.get("statement." + name)))
    page, keys = list_page(texts, "statement", texts.get("statement.title"), items, first)
    page.choices = page.choices + ((KEY_WORDS, texts.get("statement.choice.0")),)
    page.footer = texts.get("hint.tick")
    page.stays = True
    return page, keys


def explanation_page(texts: "Texts") -> Page:
    choices = [("1", texts.get("explanation.choice.1")), ("2", texts.get("explanation.choice.2"))]
    return Page("explanation", texts.get("explanation.title"), [texts.get("explanation.text")], choices, texts.get("hint.list"), TONE_ALERT)


def note_page(texts: "Texts", text: str) -> Page:
    return Page("note", texts.get("note.title"), [text], [("1", texts.get("note.choice.1"))], texts.get("hint.back"))
