"""docs/simulation.md describes every verb, card, hostile order and fault that there is, as it is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from boards.esp32s3_counter import board
from host_sim.bench import Bench
from host_sim.buses import I2cBus, SpiBus, UartLine
from host_sim.chips.flash import Flash
from host_sim.scenario import CARDS, HOSTILE, VERBS, Argument, load
from host_sim.story import REFUSAL_OF

DOCUMENT = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
PARTS = board.facts()["parts"]
BENCH = Bench(board.facts())
FAULTS = {f"{kind}: {PARTS[kind]['part']}": chip.FAULTS for kind, chip in BENCH.chips.items()}
FAULTS |= {"wires: i2c": I2cBus.FAULTS, "wires: spi": SpiBus.FAULTS, "wires: uart": UartLine.FAULTS, "flash": Flash.FAULTS}


def rows(head: str, text: str = DOCUMENT) -> list[tuple[str, ...]]:
    """The rows of the first table whose head begins with these cells."""
    match = re.search(rf"^\| {re.escape(head)} .*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert match is not None, f"no table that begins with '| {head} |'"
    return [tuple(cell.strip() for cell in line.strip().strip("|").split(" | ")) for line in match[1].splitlines()]


def section(heading: str) -> str:
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no section {heading!r}"
    return match[1]


def code(cell: str) -> str:
    assert cell.startswith("`") and cell.endswith("`"), cell
    return cell.strip("`")


def described(takes: None | Argument | dict[str, Argument]) -> str:
    """An argument as the table has it."""
    if takes is None:
        return "none"
    if isinstance(takes, dict):
        return "; ".join(f"`{name}`{' (optional)' if value.optional else ''}: {described(value)}" for name, value in takes.items())
    if takes.number:
        return "whole number"
    return ", ".join(f"`{value}`" for value in takes.allowed) or "text"


def test_every_verb_is_described_and_nothing_else_is() -> None:
    assert [code(row[0]) for row in rows("verb |")] == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_argument_is_described_as_it_is_read(verb: str) -> None:
    row = next(row for row in rows("verb |") if code(row[0]) == verb)
    assert row[1] == described(VERBS[verb])


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_example_is_a_step_of_a_scenario(verb: str, tmp_path: Path) -> None:
    row = next(row for row in rows("verb |") if code(row[0]) == verb)
    file = tmp_path / "example.yaml"
    file.write_text(f"scenario: an example\nsteps:\n  {code(row[3])}\n", encoding="utf-8")
    (step,) = load(file).steps
    assert step.verb == verb


def test_the_scenario_in_the_text_can_be_loaded(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    file = tmp_path / "example.yaml"
    file.write_text(text, encoding="utf-8")
    assert load(file).language == "en"


def test_the_cards_are_described() -> None:
    assert [code(row[0]) for row in rows("card |")] == list(CARDS)


def test_the_hostile_orders_are_described_with_what_they_are_refused_as() -> None:
    assert {code(row[0]): code(row[2]) for row in rows("order |")} == REFUSAL_OF
    assert [code(row[0]) for row in rows("order |")] == list(HOSTILE)


def test_every_back_face_has_what_the_text_says() -> None:
    for kind, names in rows("device |"):
        chip = BENCH.chips[code(kind)]
        for name in re.findall(r"`(\w+)", names):
            assert hasattr(chip, name), f"{kind} has no {name}"
    assert {code(row[0]) for row in rows("device |")} == set(BENCH.chips)


@pytest.mark.parametrize("heading", [heading for heading in FAULTS if not heading.startswith("keypad")])
def test_the_faults_are_described_as_the_model_tells_them(heading: str) -> None:
    told = {code(name): text for name, text in rows("fault |", section(heading))}
    assert told == FAULTS[heading]


def test_the_faults_of_the_keypad_are_described_for_any_key() -> None:
    """Its model makes them for the matrix at hand."""
    keypad = PARTS["keypad"]
    told = set()
    for name, _ in rows("fault |", section("keypad: matrix_keypad")):
        line = "rows" if "row_" in name else "columns"
        for key in (key for row in keypad["keys"] for key in row):
            for number in range(1, len(keypad[line]) + 1):
                told.add(code(name).replace("<key>", key).replace("<number>", str(number)))
    assert told == set(FAULTS["keypad: matrix_keypad"])


def test_no_section_describes_faults_of_a_chip_that_is_not_there() -> None:
    broken = DOCUMENT.split("## What can be broken\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^### (.*)$", broken, re.MULTILINE)) == set(FAULTS)
