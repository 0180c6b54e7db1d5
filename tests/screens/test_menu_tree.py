"""The menu as data: each entry opens something that is there, with what it takes, and the document that lists them is current."""

from __future__ import annotations

import inspect

import pytest

from firmware_agent.flows.menu.menu import MENU, TECHNICIAN, Entry, Visit, load
from firmware_agent.texts import LANGUAGES
from firmware_agent.texts import load as texts_of
from tools import build_menu_tree

ENTRIES = [*MENU, *TECHNICIAN]


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.flow], ids=lambda entry: entry.text)
def test_each_entry_opens_a_flow_that_takes_what_it_is_called_with(entry: Entry) -> None:
    flow = load(entry)
    assert inspect.iscoroutinefunction(flow)
    inspect.signature(flow).bind(*(entry.takes or ("visit",)))
    assert list(inspect.signature(flow).parameters)[: len(entry.takes)] == list(entry.takes)
    made = vars(Visit)
    assert all(name in made or f"self.{name} = " in inspect.getsource(Visit) for name in entry.takes)


def test_no_key_means_two_things_and_each_has_words() -> None:
    for entries in (MENU, TECHNICIAN):
        keys = [entry.key for entry in entries]
        assert len(set(keys)) == len(keys)
    for language in LANGUAGES:
        texts = texts_of(language)
        assert all(texts.get(entry.text) for entry in ENTRIES)


def test_what_only_a_technician_may_do_needs_one() -> None:
    assert all("signed_on" in entry.needs for entry in TECHNICIAN)


def test_the_document_is_current() -> None:
    assert build_menu_tree.DOCUMENT.read_text(encoding="utf-8") == build_menu_tree.document()
