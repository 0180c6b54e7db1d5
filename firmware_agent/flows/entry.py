"""What a person types on a keypad of digits: text by repeated presses, as on telephones, numbers at once, and a choice from a long list."""

from firmware_agent.flows.ui import KEY_BACK as KEY_BACK
from firmware_agent.screens.page import Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from firmware_agent.flows.ui import Ui
    from firmware_agent.texts import Texts
    from hal.clock import Clock

NEXT_MS = 1000  # a key pressed again within this goes on to its next character
KEEP_MS = 3000  # what is being typed is kept no more often than that: the flash wears

# What each key gives, in the order of its presses. A key of one character waits for nothing.
DIGITS = {"0": "0", "1": "1", "2": "2", "3": "3", "4": "4", "5": "5", "6": "6", "7": "7", "8": "8", "9": "9"}
DIGITS_AND_SIGNS = dict(DIGITS)  # telephone numbers, addresses
DIGITS_AND_SIGNS["help"] = "+-. ():/"
TEXT = {
    "0": " 0",
    "1": ".,-_@/:;!?1'\"()&+*#=%$<>[]{}\\|^~`",
    "2": "ABCabc2",
    "3": "DEFdef3",
    "4": "GHIghi4",
    "5": "JKLjkl5",
    "6": "MNOmno6",
    "7": "PQRSpqrs7",
    "8": "TUVtuv8",
    "9": "WXYZwxyz9",
}

SHOWN = 40  # narrow characters of what is typed, its end: a small display has room for them

ENTRIES = 8  # of a list on one page; the next key brings more
KEY_MORE = "9"


async def enter_text(
    ui: "Ui",
    outdated: "Callable[[], bool]",
    name: str,
    title: str,
    value: str = "",
    characters: "dict[str, str]" = TEXT,
    longest: int = 40,
    secret: bool = False,
    note: str = "",
    keep: "Callable[[str], None] | None" = None,
) -> "str | None":
    """The text when enter is pressed, spaces around it removed unless it is secret; None when it is cancelled, or out of date before.

    value: to begin with; characters: what each key gives; secret: shown as dots; note: a sentence on what is to be typed; keep: is told
    now and then what is typed so far, at the latest KEEP_MS after the last key, and where it is out of date before.
    """
    typed = value[:longest]
    halves = _Halves(ui.clock, keep, typed)

    def over() -> bool:
        halves.look(typed)
        return outdated()

    keys = tuple(characters) + ("enter", "clear", KEY_BACK)
    last, last_ms = "", 0  # the key that may go on to its next character, and when it was pressed
    while True:
        page = entry_page(ui.texts, name, title, typed, characters, last, secret, note)
        key = await ui.ask(page, over, keys)
        if key == "enter":
            return typed if secret else typed.strip()
        if key in ("", KEY_BACK):
            if not key:
                halves.settle(typed)
            return None
        halves.look(typed)
        now_ms = ui.clock.monotonic_ms()
        if key == "clear":
            typed, last = typed[:-1], ""
            continue
        of_key = characters[key]
        if key == last and now_ms - last_ms < NEXT_MS:
            typed = typed[:-1] + of_key[(of_key.index(typed[-1]) + 1) % len(of_key)]
        elif len(typed) < longest:
            typed += of_key[0]
        else:
            last = ""
            continue
        last, last_ms = key if len(of_key) > 1 else "", now_ms


class _Halves:
    """Hands on what is half typed, when it has changed and enough time has passed."""

    def __init__(self, clock: "Clock", keep: "Callable[[str], None] | None", typed: str) -> None:
        self._clock = clock
        self._keep = keep
        self._kept = typed
        self._kept_ms = clock.monotonic_ms()

    def look(self, typed: str) -> None:
        if self._clock.monotonic_ms() - self._kept_ms >= KEEP_MS:
            self.settle(typed)

    def settle(self, typed: str) -> None:
        if self._keep is not None and typed != self._kept:
            self._keep(typed)
            self._kept, self._kept_ms = typed, self._clock.monotonic_ms()


def entry_page(
    texts: "Texts",
    name: str,
    title: str,
    typed: str,
    characters: "dict[str, str]",
    last: str = "",
    secret: bool = False,
    note: str = "",
) -> Page:
    """What is typed so far first, so that a small display shows it. last: the key whose characters are being gone through, or ''."""
    shown = typed
    if secret:
        open_last = typed[-1:] if last else ""  # which of its characters a key has come to, nobody can guess
        shown = texts.get("pin.dot") * (len(typed) - len(open_last)) + open_last
    lines = [_end_of(shown) + texts.get("activation.place")]
    if last:
        lines.append(texts.get("entry.key", characters=characters[last].replace(" ", texts.get("entry.space"))))
    if note:
        lines.append(note)
    if characters is TEXT:
        lines.append(texts.get("entry.how"))
    elif "help" in characters:
        lines.append(texts.get("entry.signs", characters=characters["help"].replace(" ", texts.get("entry.space"))))
    return Page(name, title, lines, footer=texts.get("hint.entry"))


def _end_of(text: str) -> str:
    """As much of its end as is shown; a character that is not ASCII is as wide as two."""
    room = SHOWN
    first = len(text)
    while first > 0 and room > 0:
        first -= 1
        room -= 1 if text[first] < "\x7f" else 2
    return text[first:] if first == 0 else "…" + text[first:]


async def choose(ui: "Ui", outdated: "Callable[[], bool]", name: str, title: str, items: "list[str]") -> int:
    """The place of what was chosen in a list of any length; -1 where it is left without a choice, or out of date before."""
    first = 0
    while True:
        page, keys = list_page(ui.texts, name, title, items, first)
        key = await ui.ask(page, outdated, keys + (KEY_BACK,))
        if key in keys:
            return first + int(key) - 1
        if key != KEY_MORE:
            return -1
        first = (first + ENTRIES) if first + ENTRIES < len(items) else 0


def list_page(texts: "Texts", name: str, title: str, items: "list[str]", first: int) -> "tuple[Page, tuple[str, ...]]":
    """A page of a numbered list, and the keys that mean something on it. items: 'left\\tright'; first: the first one shown."""
    shown = items[first : first + ENTRIES]
    lines = ["%d %s" % (number + 1, item) for number, item in enumerate(shown)]
    keys = tuple([str(number + 1) for number in range(len(shown))])
    choices = []
    if len(items) > ENTRIES:
        choices.append((KEY_MORE, texts.get("list.more")))
    return Page(name, title, lines, choices, texts.get("hint.list")), keys
