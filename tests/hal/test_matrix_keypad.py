"""The keypad driver on the matrix's model: each key, and each way in which a matrix goes wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pytest_mock import MockerFixture

from boards.esp32s3_counter import board
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS
from hal.errors import E_DISABLED, E_FAILURE, DeviceError
from host_sim.chips.key_matrix import KeyMatrixChip
from host_sim.machine.machine import PIN_READ
from tests.hal.counter import Counter, enabled

LAYOUT: list[list[str]] = board.facts()["parts"]["keypad"]["keys"]
KEYS = [key for row in LAYOUT for key in row]


class Wired(Counter):
    def __init__(self) -> None:
        super().__init__()
        matrix = self.bench.chips["keypad"]
        assert isinstance(matrix, KeyMatrixChip)
        self.matrix = matrix
        self.keypad: Any = self.hal().keypad

    def bring_up(self) -> Wired:
        self.run(enabled(self.keypad))
        return self

    def read(self, timeout_ms: int = 1000) -> str | None:
        key: str | None = self.run(self.keypad.read(timeout_ms))
        return key

    def read_all(self) -> list[str]:
        keys = []
        while (key := self.read(2000)) is not None:
            keys.append(key)
        return keys

    def health(self) -> Any:
        return self.run(self.keypad.check_health(1))


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_read_once_by_its_name(key: str) -> None:
    wired = Wired().bring_up()
    wired.matrix.tap(key)
    assert wired.read_all() == [key]


def test_keys_are_read_in_the_order_in_which_they_were_pressed() -> None:
    wired = Wired().bring_up()
    typed = ["1", "1", "2", "9", "0", "clear", "enter", "enter"]
    for key in typed:
        wired.matrix.tap(key)
    assert wired.read_all() == typed
    assert wired.matrix.idle


def test_no_key_gives_nothing_when_the_time_is_over() -> None:
    wired = Wired().bring_up()
    begun_ms = wired.time.now_ms()
    assert wired.read(300) is None
    assert 300 <= wired.time.now_ms() - begun_ms <= 310


def test_a_key_held_down_is_read_once() -> None:
    wired = Wired().bring_up()
    wired.matrix.press("5")
    assert wired.read_all() == ["5"]
    wired.matrix.release("5")
    assert wired.read_all() == []
    wired.matrix.press("5")
    assert wired.read_all() == ["5"]


def test_a_contact_that_closes_for_a_moment_only_is_no_key() -> None:
    wired = Wired().bring_up()
    wired.matrix.press("5")
    assert wired.read(10) is None
    wired.matrix.release("5")
    assert wired.read(500) is None


def test_a_key_that_bounces_as_all_do_is_read_once() -> None:
    wired = Wired().bring_up()
    wired.matrix.fault("bounce")
    for key in ("7", "7", "enter"):
        wired.matrix.tap(key)
    assert wired.read_all() == ["7", "7", "enter"]
    assert wired.keypad.bounces <= 2


def test_worn_contacts_are_read_more_than_once_and_their_bounces_are_counted() -> None:
    """A person who is asked to press each key once shows it; the check alone cannot."""
    wired = Wired().bring_up()
    wired.matrix.fault("worn_contacts")
    assert wired.health().outcome == HEALTH_SUCCESS
    wired.matrix.tap("7")
    assert len(wired.read_all()) > 1
    assert wired.keypad.bounces > 4
    assert wired.health().measurements["bounces"] == wired.keypad.bounces
    wired.keypad.disable()
    wired.run(wired.keypad.enable())
    assert wired.keypad.bounces == 0


@pytest.mark.parametrize("scan_gap_ms", [0, 30, 95, 150])
def test_taps_as_fast_as_fingers_are_no_bounces(scan_gap_ms: int) -> None:
    """Whatever else a reader does between two keys."""
    wired = Wired().bring_up()
    for key in "1111222":
        wired.matrix.tap(key)
    keys = []
    while not wired.matrix.idle:
        keys.append(wired.read(60))
        wired.time.advance(scan_gap_ms)
    assert [key for key in keys if key] == list("1111222")
    assert wired.keypad.bounces == 0


def test_a_program_so_busy_that_it_looks_seven_times_a_second_misses_no_tap() -> None:
    wired = Wired().bring_up()
    for key in "1212":
        wired.matrix.tap(key)
    keys = []
    while not wired.matrix.idle:
        keys.append(wired.read(0))
        wired.time.advance(140)
    assert [key for key in keys if key] == list("1212")
    assert wired.keypad.bounces == 0


def resting() -> Wired:
    """A keypad that nobody has touched for two seconds."""
    wired = Wired().bring_up()
    assert wired.read(2000) is None
    return wired


def held(wired: Wired, key: str, after_ms: int, for_ms: int) -> list[str]:
    """What is read within a second in which somebody presses a key after so long, and lets go after so long."""

    async def fingers() -> None:
        await wired.time.sleep_ms(after_ms)
        wired.matrix.press(key)
        await wired.time.sleep_ms(for_ms)
        wired.matrix.release(key)

    async def both() -> list[str]:
        finger = asyncio.create_task(fingers())
        keys = []
        while (key := await wired.keypad.read(1000)) is not None:
            keys.append(key)
        await finger
        return keys

    read: list[str] = wired.run(both())
    return read


@pytest.mark.parametrize("after_ms", range(1, 22, 3))
def test_at_rest_a_short_press_is_read_and_a_contacts_moment_is_not(after_ms: int) -> None:
    assert held(resting(), "5", after_ms, 41) == ["5"]
    assert held(resting(), "5", after_ms, 9) == []


@pytest.mark.parametrize("key", KEYS)
def test_at_rest_each_key_is_read(key: str) -> None:
    wired = resting()
    wired.matrix.tap(key)
    assert wired.read_all() == [key]


def test_at_rest_only_the_rows_are_looked_at_and_half_as_often(mocker: MockerFixture) -> None:
    wired = resting()
    transact = mocker.spy(wired.bench, "transact")
    assert wired.read(1000) is None
    assert {call.args[0] for call in transact.call_args_list} == {PIN_READ}
    assert len(transact.call_args_list) <= 51 * len(LAYOUT)


def test_a_key_that_was_let_go_unseen_counts_when_it_is_pressed_again() -> None:
    wired = Wired().bring_up()
    wired.matrix.press("5")
    assert wired.read() == "5"
    wired.time.advance(5000)
    wired.matrix.release("5")
    wired.time.advance(5000)
    assert wired.read(2000) is None
    wired.matrix.tap("5")
    assert wired.read_all() == ["5"]


def test_lines_are_examined_as_well_at_rest() -> None:
    wired = resting()
    assert wired.health().outcome == HEALTH_SUCCESS
    wired = resting()
    assert wired.keypad.down() == ()
    wired.matrix.press("8")
    assert wired.keypad.down() == ("8",)
    wired = resting()
    wired.matrix.fault("column_2_shorted")
    assert wired.health().cause == "column_shorted"


def test_a_key_is_read_while_another_is_held() -> None:
    wired = Wired().bring_up()
    wired.matrix.press("1")
    assert wired.read() == "1"
    wired.matrix.tap("9")
    assert wired.read_all() == ["9"]


def test_without_diodes_a_fourth_key_that_nobody_pressed_is_not_read() -> None:
    wired = Wired().bring_up()
    wired.matrix.fault("ghosting")
    for key in ("1", "2", "4"):
        wired.matrix.press(key)
        wired.read(100)
    assert "5" not in wired.read_all()
    wired.matrix.release("4")
    wired.matrix.release("2")
    wired.matrix.release("1")
    wired.read(100)
    wired.matrix.tap("5")
    assert wired.read_all() == ["5"]


def test_the_model_does_show_the_ghost_to_who_trusts_it() -> None:
    wired = Wired().bring_up()
    for key in ("1", "2", "4"):
        wired.matrix.press(key)
    column, row = 6, 2  # of key 5
    wired.matrix.pin_driven(column, 0)
    assert wired.matrix.pin_level(row) is None
    wired.matrix.fault("ghosting")
    assert wired.matrix.pin_level(row) == 0


@pytest.mark.parametrize("corners", [("1", "2", "4", "5"), ("up", "1", "enter", "cancel"), ("9", "8", "help", "0")])
def test_three_keys_of_a_rectangle_show_the_fourth_where_the_diodes_are_missing(corners: tuple[str, str, str, str]) -> None:
    wired = Wired().bring_up()
    for key in corners[:3]:
        wired.matrix.press(key)
    assert set(wired.keypad.down()) == set(corners[:3])
    wired.matrix.fault("ghosting")
    assert set(wired.keypad.down()) == set(corners)


def test_the_keys_that_are_down_are_told_as_they_are_and_row_by_row() -> None:
    wired = Wired().bring_up()
    assert wired.keypad.down() == ()
    wired.matrix.press("enter")
    wired.matrix.press("2")
    assert wired.keypad.down() == ("2", "enter")
    wired.matrix.release("2")
    assert wired.keypad.down() == ("enter",)
    assert wired.read() == "enter"  # looking takes no key away


@pytest.mark.parametrize("key", KEYS)
def test_each_stuck_key_is_named_and_is_not_read_as_typed(key: str) -> None:
    wired = Wired()
    wired.matrix.fault("stuck_" + key)
    wired.bring_up()
    health = wired.health()
    assert (health.outcome, health.cause, health.code, health.detail) == (HEALTH_FAIL, "key_stuck", E_FAILURE, key)
    assert wired.read_all() == []
    other = "1" if key != "1" else "2"
    wired.matrix.tap(other)
    assert wired.read_all() == [other]


@pytest.mark.parametrize("key", KEYS)
def test_each_dead_key_is_never_read_and_spares_the_others(key: str) -> None:
    wired = Wired().bring_up()
    wired.matrix.fault("dead_" + key)
    other = "1" if key != "1" else "2"
    wired.matrix.tap(key)
    wired.matrix.tap(other)
    assert wired.read_all() == [other]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_broken_row_or_column_silences_its_keys_only(number: int) -> None:
    for line, lost in (("row", set(LAYOUT[number - 1])), ("column", {row[number - 1] for row in LAYOUT})):
        wired = Wired().bring_up()
        wired.matrix.fault(f"{line}_{number}_broken")
        for key in KEYS:
            wired.matrix.tap(key)
        assert wired.read_all() == [key for key in KEYS if key not in lost]


@pytest.mark.parametrize("ghosting", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("line", ["row", "column"])
@pytest.mark.parametrize("at_boot", [True, False])
def test_a_line_that_touches_ground_is_named_with_its_keys(line: str, number: int, at_boot: bool, ghosting: bool) -> None:
    wired = Wired()
    wired.matrix.fault("ghosting", ghosting)
    if not at_boot:
        wired.bring_up()
    wired.matrix.fault(f"{line}_{number}_shorted")
    if at_boot:
        wired.bring_up()
    keys = LAYOUT[number - 1] if line == "row" else [row[number - 1] for row in LAYOUT]
    health = wired.health()
    assert (health.outcome, health.cause, health.code) == (HEALTH_FAIL, line + "_shorted", E_FAILURE)
    assert health.detail == f"{line} {number} ({' '.join(keys)})"
    assert wired.read(500) is None


def test_two_shorted_lines_are_both_named() -> None:
    wired = Wired().bring_up()
    wired.matrix.fault("column_2_shorted")
    wired.matrix.fault("column_4_shorted")
    assert wired.health().detail == "column 2 (2 5 8 0), column 4 (up down clear enter)"


@pytest.mark.parametrize("keys", [("1", "2", "3", "up"), ("1", "4", "7", "cancel")])
@pytest.mark.parametrize("ghosting", [False, True])
def test_keys_that_stick_along_a_line_are_not_a_shorted_line(keys: tuple[str, ...], ghosting: bool) -> None:
    wired = Wired().bring_up()
    wired.matrix.fault("ghosting", ghosting)
    for key in keys:
        wired.matrix.fault("stuck_" + key)
    health = wired.health()
    assert (health.cause, health.detail) == ("key_stuck", " ".join(keys))


@pytest.mark.parametrize("fault", ["row_2_broken", "column_3_broken", "dead_6", "ghosting"])
def test_what_never_closes_or_shows_too_much_only_a_person_can_find(fault: str) -> None:
    wired = Wired().bring_up()
    wired.matrix.fault(fault)
    assert wired.health().outcome == HEALTH_SUCCESS
    for key in KEYS:
        wired.matrix.press(key)
        lost = key in {"row_2_broken": LAYOUT[1], "column_3_broken": [row[2] for row in LAYOUT], "dead_6": ["6"]}.get(fault, [])
        assert wired.keypad.down() == (() if lost else (key,))
        wired.matrix.release(key)


def test_an_untouched_keypad_is_healthy() -> None:
    health = Wired().bring_up().health()
    assert (health.outcome, health.measurements) == (HEALTH_SUCCESS, {"keys_down": 0, "bounces": 0})


def test_a_key_tapped_during_the_check_is_not_stuck_and_is_kept() -> None:
    wired = Wired().bring_up()
    wired.matrix.tap("3")
    assert wired.health().outcome == HEALTH_SUCCESS
    assert wired.read() == "3"


def test_of_more_keys_than_are_kept_the_oldest_are_dropped() -> None:
    wired = Wired().bring_up()
    typed = list("1234567890")
    for key in typed:
        wired.matrix.tap(key)
    while not wired.matrix.idle:
        wired.health()
    assert wired.read_all() == typed[-8:]


def test_the_keys_are_told_row_by_row_as_a_person_reads_them() -> None:
    keypad = Wired().keypad
    assert list(keypad.keys) == KEYS
    assert [list(row) for row in keypad.layout] == LAYOUT


def test_reading_before_enable_is_refused() -> None:
    for call in (Wired().read, Wired().keypad.down):
        with pytest.raises(DeviceError) as refused:
            call()
        assert refused.value.code == E_DISABLED


def test_a_key_that_the_matrix_does_not_have_cannot_be_pressed_or_break() -> None:
    wired = Wired()
    with pytest.raises(KeyError):
        wired.matrix.tap("star")
    with pytest.raises(ValueError, match="has no fault 'dead_star'"):
        wired.matrix.fault("dead_star")
