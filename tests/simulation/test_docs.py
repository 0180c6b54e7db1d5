"""docs/simulation.md describes every verb, card, hostile order and fault that there is, as it is, and nothing else."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from boards.esp32s3_counter import board
from host_sim.bench import WIRING, Bench
from host_sim.buses import I2cBus, SpiBus, UartLine
from host_sim.chips.atecc608 import Atecc608Chip
from host_sim.chips.buzzer import BuzzerChip
from host_sim.chips.ds3231 import Ds3231Chip
from host_sim.chips.escpos_printer import EscposPrinterChip
from host_sim.chips.faces import Fault
from host_sim.chips.flash import FlashChip
from host_sim.chips.key_matrix import KeyMatrixChip
from host_sim.chips.pn532 import Pn532Core
from host_sim.chips.serial_scanner import SerialScannerChip
from host_sim.chips.ssd1306 import Ssd1306Chip
from host_sim.chips.st7789 import St7789Chip
from host_sim.chips.wifi import WifiChip
from host_sim.firmware import Image
from host_sim.linux.disk import Disk
from host_sim.linux.input_device import KEYS, KeypadDevice
from host_sim.linux.machine import MODELS as LINUX_MODELS
from host_sim.linux.names import Names
from host_sim.mishaps import Power, Program
from host_sim.payment_host import PaymentHost
from host_sim.scenarios.actions import REFUSAL_OF
from host_sim.scenarios.scenario import CARDS, HOSTILE, VERBS, Argument, load
from host_sim.uplink import Uplink
from tests.hal import wired

DOCUMENT = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text(encoding="utf-8")
PARTS = board.facts()["parts"]
BENCH = Bench(board.facts())
KEYPAD = BENCH.chips["keypad"]  # its model makes faults for the matrix at hand
MODELS: dict[str, Any] = {
    "storage: file_storage": FlashChip,
    "display: st7789": St7789Chip,
    "display: ssd1306": Ssd1306Chip,
    "keypad: matrix_keypad": KeyMatrixChip,
    "printer: escpos": EscposPrinterChip,
    "card_reader: pn532": Pn532Core,
    "scanner: serial_scanner": SerialScannerChip,
    "secure_element: atecc608": Atecc608Chip,
    "clock: ds3231": Ds3231Chip,
    "sounder: buzzer": BuzzerChip,
    "network: wlan": WifiChip,
    "power": Power,
    "program": Program,
    "firmware": Image,
    "uplink": Uplink,
    "payment": PaymentHost,
    "wires: i2c": I2cBus,
    "wires: spi": SpiBus,
    "wires: uart": UartLine,
}


LINUX: dict[str, Any] = {
    **{
        f"{kind}: {part}": getattr(import_module("host_sim.linux." + name.partition(".")[0]), name.partition(".")[2])
        for (kind, part), name in LINUX_MODELS.items()
    },
    "storage: disk": Disk,
    "names": Names,
}


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
    (text,) = re.findall(r"```yaml\n(scenario:.*?)```", DOCUMENT, re.DOTALL)
    file = tmp_path / "example.yaml"
    file.write_text(text, encoding="utf-8")
    assert load(file).language == "en"


def test_the_cards_are_described() -> None:
    assert [code(row[0]) for row in rows("card |")] == list(CARDS)


def test_the_hostile_orders_are_described_with_what_they_are_refused_as() -> None:
    assert {code(row[0]): code(row[2]) for row in rows("order |")} == REFUSAL_OF
    assert [code(row[0]) for row in rows("order |")] == list(HOSTILE)


def test_every_back_face_has_what_the_text_says() -> None:
    chips = [(kind, chip) for bench in (BENCH, Bench(wired.BOARD)) for kind, chip in bench.chips.items()]
    told = {code(kind): re.findall(r"`(\w+)", names) for kind, names in rows("device |")}
    for kind, chip in chips:
        for name in told[kind]:
            assert hasattr(chip, name), f"{kind} has no {name}"
    assert {kind for kind, _ in chips} == set(told)


def cause_cell(fault: Fault, device: str) -> str:
    return f"`{fault.cause}`" + (f" of the {fault.component}" if fault.component not in ("", device) else "")


@pytest.mark.parametrize("heading", [heading for heading in (*MODELS, *LINUX) if not heading.startswith("keypad")])
def test_the_faults_are_described_as_the_model_tells_them(heading: str) -> None:
    told = {code(name): (seen, cause) for name, seen, cause in rows("fault |", section(heading))}
    device = heading.partition(":")[0]
    assert told == {name: (fault.seen, cause_cell(fault, device)) for name, fault in {**MODELS, **LINUX}[heading].FAULTS.items()}


@pytest.mark.parametrize("heading", [*MODELS, *LINUX])
def test_the_habits_are_described_as_the_model_tells_them(heading: str) -> None:
    habits: dict[str, str] = getattr({**MODELS, **LINUX}[heading], "HABITS", {})
    text = section(heading)
    told = {code(name): seen for name, seen in rows("habit |", text)} if "| habit |" in text else {}
    assert told == habits


def test_the_faults_of_the_keypad_are_described_for_any_key_and_line() -> None:
    keypad = PARTS["keypad"]
    told = {}
    for name, _, cause in rows("fault |", section("keypad: matrix_keypad")):
        line = "rows" if "row_" in name else "columns"
        for key in (key for row in keypad["keys"] for key in row):
            for number in range(1, len(keypad[line]) + 1):
                told[code(name).replace("<key>", key).replace("<number>", str(number))] = code(cause)
    assert told == {name: fault.cause for name, fault in KEYPAD.FAULTS.items()}


def test_the_faults_of_the_keypad_of_a_linux_terminal_are_described_for_any_key(tmp_path: Path) -> None:
    told = {}
    for name, _, cause in rows("fault |", section("keypad: evdev")):
        for key in KEYS:
            told[code(name).replace("<key>", key)] = code(cause)
    assert told == {name: fault.cause for name, fault in KeypadDevice(tmp_path).FAULTS.items()}


def test_every_part_that_can_be_wired_has_its_section() -> None:
    assert {heading.partition(": ")[2] for heading in MODELS if ": " in heading and not heading.startswith("wires")} == set(WIRING)


def test_no_section_describes_faults_of_a_chip_that_is_not_there() -> None:
    broken = DOCUMENT.split("## What can be broken\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^### (.*)$", broken, re.MULTILINE)) == set(MODELS)
    linux = DOCUMENT.split("## A terminal on Linux\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^### (.*)$", linux, re.MULTILINE)) == set(LINUX)
