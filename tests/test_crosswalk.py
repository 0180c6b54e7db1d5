"""docs/crosswalk.md: each of our words that others have a word for stands there, and none that is not ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from firmware_agent.messages.schema import KINDS
from firmware_agent.orders import ACTIONS
from firmware_agent.selftest.phases import OUTCOMES
from firmware_agent.state.machine import MODES
from firmware_agent.state.reasons import REASON_KINDS

PAGE = Path(__file__).parent.parent / "docs" / "crosswalk.md"
OURS = {
    "Why a terminal is suspended": [kind.code for kind in REASON_KINDS],
    "Where a terminal stands": list(MODES),
    "Messages": [kind.name for kind in KINDS],
    "Orders": [action for action, _ in ACTIONS],
    "Results of a self-test": list(OUTCOMES),
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("heading", OURS)
def test_each_word_has_its_row_and_no_row_is_of_a_word_that_is_not_ours(heading: str) -> None:
    assert sorted(row[0].strip("`") for row in rows(heading)) == sorted(OURS[heading])


@pytest.mark.parametrize("heading", OURS)
def test_each_row_says_something_in_every_cell(heading: str) -> None:
    width = len(rows(heading)[0])
    assert all(len(row) == width and all(row) for row in rows(heading))


def test_the_component_status_words_are_those_of_iso_20022() -> None:
    words = {word for row in rows("Where a terminal stands") for word in re.findall(r"`([A-Z]{4})`", row[1])}
    assert words == {"OPER", "WAIT", "OUTD", "DACT"}
