"""The step `materials`: the list for these reasons and this merchant, ticked off one by one. The documents themselves are photographed by
telephone; the terminal gives the reference under which they are handed in.
"""

from firmware_agent.application.draft import MATERIALS, REPLACED, Draft
from firmware_agent.application.materials import AUTOMATIC, IF_ANY, asks_for_replacement, missing, needed
from firmware_agent.flows.recovery.recovery_flow import reference_of
from firmware_agent.flows.ui import KEY_BACK
from firmware_agent.screens.page import TONE_ALERT, Page
from firmware_agent.state.machine import STEP_MATERIALS, StepDone, StepTakenBack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.flows.recovery.recovery_flow import Recovery
    from firmware_agent.settings import Settings
    from firmware_agent.terminal import Terminal
    from firmware_agent.texts import Texts

    Needed = list[tuple[int, str]]

KEY_LIST = "0"  # the list on paper, or its code on the display
KEY_DONE = "enter"
REPAIR, REPLACEMENT = 1, 2  # what is to become of a broken device, as the draft has it


def materials_of(terminal: "Terminal", settings: "Settings", appeal: bool = False) -> "Needed":
    """(number, need) of each, for this application."""
    replaced = Draft(terminal).number(REPLACED) == REPLACEMENT
    return needed(terminal.state.reasons, settings.get("merchant_kind"), replaced, appeal)


def ticked_of(terminal: "Terminal") -> "list[int]":
    return [number for number in Draft(terminal).items(MATERIALS) if isinstance(number, int)]


def missing_of(terminal: "Terminal", settings: "Settings", appeal: bool = False) -> "list[int]":
    """Numbers of those that are required and not ticked."""
    return missing(materials_of(terminal, settings, appeal), ticked_of(terminal))


async def materials_step(at: "Recovery") -> None:
    """One page of it. Raises StoreError."""
    broken = asks_for_replacement(at.terminal.state.reasons)
    fate = at.draft.number(REPLACED)
    if broken and (not fate or not _keys(materials_of(at.terminal, at.settings))):
        await _ask_fate(at)
        return
    materials = materials_of(at.terminal, at.settings)
    note = ""
    while True:
        page = materials_page(at.texts, materials, ticked_of(at.terminal), at.ui.slips is not None, note)
        key = await at.ask(page, _keys(materials) + (KEY_DONE,))
        note = ""
        if key in _keys(materials):
            at.draft.toggle(MATERIALS, int(key))
        elif key == KEY_LIST:
            note = await _hand_out(at, materials)
        elif key == KEY_DONE:
            lacking = missing(materials, ticked_of(at.terminal))
            answer = await at.ask_within(missing_page(at.texts, lacking)) if lacking else "2"
            if answer == "2":
                _done(at, lacking)
            if answer in ("2", ""):
                return
        else:
            if key == KEY_BACK and broken:
                at.draft.put(REPLACED, 0)  # back to that question
            elif key == KEY_BACK:
                at.terminal.apply([StepTakenBack()])
            return


async def _ask_fate(at: "Recovery") -> None:
    """Nobody asks for papers when a device is repaired: whether it is replaced instead, the merchant knows from the technician."""
    key = await at.ask(fate_page(at.texts))
    if key == KEY_BACK:
        at.terminal.apply([StepTakenBack()])
    elif key:
        at.draft.put(REPLACED, int(key))
        if not _keys(materials_of(at.terminal, at.settings)):
            _done(at, [])


def _done(at: "Recovery", lacking: "list[int]") -> None:
    """What is not at hand holds nobody back: it can be handed in later, and the acquirer may do without it. He is told what there is."""
    at.terminal.apply([StepDone(STEP_MATERIALS)], facts=[["materials", ticked_of(at.terminal), lacking]])


def _keys(materials: "Needed") -> "tuple[str, ...]":
    """A material's key is its number."""
    return tuple([str(number) for number, need in materials if need != AUTOMATIC])


async def _hand_out(at: "Recovery", materials: "Needed") -> str:
    """On paper with the code of the reference, or that code on the display; gives what a person has to know of it, or ''."""
    from firmware_agent.flows.handout import print_slip, show_code

    texts = at.texts
    reference = reference_of(at.terminal)
    if at.ui.slips is None:
        return await show_code(at.terminal, at.ui, reference, at.left)
    lines = [texts.get("slip.terminal", terminal=at.terminal.identity.terminal), texts.get("materials.reference", reference=reference), ""]
    lines.extend(material_lines(texts, materials, ticked_of(at.terminal)))
    lines.extend(["", texts.get("materials.photograph")])
    return await print_slip(at.terminal, at.ui, texts.get("materials.slip"), lines, reference, texts.get("materials.code"))


def materials_page(texts: "Texts", materials: "Needed", ticked: "list[int]", has_printer: bool, note: str = "") -> Page:
    name = "recovery." + STEP_MATERIALS
    lines = material_lines(texts, materials, ticked)
    if note:
        lines.insert(0, note)
    choices = [(KEY_LIST, texts.get("materials.choice.print" if has_printer else "materials.choice.code"))]
    return Page(name, texts.get(name + ".title"), lines, choices, texts.get("hint.tick"), stays=True)


def material_lines(texts: "Texts", materials: "Needed", ticked: "list[int]") -> "list[str]":
    """A line each: its number, whether it is there, what it is."""
    lines = []
    for number, need in materials:
        mark = texts.get("list.ticked" if number in ticked or need == AUTOMATIC else "list.open")
        name = texts.get("material." + str(number))
        if need == IF_ANY:
            name = texts.get("material.if_any", material=name)
        lines.append(texts.get("materials.line", number=number, mark=mark, material=name))
    return lines


def missing_lines(texts: "Texts", lacking: "list[int]") -> "list[str]":
    """What is still missing, by name; none where nothing is."""
    names = [texts.get("material." + str(number)) for number in lacking]
    return [texts.get("materials.missing", materials=texts.get("list.and").join(names))] if names else []


def missing_page(texts: "Texts", lacking: "list[int]") -> Page:
    lines = missing_lines(texts, lacking) + [texts.get("materials.later")]
    choices = [("1", texts.get("materials.choice.1")), ("2", texts.get("materials.choice.2"))]
    return Page("materials.lacking", texts.get("materials.title"), lines, choices, texts.get("hint.list"), TONE_ALERT)


def fate_page(texts: "Texts") -> Page:
    choices = [("1", texts.get("fate.choice.1")), ("2", texts.get("fate.choice.2"))]
    return Page("fate", texts.get("fate.title"), [texts.get("fate.text")], choices, texts.get("hint.list"))
