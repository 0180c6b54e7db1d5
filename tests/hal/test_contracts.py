"""Every device of every board that runs on a bench keeps its contract: a new driver is covered once a board lists its part."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from hal.contract import Contract
from hal.device import HEALTH_FAIL
from hal.errors import E_DISABLED, E_NOTCLAIMED, DeviceError
from hal.hal import KINDS, Hal
from host_sim.bench import Bench
from host_sim.boards import board_folders, wiring_of
from host_sim.chips.flash import Flash
from host_sim.platform import in_process_platform
from host_sim.simulated_time import SimulatedTime

FACTS = [json.loads((folder / "board.json").read_text(encoding="utf-8")) for folder in board_folders().values()]
BOARDS = [facts["id"] for facts in FACTS if facts["runtime"] == "micropython"]
DEVICES = [(facts["id"], kind) for facts in FACTS if facts["runtime"] == "micropython" for kind in facts["parts"]]
WITHOUT_ENABLING = {"clock", "storage"}  # what everything needs, so it works from the start


def _hal(board: str, time: SimulatedTime) -> Hal:
    module: Any = importlib.import_module(f"boards.{board}.board")
    hal: Hal = module.build(in_process_platform(Bench(module.facts(), time, wiring_of(board)), Flash(), time))
    return hal


def _contract(kind: str) -> Contract:
    contract: Contract = importlib.import_module(f"hal.{kind}").CONTRACT
    return contract


def test_a_board_is_named_as_its_folder_is() -> None:
    assert [facts["id"] for facts in FACTS] == list(board_folders())


@pytest.mark.parametrize("board", BOARDS)
def test_every_part_of_the_board_file_is_a_device_and_no_other(board: str) -> None:
    facts = next(facts for facts in FACTS if facts["id"] == board)
    hal = _hal(board, SimulatedTime())
    assert {device.kind for device in hal.devices()} == set(facts["parts"])
    assert set(facts["parts"]) <= set(KINDS)


@pytest.mark.parametrize(("board", "kind"), DEVICES)
def test_the_driver_has_all_that_its_contract_lists(board: str, kind: str) -> None:
    device = getattr(_hal(board, SimulatedTime()), kind)
    assert _contract(kind).missing(device) == []


@pytest.mark.parametrize(("board", "kind"), DEVICES)
def test_the_device_goes_through_its_life_twice(board: str, kind: str) -> None:
    time = SimulatedTime()
    device = getattr(_hal(board, time), kind)

    async def program() -> None:
        with pytest.raises(DeviceError) as refused:
            await device.enable()
        assert refused.value.code == E_NOTCLAIMED
        for _ in range(2):
            device.open()
            device.claim()
            await device.enable()
            health = await device.check_health(1)
            assert health.kind == kind
            assert health.outcome != HEALTH_FAIL, health
            device.disable()
            device.release()
            device.close()

    time.run(program())


@pytest.mark.parametrize(("board", "kind"), [pair for pair in DEVICES if pair[1] not in WITHOUT_ENABLING])
def test_a_device_that_is_not_enabled_has_no_health_to_tell(board: str, kind: str) -> None:
    time = SimulatedTime()
    device = getattr(_hal(board, time), kind)
    with pytest.raises(DeviceError) as refused:
        time.run(device.check_health(1))
    assert refused.value.code == E_DISABLED


def test_a_contract_names_what_a_device_lacks() -> None:
    class Mute:
        kind = "keypad"
        level = 1
        keys = ()

    lacking = _contract("keypad").missing(Mute())
    assert "read" in lacking and "check_health" in lacking and "keys" not in lacking


def test_a_contract_refuses_a_device_of_another_kind_or_level() -> None:
    keypad = _hal(BOARDS[0], SimulatedTime()).keypad
    assert "kind == 'scanner'" in _contract("scanner").missing(keypad)
    assert "level in [1]" in _contract("scanner").missing(keypad)  # which claims 2
