"""A board's README and its board.json say the same: parts, pins, buses and keys."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from host_sim.boards import board_folders

BOARDS = board_folders()
CONTROL_LINES = ("cs", "dc", "reset", "backlight", "pin")
BUS_LINES = ("sck", "mosi", "miso", "scl", "sda", "tx", "rx")
SPEEDS = ("baudrate_hz", "frequency_hz", "baudrate")


def facts(board: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((BOARDS[board] / "board.json").read_text(encoding="utf-8"))
    return loaded


WITH_WIRING = [board for board in BOARDS if facts(board)["runtime"] == "micropython"]


def table(board: str, head: str) -> list[tuple[str, ...]]:
    """The rows below the table head that begins with these cells."""
    text = (BOARDS[board] / "README.md").read_text(encoding="utf-8")
    match = re.search(rf"^\| {re.escape(head)} .*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert match is not None, f"{board}/README.md has no table that begins with '| {head} |'"
    return [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in match[1].splitlines()]


def wires(board: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for kind, part in board["parts"].items():
        lines = {name: part[name] for name in CONTROL_LINES if name in part}
        bus = board["buses"][part["bus"]] if "bus" in part else {}
        lines |= {name: bus[name] for name in BUS_LINES if name in bus}
        if kind == "keypad":  # the columns of a printer are characters
            lines |= {f"row {number}": pin for number, pin in enumerate(part["rows"], 1)}
            lines |= {f"column {number}": pin for number, pin in enumerate(part["columns"], 1)}
        found += [(kind, name.upper(), str(pin)) for name, pin in lines.items() if pin is not None]
    return found


@pytest.mark.parametrize("board", WITH_WIRING)
def test_the_wiring_table_is_that_of_the_board_file(board: str) -> None:
    assert sorted(table(board, "part | signal |")) == sorted(wires(facts(board)))


@pytest.mark.parametrize("board", WITH_WIRING)
def test_no_pin_has_two_jobs(board: str) -> None:
    """Parts on one bus share its lines, and nothing else is shared."""
    buses = {kind: part.get("bus", kind) for kind, part in facts(board)["parts"].items()}
    wiring = table(board, "part | signal |")
    jobs = {(pin, buses[kind] if signal.lower() in BUS_LINES else f"{kind} {signal}") for kind, signal, pin in wiring}
    pins = [pin for pin, _ in jobs]
    assert len(pins) == len(set(pins))


@pytest.mark.parametrize("board", WITH_WIRING)
def test_the_table_of_buses_is_that_of_the_board_file(board: str) -> None:
    expected = [
        (name, bus["kind"], str(bus["id"]), next(str(bus[speed]) for speed in SPEEDS if speed in bus))
        for name, bus in facts(board)["buses"].items()
    ]
    assert sorted(table(board, "bus | kind |")) == sorted(expected)


@pytest.mark.parametrize("board", WITH_WIRING)
def test_the_addresses_on_i2c_are_those_of_the_board_file(board: str) -> None:
    text = (BOARDS[board] / "README.md").read_text(encoding="utf-8")
    told = [(int(number), int(same, 16)) for number, same in re.findall(r"I2C address (\d+) \((0x[0-9a-f]+)\)", text)]
    addresses = [part["address"] for part in facts(board)["parts"].values() if "address" in part]
    assert sorted(told) == sorted((address, address) for address in addresses)


@pytest.mark.parametrize("board", WITH_WIRING)
def test_the_keys_lie_as_in_the_board_file(board: str) -> None:
    keys = facts(board)["parts"]["keypad"]["keys"]
    rows = table(board, "| COLUMN 1 |")
    assert [list(row[1:]) for row in rows] == keys
    assert [row[0] for row in rows] == [f"ROW {number}" for number in range(1, len(keys) + 1)]


@pytest.mark.parametrize("board", WITH_WIRING)
def test_every_part_that_is_wired_can_be_bought(board: str) -> None:
    """The first table names each kind of device that has wires; the microcontroller carries the rest."""
    named = {row[0].replace(" ", "_") for row in table(board, "part | generic name |")}
    assert named == {kind for kind, _, _ in wires(facts(board))} | {"microcontroller"}
