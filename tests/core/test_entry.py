"""Typing on a keypad of digits: text by repeated presses, numbers at once, a choice from a long list."""

from firmware_agent.flows.entry import DIGITS, DIGITS_AND_SIGNS, KEEP_MS, NEXT_MS, TEXT, choose, enter_text
from tests.core.parts import Time, clock
from tests.core.person import KeyTexts


class Signs(KeyTexts):
    """The signs that stand among what is typed, as they are."""

    def get(self, key, **values):
        return {"activation.place": "_", "pin.dot": "●"}.get(key) or KeyTexts.get(self, key, **values)


class Person:
    """Presses these keys one after the other, each some time after the one before; then is gone. A number is a pause in ms."""

    def __init__(self, keys, texts):
        self.texts = texts
        self.time = Time()
        self.clock = clock(self.time)
        self.shown = []
        self._keys = list(keys)

    async def ask(self, page, outdated, further_keys=()):
        self.shown.append(page)
        while self._keys:
            key = self._keys.pop(0)
            if isinstance(key, int):
                self.time.now_ms += key
                continue
            self.time.now_ms += 100
            if key in further_keys or key in [choice[0] for choice in page.choices]:
                return key
        return ""


def never():
    return False


def typed(keys, texts, **how):
    person = Person(keys, texts)
    return Time().run(enter_text(person, never, "name", "Title", **how)), person.shown


def test_a_key_pressed_again_at_once_goes_on_to_its_next_character_and_round():
    texts = Signs()
    for keys, text in (
        (["2"], "A"),
        (["2"] * 4, "a"),
        (["2"] * 7, "2"),
        (["2"] * 8, "A"),
        (["2", NEXT_MS, "2"], "AA"),
        (["2", "3", "2"], "ADA"),
        (["7"] * 8 + ["0"] + ["9"], "s W"),
        (["2", "clear", "2"], "A"),
        (["2", "2", "clear", "3"], "D"),
        (["0", "2", "0"], "A"),  # no spaces around it
        (["1"] * 4, "_"),
        ([], ""),
    ):
        assert typed(keys + ["enter"], texts)[0] == text, keys


def test_each_printable_character_can_be_typed():
    given = "".join(TEXT.values())
    assert sorted(given) == [chr(code) for code in range(32, 127)]


def test_digits_wait_for_nothing_and_signs_are_on_the_help_key():
    texts = Signs()
    assert typed(list("0011223") + ["enter"], texts, characters=DIGITS)[0] == "0011223"
    assert typed(["help", "8", "6", "help", "help", "1", "1", "enter"], texts, characters=DIGITS_AND_SIGNS)[0] == "+86-11"
    assert typed(["1", "2", "3", "4", "clear", "5", "enter"], texts, characters=DIGITS, longest=3)[0] == "125"


def test_what_is_not_finished_by_enter_is_nothing():
    texts = Signs()
    assert typed(["2", "cancel"], texts, value="before")[0] is None
    assert typed(["2"], texts)[0] is None  # the page was out of date
    assert typed(["enter"], texts, value="before")[0] == "before"


def test_what_is_typed_stands_first_and_its_end_is_seen():
    texts = Signs()
    _, shown = typed(["2", "2"], texts, note="Say it.")
    assert [page.lines[0] for page in shown] == ["_", "A_", "B_"]
    assert "ABCabc2" in shown[1].lines[1] and "Say it." in shown[0].lines
    _, shown = typed([], texts, value="0123456789" * 6, longest=60)
    assert shown[0].lines[0] == "…" + "0123456789" * 4 + "_"
    _, shown = typed([], texts, value="店" * 30)
    assert shown[0].lines[0] == "…" + "店" * 20 + "_"


def test_a_secret_is_shown_as_dots_but_for_the_character_that_is_being_found():
    texts = Signs()
    text, shown = typed(["2", "3", "3", "enter"], texts, secret=True)
    assert text == "AE"
    assert [page.lines[0] for page in shown] == ["_", "A_", "●D_", "●E_"]
    _, shown = typed(["1", "2", "enter"], texts, secret=True, characters=DIGITS)
    assert [page.lines[0] for page in shown] == ["_", "●_", "●●_"]


def test_a_long_list_is_chosen_from_page_by_page():
    texts = Signs()
    items = ["item %d" % number for number in range(10)]
    for keys, place in (
        (["1"], 0),
        (["8"], 7),
        (["9", "2"], 9),
        (["9", "3", "1"], 8),  # there is no third on the last page
        (["9", "9", "2"], 1),
        (["cancel"], -1),
        ([], -1),
    ):
        assert Time().run(choose(Person(keys, texts), never, "list", "Title", items)) == place, keys
    assert Time().run(choose(Person(["9", "cancel"], texts), never, "list", "Title", items[:8])) == -1


class Idle(Person):
    """After the last key the page stands for a time, and then is out of date."""

    async def ask(self, page, outdated, further_keys=()):
        key = await Person.ask(self, page, outdated, further_keys)
        until_ms = self.time.now_ms + 2 * KEEP_MS
        while not key and self.time.now_ms < until_ms:
            self.time.now_ms += 100
            outdated()
        return key


def halves(keys, idle=True, **how):
    """What was handed on while those keys were pressed, with when."""
    person = (Idle if idle else Person)(keys, Signs())
    told = []
    Time().run(enter_text(person, never, "name", "Title", keep=lambda text: told.append((person.time.now_ms, text)), **how))
    return told


def test_what_is_typed_is_handed_on_every_few_seconds_and_its_end_though_no_key_follows():
    told = halves(list("23456789") * 12, characters=DIGITS, longest=100)  # a key every 100 ms, for 9600
    assert len(told) == 4 and told[-1][1] == "23456789" * 12
    for (before_ms, before), (now_ms, now) in zip(told, told[1:]):
        assert now_ms - before_ms >= KEEP_MS and now.startswith(before) and now != before
    assert halves(["2"])[-1][1] == "A"


def test_what_has_not_changed_is_not_handed_on_and_what_is_left_is():
    assert halves([], value="as it was") == []
    assert halves(["2", "clear"]) == []
    assert [text for _, text in halves(["2"], idle=False)] == ["A"]  # the page gave way before
    assert halves(["2", "enter"]) == [] and halves(["2", "cancel"]) == []  # the caller has it, or nobody wants it
