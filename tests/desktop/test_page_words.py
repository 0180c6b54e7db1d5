"""Whatever the page says it says in each of its languages: its own words, the terminal's, what the simulation's parts say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_agent.texts import LANGUAGES
from host_sim.boards import boards
from host_sim.desktop import server
from host_sim.desktop.choices import choices
from host_sim.desktop.inspector import _plain
from host_sim.scenarios.scenario import VERBS
from host_sim.terminal import facts_of
from tests.desktop import page_sentences
from tests.desktop.page_sentences import VALUE

STATIC = Path(server.__file__).parent / "static"
STRING = r'"(?:[^"\\]|\\.)*"'
ROW = re.compile(rf"\[\s*({STRING}),\s*({STRING}),?\s*\]")
HAN = re.compile("[\u4e00-\u9fff]")
SAME = {  # own words that are the same in both languages
    *("runtime.micropython", "runtime.cpython", "messages.bytes_at"),
    *("comma", "semicolon"),
}


def own_words() -> dict[str, tuple[str, str]]:
    text = (STATIC / "words.js").read_text(encoding="utf-8")
    rows = re.findall(rf"^  ({STRING}): \[\s*({STRING}),\s*({STRING}),?\s*\],$", text[text.index("const WORDS") :], re.M)
    return {json.loads(key): (json.loads(english), json.loads(chinese)) for key, english, chinese in rows}


def sentences() -> list[tuple[str, str]]:
    text = (STATIC / "sentences.js").read_text(encoding="utf-8")
    return [(json.loads(english), json.loads(chinese)) for english, chinese in ROW.findall(text)]


def patterns() -> list[re.Pattern[str]]:
    return [re.compile(re.sub(r"\\\{\w+\\\}", ".+?", re.escape(english))) for english, _ in sentences()]


def of_page() -> Iterator[tuple[str, str]]:
    for file in sorted(STATIC.glob("*.js")):
        yield file.name, file.read_text(encoding="utf-8")


def test_each_of_the_pages_own_words_is_there_in_each_language() -> None:
    words = own_words()
    declared = re.findall(rf"^  ({STRING}): \[", (STATIC / "words.js").read_text(encoding="utf-8"), re.M)
    assert len(words) == len(declared) > 200
    for key, (english, chinese) in words.items():
        assert english and not HAN.search(english), key
        assert key in SAME or HAN.search(chinese), f"{key} is not Chinese: {chinese}"
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", chinese)), key


def test_each_word_that_the_page_asks_for_exists() -> None:
    words = own_words()
    asked = {(name, key) for name, text in of_page() for key in re.findall(r"\bt\(\"([a-z_.]+)\"", text)}
    assert len(asked) > 100
    assert [(name, key) for name, key in asked if key not in words] == []


def test_each_sentence_is_there_once_and_its_chinese_has_the_same_values() -> None:
    rows = sentences()
    assert len(rows) == len({english for english, _ in rows}) > 200
    for english, chinese in rows:
        assert HAN.search(chinese), english
        assert set(re.findall(r"\{(\w+)\}", chinese)) <= set(re.findall(r"\{(\w+)\}", english)), english


@pytest.mark.parametrize("of", [page_sentences.said, page_sentences.summaries, page_sentences.meanings])
def test_whatever_a_part_of_the_simulation_says_has_its_chinese(of: page_sentences.Source) -> None:
    known = patterns()
    said = {_plain(sentence) for sentence in of()}
    said = {sentence for sentence in said if re.search("[a-z]{2}", sentence.replace(VALUE, ""))}
    assert len(said) >= 9
    assert sorted(sentence for sentence in said if not any(pattern.fullmatch(sentence) for pattern in known)) == []


def test_each_fault_and_habit_of_each_board_is_told_in_chinese() -> None:
    text = (STATIC / "fault_words.js").read_text(encoding="utf-8")
    rows = [re.compile(row) for row in re.findall(r"^  \[/(.+)/, \"", text, re.M)]
    named = set(re.findall(r"^    (\w+): \"|(?<=\{ )(\w+): \"", text, re.M))
    known = {name for pair in named for name in pair if name}
    missing = {name for name in page_sentences.faults() if name not in known and not any(row.fullmatch(name) for row in rows)}
    assert missing == set()


def test_each_choice_has_a_word_in_each_language() -> None:
    """Of what a form offers: a value's word is the page's or the terminal's."""
    words, told = own_words(), choices({"board": boards()[0], "runtime": "", "language": ""})
    assert set(told["texts"]) == set(LANGUAGES)
    for language in LANGUAGES:
        assert set(told["texts"][language]) == set(told["texts"][LANGUAGES[0]])
    of_terminal = told["texts"]["zh-CN"]
    order = VERBS["order"]
    assert isinstance(order, dict)
    assert [action for action in order["action"].allowed if f"value.{action}" not in words] == []
    assert [reason for reason in order["reason"].allowed if f"reason.{reason}" not in of_terminal] == []
    assert [plan for plan in order["plan"].allowed if f"value.{plan}" not in words] == []
    assert [about for about in told["notices"] if f"value.{about}" not in words] == []
    assert [card for card in told["cards"] if f"card.{card}" not in words] == []
    devices = {device for board in boards() for device in facts_of(board)["parts"]}
    assert [device for device in devices if f"device.{device}" not in {**words, **of_terminal}] == []
