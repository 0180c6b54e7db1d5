"""Every fault of each model of the counter terminal: the driver arrives at its cause, or only a person or a card can show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from boards.esp32s3_counter import board
from firmware_agent.store import Store
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.errors import CH_EXTERNAL, CH_INTERNAL, DeviceError
from host_sim.bench import Bench
from host_sim.chips.cards import PPSE, PaymentCard
from host_sim.chips.faces import Fault
from host_sim.chips.flash import FlashChip
from host_sim.chips.pn532 import Pn532Core
from tests.hal.counter import Counter

SELECT_PPSE = bytes.fromhex("00A404000E") + PPSE + b"\x00"
CAUSE_OF_STATUS_WORD = {b"\x6a\x82": "not_a_payment_card", b"\x67\x00": "card_refused"}
KINDS = ("storage", "display", "keypad", "printer", "card_reader", "scanner")
BENCH = Bench(board.facts())
PARTS = board.facts()["parts"]
WIRES = {bus: [kind for kind in KINDS if PARTS[kind].get("bus") == bus] for bus in {PARTS[kind].get("bus") for kind in KINDS} - {None}}
FAULTS = [(kind, name) for kind in KINDS for name in BENCH.chips[kind].FAULTS]
HABITS = [(kind, name) for kind in KINDS for name in BENCH.chips[kind].HABITS]


class Terminal(Counter):
    """A counter terminal, its devices brought up as far as they can be."""

    def __init__(self, fault: tuple[str, str] | None = None) -> None:
        super().__init__()
        if fault is not None:
            self.bench.chips[fault[0]].fault(fault[1])
        self.devices: Any = self.hal()
        self.run(self.devices.bring_up())

    def health(self, kind: str, level: int = CH_INTERNAL) -> Health:
        health: Health = self.run(getattr(self.devices, kind).check_health(level))
        return health

    def chip(self, kind: str) -> Any:
        return self.bench.chips[kind]

    def error_of(self, program: Any) -> str:
        """The cause of the error with which a program ends, '' when it does not."""
        try:
            self.run(program)
        except DeviceError as error:
            return error.cause
        return ""


async def select_card(terminal: Terminal) -> bytes:
    reader = terminal.devices.card_reader
    if not await reader.find_card(500):
        raise DeviceError(0, "card_reader", cause="no_card")
    answer: bytes = await reader.exchange(SELECT_PPSE)
    return answer


def with_a_card(terminal: Terminal) -> str:
    terminal.chip("card_reader").insert_card(PaymentCard())
    cause = terminal.error_of(select_card(terminal))
    return cause or CAUSE_OF_STATUS_WORD[terminal.run(select_card(terminal))[-2:]]


def with_a_code(terminal: Terminal) -> str:
    terminal.chip("scanner").present("CODE")
    found: list[str | None] = []

    async def scan() -> None:
        found.append(await terminal.devices.scanner.scan(500))

    return terminal.error_of(scan()) or ("no_code" if found == [None] else "")


def in_the_agents_memory(terminal: Terminal) -> str:
    """The fault is there from the start, when there is nothing to rot: it comes again when there is."""
    store = Store(terminal.devices.storage)
    store.open()
    store.put("key", bytes(100))
    terminal.flash.fault("rotten")
    return "damaged" if store.verify() else ""


def seen_by_a_person(kind: str) -> Callable[[Terminal], str]:
    """Whether what the device shows differs from what a sound one shows; what it means the person says."""

    def look(terminal: Terminal) -> str:
        sound = Terminal()
        shown = []
        for each in (terminal, sound):
            if kind == "display":
                each.devices.display.fill(0xFF8040)
            else:
                each.run(each.devices.printer.print_text("text\n"))
            shown.append(each.chip(kind).picture().convert("RGB").tobytes())
        return "seen" if shown[0] != shown[1] else ""

    return look


def felt_by_a_person(terminal: Terminal) -> str:
    """Each key pressed once, then three of a rectangle held together."""
    keypad, matrix = terminal.devices.keypad, terminal.chip("keypad")
    read: list[str] = []
    for key in keypad.keys:
        matrix.tap(key)
        while (seen := terminal.run(keypad.read(300))) is not None:
            read.append(seen)
        while not matrix.idle and not any(matrix.has(f"{line}_{number}_broken") for line in ("row", "column") for number in (1, 2, 3, 4)):
            terminal.run(keypad.read(100))
    missing = {key for key in keypad.keys if key not in read}
    rows = [set(row) for row in keypad.layout]
    columns = [{row[number] for row in keypad.layout} for number in range(len(keypad.layout[0]))]
    for cause, lines in (("row_open", rows), ("column_open", columns)):
        if missing in lines:
            return cause
    if missing:
        return "key_dead"
    if keypad.bounces > 4:
        return "bounce"
    for key in ("1", "2", "4"):
        matrix.press(key)
    return "ghosting" if "5" in keypad.down() else ""


# How a fault is found that no check finds by itself.
SHOWN: dict[tuple[str, str], Callable[[Terminal], str]] = {
    ("storage", "rotten"): in_the_agents_memory,
    ("display", "stuck_rows"): seen_by_a_person("display"),
    ("display", "stuck_columns"): seen_by_a_person("display"),
    ("display", "dead_backlight"): seen_by_a_person("display"),
    ("display", "wrong_colours"): seen_by_a_person("display"),
    ("printer", "head_cold"): seen_by_a_person("printer"),
    ("card_reader", "field_weak"): with_a_card,
    ("card_reader", "crc_errors"): with_a_card,
    ("scanner", "no_light"): with_a_code,
    ("scanner", "no_suffix"): with_a_code,
}
SHOWN |= {("card_reader", name): with_a_card for name, fault in Pn532Core.FAULTS.items() if fault.component == "card"}
SHOWN |= {
    ("keypad", name): felt_by_a_person
    for name in BENCH.chips["keypad"].FAULTS
    if name in ("ghosting", "worn_contacts") or name.startswith("dead_") or name.endswith("_broken")
}
MARGINAL = ("paper_near_end",)  # told, while the device still works


@pytest.mark.parametrize(("kind", "name"), [each for each in FAULTS if each not in SHOWN])
@pytest.mark.parametrize("at_boot", [True, False])
def test_a_check_that_needs_nobody_arrives_at_the_cause(kind: str, name: str, at_boot: bool) -> None:
    terminal = Terminal((kind, name) if at_boot else None)
    if not at_boot:
        assert terminal.health(kind).outcome == HEALTH_SUCCESS
        terminal.chip(kind).fault(name)
    fault: Fault = terminal.chip(kind).FAULTS[name]
    found = [terminal.health(kind, level) for level in (CH_INTERNAL, CH_EXTERNAL)]
    health = next((health for health in found if health.cause), found[0])
    assert health.cause == fault.cause, found
    assert health.outcome == (HEALTH_SUCCESS if fault.cause in MARGINAL else HEALTH_FAIL)
    assert health.detail
    assert fault.component == ""
    terminal.chip(kind).fault(name, on=False)
    terminal.run(getattr(terminal.devices, kind).enable())
    for level in (CH_INTERNAL, CH_EXTERNAL):
        mended = terminal.health(kind, level)
        assert (mended.outcome, mended.cause) == (HEALTH_SUCCESS, "")


@pytest.mark.parametrize(("kind", "name"), sorted(SHOWN))
def test_what_only_a_person_or_a_card_can_show_is_shown_and_no_check_guesses(kind: str, name: str) -> None:
    terminal = Terminal((kind, name))
    for level in (CH_INTERNAL, CH_EXTERNAL):
        health = terminal.health(kind, level)
        assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")
    fault: Fault = terminal.chip(kind).FAULTS[name]
    cause = SHOWN[(kind, name)](terminal)
    assert cause in (fault.cause, "seen")


def test_a_sound_terminal_shows_nothing_to_anyone() -> None:
    assert seen_by_a_person("display")(Terminal()) == ""
    assert seen_by_a_person("printer")(Terminal()) == ""
    assert felt_by_a_person(Terminal()) == ""
    assert with_a_code(Terminal()) == ""
    terminal = Terminal()
    terminal.chip("card_reader").insert_card(PaymentCard())
    assert terminal.run(select_card(terminal))[-2:] == b"\x90\x00"


@pytest.mark.parametrize(("kind", "name"), HABITS)
@pytest.mark.parametrize("at_boot", [True, False])
def test_a_habit_is_never_complained_of(kind: str, name: str, at_boot: bool) -> None:
    terminal = Terminal((kind, name) if at_boot else None)
    if not at_boot:
        terminal.chip(kind).fault(name)
        if (kind, name) == ("card_reader", "asleep"):  # it goes to sleep by command only; a program that finds it so brings it up
            terminal.run(terminal.devices.card_reader.enable())
    for level in (CH_INTERNAL, CH_EXTERNAL, CH_INTERNAL):
        health = terminal.health(kind, level)
        assert (health.outcome, health.cause) == (HEALTH_SUCCESS, "")
    if kind == "keypad":
        assert felt_by_a_person(terminal) == ""
        assert terminal.devices.keypad.bounces <= 2
    elif kind == "printer":
        terminal.run(terminal.devices.printer.print_text("text\n"))
        terminal.run(terminal.devices.printer.cut())
        assert terminal.chip("printer").cut_slips[-1].text().endswith("text\n")
    elif kind == "card_reader":
        terminal.chip("card_reader").insert_card(PaymentCard())
        assert terminal.run(select_card(terminal))[-2:] == b"\x90\x00"
        assert health.measurements["retries"] <= 4


@pytest.mark.parametrize(("bus", "name"), [(bus, name) for bus in sorted(WIRES) for name in BENCH.buses[bus].FAULTS])
@pytest.mark.parametrize("at_boot", [True, False])
def test_a_fault_of_a_wire_is_named_by_every_device_on_it(bus: str, name: str, at_boot: bool) -> None:
    terminal = Terminal()
    if at_boot:
        terminal.bench.bus_fault(bus, name)
        terminal.devices = terminal.hal()
        terminal.run(terminal.devices.bring_up())
    else:
        terminal.bench.bus_fault(bus, name)
    for kind in WIRES[bus]:
        health = terminal.health(kind)
        assert (health.outcome, health.cause) == (HEALTH_FAIL, BENCH.buses[bus].FAULTS[name].cause)


def test_every_model_tells_its_faults_with_a_cause_and_no_fault_is_a_habit_too() -> None:
    for kind in KINDS:
        chip = BENCH.chips[kind]
        assert all(isinstance(fault, Fault) and fault.seen and fault.cause for fault in chip.FAULTS.values())
        assert not set(chip.FAULTS) & set(chip.HABITS)
    assert isinstance(BENCH.chips["storage"], FlashChip)
