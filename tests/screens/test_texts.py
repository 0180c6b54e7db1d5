"""The texts, and the validator that finds each kind of defect in them."""

import re

import pytest

from firmware_agent.flows.recovery.application_flow import MAX_WORDS, MOST_SENTENCES, STATEMENTS
from firmware_agent.messages.sealed import MAX_PLAIN
from firmware_agent.screens.font import Font
from firmware_agent.screens.page import Page
from firmware_agent.settings import MAX_LINE, MAX_NAME
from firmware_agent.state.reasons import REASON_KINDS
from firmware_agent.texts import LANGUAGES, Texts, load
from hal.hal import KINDS
from tools import check_texts
from tools import texts as texts_tool
from tools.check_texts import (
    glyph_defects,
    language_defects,
    misfits,
    page_defects,
    size_defects,
    use_defects,
    waiting_defects,
    word_defects,
)
from tools.sample_terminal import boards_with_display

NO_KEYS: frozenset[str] = frozenset()


@pytest.fixture
def font():
    opened = Font()
    yield opened
    opened.close()


def used(source: str, table: dict[str, str], computed: dict[str, tuple[str, ...]] | None = None) -> list[str]:
    return list(use_defects(table, {"flow.py": source}, computed or {}, NO_KEYS))


def test_the_tree_has_no_defect():
    assert check_texts.defects() == []


def test_the_command_prints_each_defect_and_exits_1(monkeypatch, capsys):
    with monkeypatch.context() as sound:
        sound.setattr(check_texts, "defects", list)
        assert check_texts.main([]) == 0
    monkeypatch.setattr(check_texts, "TABLES", {"en": {"idle.title": "In service"}, "zh-CN": {}})
    assert check_texts.main([]) == 1
    assert "idle.title: missing in zh-CN\n" in capsys.readouterr().err


def test_a_key_that_one_language_lacks_is_found():
    assert list(language_defects({"en": {"a": "x", "b": "y"}, "zh-CN": {"a": "x"}})) == ["b: missing in zh-CN"]
    assert list(language_defects({"en": {}, "zh-CN": {"a": "x"}})) == ["a: missing in en"]


def test_placeholders_that_differ_are_found():
    defects = list(language_defects({"en": {"a": "%(since)s"}, "zh-CN": {"a": "%(until)s"}}))
    assert defects == ["a: zh-CN has the placeholders ['until'], en has ['since']"]


@pytest.mark.parametrize("text", ["50% off", "%(since)d", "%s", "%(since"])
def test_a_stray_percent_sign_is_found(text):
    assert list(language_defects({"en": {"a": text}})) == ["a: stray % in en"]


def test_an_escaped_percent_sign_is_none():
    assert list(language_defects({"en": {"a": "50%% since %(since)s"}})) == []


def test_an_unused_key_is_found():
    assert used("texts.get('a.b')", {"a.b": "x", "a.c": "y"}) == ["a.c: unused"]


def test_a_key_in_a_table_or_a_condition_is_used():
    assert used("K = ('a.b',)\ntexts.get('a.c' if on else 'a.d')", {"a.b": "", "a.c": "", "a.d": ""}) == []


def test_a_key_that_is_put_together_is_used():
    assert used("texts.get('r.' + code)", {"r.x": "", "r.y": ""}, {"r.": ("x", "y")}) == []


def test_a_declared_prefix_that_no_code_uses_does_not_hide_its_keys():
    assert used("pass", {"r.x": ""}, {"r.": ("x",)}) == ["r.x: unused"]


def test_a_prefix_that_is_not_declared_is_found():
    assert "flow.py:1: the prefix 'r.' is not declared in COMPUTED" in used("texts.get('r.' + code)", {"r.x": ""})


def test_a_key_that_is_put_together_and_has_no_text_is_found():
    assert used("texts.get('r.' + code)", {"r.x": ""}, {"r.": ("x", "y")}) == ["r.y: put together in the code, and there is no such text"]


@pytest.mark.parametrize("owner", ["texts", "self.texts", "self._texts", "ui.texts"])
def test_a_key_without_text_is_found(owner):
    assert used(f"{owner}.get('a.x')", {}) == ["flow.py:1: no text 'a.x'"]


def test_gets_of_other_things_are_no_texts():
    assert used("settings.get('a.x')\nself.table['k'].get('a.y')", {}) == []


def test_values_that_do_not_match_the_placeholders_are_found():
    table = {"a.b": "%(since)s"}
    assert used("texts.get('a.b')", table) == ["flow.py:1: a.b needs the values ['since']"]
    assert used("texts.get('a.b', until=1)", table) == ["flow.py:1: a.b needs the values ['since']"]
    assert used("texts.get('a.b', since=1)", table) == []


def test_a_text_listed_as_not_yet_shown_must_exist_and_be_unused():
    assert list(use_defects({"a.b": ""}, {"flow.py": "texts.get('a.b')"}, {}, frozenset({"a.b", "a.c"}))) == [
        "a.b: listed as not yet shown, but it is used",
        "a.c: listed as not yet shown, but it is no text",
    ]


def test_a_character_without_glyph_is_found(font):
    assert list(glyph_defects({"zh-CN": {"a": "终端龘é"}}, font)) == ["a: no glyph in zh-CN for é 龘"]
    assert list(glyph_defects({"en": {"a": "x\ty\nz"}}, font)) == []


def test_a_title_a_choice_and_a_hint_of_more_than_one_row_are_found(font):
    table = {"a.title": "t" * 39, "a.choice.1": "c" * 37, "hint.x": "h" * 39}
    assert [defect.split(" is ")[0] for defect in size_defects({"en": table}, font)] == [
        "en: a.title: title",
        "en: a.choice.1: choice 1",
        "en: hint.x: footer",
    ]
    fitting = {"a.title": "t" * 38, "a.choice.1": "c" * 36, "hint.x": "h" * 38}
    assert list(size_defects({"en": fitting}, font)) == []


def test_a_text_of_too_many_rows_is_found(font):
    assert list(size_defects({"en": {"a.b": "w" * 38 * 3}}, font)) == []
    assert list(size_defects({"en": {"a.b": "w" * 38 * 3 + "w"}}, font)) == ["en: a.b: 4 rows, 3 are meant for one text"]


def test_a_placeholder_whose_longest_value_is_unknown_is_found(font):
    assert list(size_defects({"en": {"a.b": "%(colour)s"}}, font)) == ["a.b: no longest value is known for ['colour']"]


def test_a_page_that_does_not_fit_is_found(font):
    assert list(page_defects([Page("p", "T", ["x"] * 15)], font, 320, 240)) == ["p: 16 rows on a display of 15"]
    assert list(page_defects([Page("p", "T", ["x"] * 14)], font, 320, 240)) == []


def test_a_small_display_may_scroll_but_not_for_ever(font):
    """Each window but the first brings three new rows of four."""
    assert list(misfits(Page("p", "T", ["x"] * 36), 128, 64, font)) == []
    assert list(misfits(Page("p", "T", ["x"] * 37), 128, 64, font)) == ["p: 38 rows on a display of 4"]


def test_what_a_person_signs_is_read_as_far_as_it_goes(font):
    page = Page("confirm_form", "T", ["x"] * 60)
    assert list(misfits(page, 128, 64, font)) == list(misfits(page, 320, 240, font)) == []


def test_a_title_or_a_choice_that_fills_a_small_display_is_found(font):
    long = " ".join(["w" * 10] * 4)
    told = list(misfits(Page("p", long, [], [("1", long)], long), 128, 64, font))
    assert [sentence.split(" is ")[0] for sentence in told] == ["p: title", "p: choice 1"]


def test_pages_that_take_many_windows_of_a_small_display_are_listed(monkeypatch, capsys):
    pages = [Page("long", "T", ["x"] * 30), Page("long", "T", ["x"] * 33), Page("short", "T", ["x"] * 18)]
    monkeypatch.setattr(check_texts, "fullest_pages", lambda scene, texts: pages)
    assert check_texts.main(["--scrolled"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [f" 11 windows: long on esp32_mpos, {language}" for language in ("en", "zh-CN")] + [
        line for line in told if "esp32_mpos" not in line
    ]
    assert not any("short on esp32_mpos" in line for line in told)


def test_a_word_that_a_small_display_breaks_is_found(font):
    table = {"a.b": "x" * 15 + " %(a_placeholder_that_is_long)s", "a.c": "y" * 14, "a.d": "字" * 20, "slip.x": "z" * 20}
    assert list(word_defects({"en": table}, font, 128)) == [f"en: a.b: {'x' * 15!r} is wider than a display of 128 px"]
    assert list(word_defects({"en": table}, font, 320)) == []


class Written(Texts):
    """Texts that are in no file."""

    def __init__(self, texts):
        super().__init__("en")
        self._texts = texts

    def _text(self, key):
        return self._texts.get(key)


def test_a_page_that_nobody_scrolls_has_to_be_seen_at_once(font):
    hold = "Please hold a card to the reader for as long as it takes. No money moves."
    texts = Written({"exam.card_reader.hold.title": "Test", "exam.card_reader.hold": hold})
    told = list(waiting_defects(texts, ["card_reader"], font, 128, 64))
    assert told == ["exam.card_reader.hold: 7 rows on a display of 4, and it does not scroll"]
    assert list(waiting_defects(texts, ["card_reader"], font, 320, 240)) == []
    assert list(waiting_defects(texts, [], font, 128, 64)) == []


def test_the_display_of_each_board_is_checked():
    assert {"esp32_mpos", "esp32s3_counter", "linux_terminal"} <= set(boards_with_display())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_its_name_and_its_remedy_and_every_device_its_name(language):
    texts = load(language)
    for kind in REASON_KINDS:
        assert texts.get("reason." + kind.code)
        assert texts.get("todo." + kind.code)
    for name in KINDS:
        assert texts.get("device." + name)


def test_values_are_filled_in():
    assert load("en").get("suspended.since", since="2026-11-20 09:00") == "Since: 2026-11-20 09:00"
    assert load("zh-CN").get("idle.terminal", terminal="100%") == "终端号：100%"


def test_a_missing_key_is_named():
    with pytest.raises(KeyError, match="no.such.key"):
        load("en").get("no.such.key")


def test_a_missing_value_is_named():
    with pytest.raises(KeyError, match="since"):
        load("en").get("suspended.since")


def test_a_language_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="fr"):
        load("fr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_found_where_it_lies_and_nothing_else(language):
    texts = load(language)
    for key, text in check_texts.TABLES[language].items():
        values = dict.fromkeys(re.findall(r"%\((\w+)\)", text), 7)
        assert texts.get(key, **values) == text % values
        for other in (key[:-1] + "~", key + "\t"):
            with pytest.raises(KeyError, match=re.escape(repr(other))):
                texts.get(other)
    for other in ("", " ", "a", "~", "zzz", next(iter(check_texts.TABLES[language]))[:-1]):
        with pytest.raises(KeyError, match=re.escape(repr(other))):
            texts.get(other)
    texts.close()


def test_a_file_of_texts_that_is_not_in_order_is_told_with_the_key(tmp_path, monkeypatch):
    monkeypatch.setattr(texts_tool, "FOLDER", tmp_path)
    (tmp_path / "en.txt").write_text("b\tB\na\tA\na\tAgain\n", encoding="utf-8")
    assert [line.split(":")[1].split()[0] for line in texts_tool.disorder("en")] == ["a", "a"]
    texts_tool.put_in_order("en")
    assert [line.split(":")[1] for line in texts_tool.disorder("en")] == [" a is there twice"]


def test_the_longest_statement_can_be_sealed():
    for table in check_texts.TABLES.values():
        sentences = [f"statement.{code}.{number + 1}" for code, count in STATEMENTS.items() for number in range(count)]
        sizes = sorted(len(table[key].encode()) for key in sentences)
        # A name in Chinese takes three bytes a character; a line ends each sentence; the map, 16.
        most = sum(sizes[-MOST_SENTENCES:]) + MOST_SENTENCES + MAX_WORDS + 3 * MAX_NAME + MAX_LINE + 16
        assert most <= MAX_PLAIN
